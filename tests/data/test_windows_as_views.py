"""Windows gathered from the cycles of their engines are those that used to be copied."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rulbook.data import SUBSETS, Fleet, Prepared, Recipe, cmapss
from rulbook.data.prepare import prepare
from rulbook.data.simulate import simulate

from ..windows_oracle import copied_windows

CONDITIONS = {"FD001": 1, "FD002": 6, "FD003": 1, "FD004": 6}


def assert_equal_to_copies(fleet: Fleet, recipe: Recipe) -> None:
    """Compare every array bit for bit."""
    prepared = prepare(fleet, recipe)
    for part, arrays in copied_windows(fleet, recipe, CONDITIONS[fleet.subset]).items():
        windows = getattr(prepared, part)
        for name, expected in arrays.items():
            found = getattr(windows, name)
            assert found.dtype == expected.dtype, (part, name)
            assert found.tobytes() == expected.tobytes(), (part, name)


@pytest.mark.parametrize("subset", SUBSETS)
def test_every_subset(subset: str) -> None:
    assert_equal_to_copies(simulate(subset), Recipe())


@settings(max_examples=8, deadline=None)
@given(
    subset=st.sampled_from(SUBSETS),
    recipe=st.builds(
        Recipe,
        features=st.sampled_from(["settings+sensors", "sensors"]),
        window=st.integers(1, 120),
        stride=st.integers(1, 40),
        rul_cap=st.none() | st.integers(80, 200),
        cap_training_rul=st.booleans(),
        validation_fraction=st.floats(0.05, 0.6),
        split_seed=st.integers(0, 100),
    ),
)
def test_every_recipe(subset: str, recipe: Recipe) -> None:
    assert_equal_to_copies(simulate(subset), recipe)


@pytest.mark.slow
@pytest.mark.parametrize("subset", SUBSETS)
def test_real_subsets(subset: str, real_data: Path) -> None:
    assert_equal_to_copies(cmapss.read(subset, real_data), Recipe())


@pytest.fixture(scope="module")
def prepared(simulated_fleet: Fleet) -> Prepared:
    return prepare(simulated_fleet)


def test_gathering_and_taking_are_indexing(prepared: Prepared) -> None:
    windows = prepared.train
    drawn = np.random.default_rng(0).integers(len(windows), size=50)
    for index in (drawn, windows.health == 2, slice(10, 40, 3), slice(0, 0)):
        expected = windows.x[index]
        np.testing.assert_array_equal(windows.gather(index), expected)
        np.testing.assert_array_equal(windows.take(index).x, expected)
        assert windows.gather(index).flags.c_contiguous


def test_windows_of_one_table_share_their_cycles(prepared: Prepared) -> None:
    train, validation = prepared.train, prepared.validation
    assert train.cycle_features is validation.cycle_features
    assert train.take(train.health == 1).cycle_features is train.cycle_features
    assert prepared.test.cycle_features is prepared.test_every_window.cycle_features


def test_what_is_gathered_is_a_copy(prepared: Prepared) -> None:
    before = prepared.test.cycle_features.copy()
    prepared.test.gather(slice(0, 5))[:] = 7.0
    prepared.test.x[:] = 7.0
    np.testing.assert_array_equal(prepared.test.cycle_features, before)


def test_preparing_copies_no_window(simulated_fleet: Fleet) -> None:
    prepare(simulated_fleet)
    tracemalloc.start()
    try:
        prepared = prepare(simulated_fleet)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < prepared.train.x.nbytes / 2
