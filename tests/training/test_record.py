import numpy as np
import pytest

from rulbook.errors import RulbookError
from rulbook.training import PROTOCOL, RunConfig, train
from rulbook.training.record import (
    RATIO_BIN_EDGES,
    read_record,
    read_records,
    summarise_gradients,
)


@pytest.fixture(scope="module")
def record(simulated, short_run):
    return train(short_run, simulated)


def test_a_record_is_read_back_as_it_was_written(record, tmp_path):
    path = record.write(tmp_path)
    assert path.stem == record.config.key()
    again = read_record(path)
    assert again.config == record.config
    np.testing.assert_equal(again.write(tmp_path).read_bytes(), path.read_bytes())
    assert [r.config for r in read_records(tmp_path)] == [record.config]


def test_a_record_is_a_few_kilobytes(record, tmp_path):
    assert record.write(tmp_path).stat().st_size < 20_000


def test_writing_leaves_no_partial_file(record, tmp_path):
    record.write(tmp_path)
    assert [path.suffix for path in tmp_path.iterdir()] == [".json"]


@pytest.mark.parametrize("content", ["", "{", '{"config": {}}', "[]"])
def test_a_broken_record_is_named_with_the_way_out(tmp_path, content):
    path = tmp_path / "abc.json"
    path.write_text(content)
    with pytest.raises(RulbookError, match=r"abc\.json.*delete"):
        read_record(path)


def test_the_key_moves_with_every_choice(simulated):
    base = RunConfig(subset="FD001", data_digest=simulated.digest)
    others = [
        base.model_copy(update=change)
        for change in (
            {"subset": "FD002"},
            {"data_digest": "0"},
            {"seed": 1},
            {"weighting": "gaba"},
            {"inner_loss": "failure_weighted_mse"},
            {"protocol": PROTOCOL + 1},
            {"recipe": base.recipe.model_copy(update={"window": 20})},
        )
    ]
    assert len({config.key() for config in (base, *others)}) == len(others) + 1


def test_the_key_is_that_of_the_configuration_read_back(record):
    again = RunConfig.model_validate_json(record.config.model_dump_json())
    assert again.key() == record.config.key()


def test_gradient_summary_counts_every_step_once():
    ratios = np.array([1e-9, 0.5, 3.0, 700.0, 1e12])
    found = summarise_gradients(ratios, np.ones(5), np.zeros(5))
    assert sum(found.ratio_counts) == found.steps == 5
    assert len(found.ratio_counts) == len(RATIO_BIN_EDGES) - 1
    assert found.ratio_counts[0] == found.ratio_counts[-1] == 1
    assert found.ratio_quantiles[2] == 3.0


def test_a_step_without_health_gradient_has_no_ratio():
    found = summarise_gradients([1.0, 1.0], [0.0, 0.5], [np.nan, 1.0])
    assert found.ratio_quantiles == [2.0] * 5
    assert found.cosine_quantiles == [1.0] * 5


def test_no_observed_step_is_no_summary():
    assert summarise_gradients([], [], []) is None
