"""Records as tables: what the carried ones say, and what is written from them."""

import json

import pandas as pd
import pytest

from rulbook import paths
from rulbook.data.prepare import Recipe
from rulbook.errors import RulbookError
from rulbook.models import ARCHITECTURES
from rulbook.studies import archive, sweep
from rulbook.studies.catalogue import base_config
from rulbook.studies.conditions import training_condition
from rulbook.studies.evidence import runs_table
from rulbook.studies.methods import method
from rulbook.training import RunConfig

from .conftest import COMMITTED, DAMAGES, believable, committed_record, epoch


@pytest.fixture
def carried(results, tmp_path, monkeypatch):
    """Return the carried folder and one's own, told apart as for an installed package."""
    own = tmp_path / "own"
    monkeypatch.setenv(paths.RESULTS_VARIABLE, str(own))
    return results / "runs", own / "runs"


@pytest.mark.parametrize("name", [".#{}", "._{}", ".{}.swp.json", "#{}"])
def test_files_in_the_way_are_no_records(carried, name):
    ours, _ = carried
    record = committed_record("FD001")
    path = record.write(ours)
    (ours / name.format(path.name)).write_text("an editor's or the system's")
    assert [one.config for one in archive.all_records()] == [record.config]


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_record_of_ones_own_does_not_hide_the_carried_one(carried, damage):
    ours, own = carried
    record = committed_record("FD001")
    path = record.write(ours)
    own.mkdir(parents=True)
    (own / path.name).write_bytes(damage(path.read_bytes()))
    assert [one.config for one in archive.all_records()] == [record.config]
    assert sweep.record_file(record.config.key()) == path


def test_a_record_of_ones_own_goes_before_the_carried_one(carried):
    ours, own = carried
    record = committed_record("FD001")
    carried_file = record.write(ours)
    elsewhere = record.model_copy(update={"device": "another machine"})
    own_file = elsewhere.write(own)
    assert [one.device for one in archive.all_records()] == ["another machine"]
    assert sweep.record_file(record.config.key()) == own_file
    assert [one.device for one in archive.carried_records()] == [record.device]
    own_file.unlink()
    assert sweep.record_file(record.config.key()) == carried_file


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_record_is_none(carried, damage):
    ours, _ = carried
    path = committed_record("FD001").write(ours)
    path.write_bytes(damage(path.read_bytes()))
    assert archive.carried_records() == archive.all_records() == []
    assert sweep.record_file(path.stem) is None


def test_every_choice_is_a_column_with_its_value(make_record):
    records = [
        make_record(seed=7),
        make_record(recipe=Recipe(window=50, health_thresholds=(70, 20))),
        make_record(architecture=ARCHITECTURES["compact"], patience=None),
        make_record(weighting="gaba", weighting_options={"beta": 0.9}),
    ]
    table = runs_table(records, config=True)
    for name in set(RunConfig.model_fields) - {"recipe", "architecture", "weighting_options"}:
        written = [record.config.model_dump(mode="json")[name] for record in records]
        assert [None if pd.isna(value) else value for value in table[name]] == written, name
    for name in Recipe.model_fields:
        assert f"recipe.{name}" in table, name
    assert table["recipe.window"].tolist() == [30, 50, 30, 30]
    assert json.loads(table["recipe.health_thresholds"][1]) == [70, 20]
    assert table["architecture.recurrent_units"].dropna().tolist() == [32]
    assert table["weighting_options.beta"].dropna().tolist() == [0.9]
    assert table.columns.is_unique


def test_the_choices_change_nothing_of_the_measurements(make_record):
    records = [make_record(seed=seed) for seed in (1, 2)]
    plain, with_choices = runs_table(records), runs_table(records, config=True)
    pd.testing.assert_frame_equal(with_choices[list(plain.columns)], plain)


def test_one_row_an_epoch_with_what_the_record_says_of_it(make_record):
    watched = epoch(12.0, ratios=[1.0, 2.0, 3.0], test_rmse=15.0)
    record = make_record(epochs=(epoch(20.0), watched), watch_test=True)
    table = archive.epochs_table([record])
    assert table["epoch"].tolist() == [1, 2]
    assert table["selected"].tolist() == [True, False]
    assert table["validation.rmse"].tolist() == [20.0, 12.0]
    assert table["validation.recall.critical"].tolist() == [0.8, 0.8]
    assert table["gradients.ratio.0.5"].tolist()[1] == 2.0
    assert table["test.rmse"].isna().tolist() == [True, False]
    assert table["weights.rul_weight"].tolist() == [0.5, 0.5]
    assert set(table["file"]) == {f"{record.config.key()}.json"}


def test_the_index_says_which_run_a_file_holds(make_record):
    plain = make_record("gaba", "FD003", 123)
    batch = make_record("gaba", "FD003", 123, **training_condition("book-batch").changes)
    own = make_record(learning_rate=0.5)
    index = archive.index_of([plain, batch, own])
    assert index["method"].tolist() == ["gaba", "gaba", "fixed_050"]
    assert index["condition"].tolist() == ["protocol", "book-batch", ""]
    assert index["studies"].tolist() == ["core-b core", "book-batch-fd001-fd003", ""]
    assert index["seed"].tolist() == [123, 123, 42]
    assert index["file"].tolist() == [f"{r.config.key()}.json" for r in (plain, batch, own)]


def test_every_committed_record_belongs_to_a_study():
    keys = {path.stem for path in COMMITTED.glob("*.json")}
    assert keys <= archive.studies_by_run().keys()


def test_carried_records_and_those_of_ones_own_are_read_together(carried):
    ours, own = carried
    record = committed_record("FD001")
    record.write(ours)
    other = believable(record, method("gaba").applied_to(base_config("FD001", 7)))
    other.write(own)
    (own / f"{base_config('FD001', 8).key()}.json").write_text("")
    keys = {read.config.key() for read in archive.all_records()}
    assert keys == {record.config.key(), other.config.key()}


def test_a_written_table_is_read_back(make_record, tmp_path):
    table = archive.whole_table([make_record(seed=seed) for seed in (1, 2)])
    archive.write_csv(table, tmp_path / "runs.csv")
    read = pd.read_csv(tmp_path / "runs.csv", keep_default_na=False, na_values=[""])
    assert list(read.columns) == list(table.columns)
    assert read["rmse"].tolist() == pytest.approx(table["rmse"].tolist(), rel=1e-15)
    assert read["recipe.window"].tolist() == [30, 30]


def test_parquet_says_what_it_needs(make_record, tmp_path, monkeypatch):
    monkeypatch.setattr(archive.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(RulbookError, match="pip install pyarrow"):
        archive.write_parquet(archive.index_of([make_record()], {}), tmp_path / "runs.parquet")
    assert not list(tmp_path.iterdir())


def test_a_column_of_several_types_is_text_in_parquet():
    """Parquet has one type a column; an option may be a number in one run and text in another."""
    mixed = pd.Series([1, "fast", None, True], dtype=object)
    as_text = archive._of_one_type(mixed)
    assert as_text.dropna().tolist() == ["1", "fast", "True"]
    assert as_text.isna().tolist() == mixed.isna().tolist()
    for same in (pd.Series([1.0, 2.0]), pd.Series(["a", None]), pd.Series([True, False])):
        pd.testing.assert_series_equal(archive._of_one_type(same), same)
