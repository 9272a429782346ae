"""Facts of the real C-MAPSS files that the protocol rests on."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from rulbook import data
from rulbook.data import Fleet, Prepared, cmapss
from rulbook.data.prepare import Recipe, prepare


@dataclass(frozen=True)
class Facts:
    train_rows: int
    test_rows: int
    train_engines: int
    test_engines: int
    conditions: int
    short_test_engines: int
    windows: int
    test_share_above_cap: float


FACTS = {
    "FD001": Facts(20631, 13096, 100, 100, 1, 0, 17731, 0.11),
    "FD002": Facts(53759, 33991, 260, 259, 6, 6, 46219, 0.22),
    "FD003": Facts(24720, 16596, 100, 100, 1, 0, 21820, 0.15),
    "FD004": Facts(61249, 41214, 249, 248, 6, 11, 54028, 0.27),
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
    facts = FACTS[fleet.subset]
    assert len(fleet.train) == facts.train_rows
    assert len(fleet.test) == facts.test_rows
    assert fleet.train["unit"].nunique() == facts.train_engines
    assert fleet.test["unit"].nunique() == len(fleet.test_rul) == facts.test_engines
    assert (fleet.test.groupby("unit").size() < 30).sum() == facts.short_test_engines
    above = (fleet.test_rul > 125).mean()
    assert above == pytest.approx(facts.test_share_above_cap, abs=0.005)


def test_cycles_count_from_one_without_gaps(fleet: Fleet) -> None:
    for table in (fleet.train, fleet.test):
        assert (table.groupby("unit")["cycle"].min() == 1).all()
        assert table.groupby("unit")["cycle"].agg(lambda cycle: (cycle.diff()[1:] == 1).all()).all()


def test_operating_conditions(fleet: Fleet) -> None:
    flown = fleet.train[["setting_1", "setting_3"]].round().abs()
    assert len(flown.drop_duplicates()) == FACTS[fleet.subset].conditions


def test_windows(fleet: Fleet, prepared: Prepared) -> None:
    facts = FACTS[fleet.subset]
    assert len(prepared.train) + len(prepared.validation) == facts.windows
    assert len(prepared.test) == facts.test_engines
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
    engines = FACTS[prepared.subset].train_engines
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
