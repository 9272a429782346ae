import pytest

from rulbook.data import cmapss
from rulbook.errors import UsageError
from rulbook.studies import METHODS, SEEDS, STUDIES, method, method_of, seeds_from, study
from rulbook.studies.catalogue import base_config
from rulbook.studies.methods import AMNL_SWEEP, NAMED_METHODS
from rulbook.weighting.registry import get_loss


@pytest.mark.parametrize("name", NAMED_METHODS)
def test_every_method_names_a_weighting_that_exists(name):
    get_loss(method(name).weighting)


@pytest.mark.parametrize("name", NAMED_METHODS)
def test_the_method_of_a_run_is_found_again_on_every_subset_and_seed(name):
    config = method(name).applied_to(base_config("FD003", seed=789))
    assert method_of(config) == method(name)


def test_amnl_with_other_weights_differs_from_amnl_in_its_weights_only():
    base = method("amnl").applied_to(base_config("FD002"))
    for row in AMNL_SWEEP.values():
        other = row.applied_to(base_config("FD002"))
        assert other.weighting != base.weighting
        assert other.with_changes(weighting=base.weighting) == base


def test_weights_named_fixed_are_the_weights_that_are_built():
    for row in METHODS.values():
        if row.label.startswith("Fixed"):
            weights = get_loss(row.weighting).get_weights()
            rul, health = row.label.removeprefix("Fixed ").split("/")
            assert weights == pytest.approx(
                {"rul_weight": float(rul), "health_weight": float(health)}
            )


@pytest.mark.parametrize("name", STUDIES)
def test_no_study_asks_for_the_same_run_twice(name):
    keys = [config.key() for config in study(name).configs()]
    assert len(keys) == len(set(keys)) > 0


@pytest.mark.parametrize("name", ["core-a", "core-b"])
def test_core_studies_finish_each_seed_before_the_next(name):
    seeds = [config.seed for config in study(name).configs()]
    assert seeds == sorted(seeds, key=SEEDS.index)
    assert set(seeds) == set(SEEDS)


@pytest.mark.parametrize("first", [42, 456, 7])
def test_seeds_begin_with_the_readers_and_go_on_with_the_sources(first):
    seeds = seeds_from(first, 5)
    assert seeds[0] == first
    assert len(set(seeds)) == 5
    assert set(seeds[1:]) <= set(SEEDS)
    assert seeds_from(first, 2) == seeds[:2]


def test_core_studies_differ_only_in_their_subsets():
    def choices(name):
        return {(c.seed, c.weighting, c.inner_loss, c.network) for c in study(name).configs()}

    assert choices("core-a") == choices("core-b")
    subsets = {c.subset for name in ("core-a", "core-b") for c in study(name).configs()}
    assert subsets == set(cmapss.SUBSETS)


@pytest.mark.parametrize("find", [study, method])
def test_an_unknown_name_lists_the_known_ones(find):
    with pytest.raises(UsageError, match="choose one of"):
        find("nonesuch")
