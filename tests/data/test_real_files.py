"""Facts of the real C-MAPSS files that the protocol rests on."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from rulbook import data
from rulbook.data import Fleet, Prepared, cmapss
from rulbook.data.prepare import Recipe, prepare
from rulbook.studies.scale import TRAINING_WINDOWS


@dataclass(frozen=True)
class Facts:
    test_rows: int
    short_test_engines: int
    test_share_above_cap: float


FACTS = {
    "FD001": Facts(13096, 0, 0.11),
    "FD002": Facts(33991, 6, 0.22),
    "FD003": Facts(16596, 0, 0.15),
    "FD004": Facts(41214, 11, 0.27),
}


@pytest.fixture(scope="module", params=cmapss.SUBSETS)
def fleet(request: pytest.FixtureRequest, real_data: Path) -> Fleet:
    return cmapss.read(request.param, real_data)


@pytest.fixture(scope="module")
def prepared(fleet: Fleet) -> Prepared:
    return prepare(fleet)


def test_status_is_complete(real_data: Path) -> None:
    status = data.status()
    assert status.folder == real_data
    assert status.complete
    assert data.resolve_source() == "cmapss"


def test_counts(fleet: Fleet) -> None:
    facts, published = FACTS[fleet.subset], cmapss.FACTS[fleet.subset]
    assert len(fleet.train) == published.training_cycles
    assert len(fleet.test) == facts.test_rows
    assert fleet.train["unit"].nunique() == published.training_engines
    assert fleet.test["unit"].nunique() == len(fleet.test_rul) == published.test_engines
    assert (fleet.test.groupby("unit").size() < 30).sum() == facts.short_test_engines
    above = (fleet.test_rul > 125).mean()
    assert above == pytest.approx(facts.test_share_above_cap, abs=0.005)


def test_cycles_count_from_one_without_gaps(fleet: Fleet) -> None:
    for table in (fleet.train, fleet.test):
        assert (table.groupby("unit")["cycle"].min() == 1).all()
        assert table.groupby("unit")["cycle"].agg(lambda cycle: (cycle.diff()[1:] == 1).all()).all()


def test_operating_conditions(fleet: Fleet) -> None:
    flown = fleet.train[["setting_1", "setting_3"]].round().abs()
    assert len(flown.drop_duplicates()) == cmapss.FACTS[fleet.subset].operating_conditions


def test_windows(fleet: Fleet, prepared: Prepared) -> None:
    assert len(prepared.train) + len(prepared.validation) == TRAINING_WINDOWS[fleet.subset]
    assert len(prepared.test) == cmapss.FACTS[fleet.subset].test_engines
    np.testing.assert_array_equal(prepared.test.rul_uncapped, fleet.test_rul)
    for windows in (prepared.train, prepared.validation, prepared.test):
        assert np.isfinite(windows.x).all()
        assert set(windows.health) == {0, 1, 2}


def test_training_engines_end_at_zero(prepared: Prepared) -> None:
    for windows in (prepared.train, prepared.validation):
        last = np.append(np.diff(windows.unit) != 0, True)
        assert (windows.rul[last] == 0).all()
        assert (windows.rul[~last] > 0).all()


def test_no_engine_on_both_sides(prepared: Prepared) -> None:
    train, held_out = set(prepared.train.unit), set(prepared.validation.unit)
    engines = cmapss.FACTS[prepared.subset].training_engines
    assert not train & held_out
    assert len(train) + len(held_out) == engines
    assert len(held_out) == int(np.ceil(0.15 * engines))


def test_clusters_are_the_conditions(fleet: Fleet) -> None:
    """In each condition that was flown, the scaled training sensors centre on 0."""
    prepared = prepare(fleet, Recipe(window=1))
    rows = prepared.train.x[:, 0]
    flown = fleet.train.set_index(["unit", "cycle"])["setting_1"].round()
    altitude = flown.loc[list(zip(prepared.train.unit, prepared.train.cycle, strict=True))]
    for level in np.unique(altitude):
        within = rows[altitude.to_numpy() == level][:, 3:]
        np.testing.assert_allclose(within.mean(axis=0), 0, atol=2e-3)
