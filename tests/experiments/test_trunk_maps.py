import numpy as np
import pytest

from rulbook.data.prepare import HEALTH_STATES, prepare
from rulbook.data.simulate import simulate
from rulbook.experiments.trunk_maps import (
    neighbour_recall,
    trunk_maps,
    tsne_map,
)
from rulbook.training import RunConfig


@pytest.fixture(scope="module")
def prepared():
    return prepare(simulate("FD001"))


def test_states_that_lie_apart_are_told_by_their_neighbours():
    random = np.random.default_rng(0)
    health, unit = np.repeat([0, 1, 2], 40), np.tile(np.arange(10), 12)
    points = np.eye(3)[health][:, :2] * 100 + random.normal(size=(120, 2))
    assert neighbour_recall(points, health, unit) == 1.0


def test_points_that_lie_anywhere_are_at_chance():
    random = np.random.default_rng(0)
    health, unit = random.integers(0, 3, 3000), random.integers(0, 50, 3000)
    found = neighbour_recall(random.normal(size=(3000, 2)), health, unit)
    assert found == pytest.approx(1 / len(HEALTH_STATES), abs=0.03)


def test_a_neighbour_of_the_same_engine_tells_nothing():
    """Each engine lies on a spot of its own, at one state; only its own windows are near."""
    unit = np.repeat(np.arange(30), 20)
    points = np.random.default_rng(0).normal(scale=100, size=(30, 2))[unit]
    health = np.random.default_rng(1).integers(0, 3, 30)[unit]
    assert neighbour_recall(points, health, unit) < 0.6
    with pytest.raises(ValueError, match="two engines"):
        neighbour_recall(points, health, np.zeros(600))


def test_a_map_keeps_apart_what_is_apart_and_repeats():
    random = np.random.default_rng(0)
    health = np.repeat([0, 1, 2], 40)
    features = np.eye(3)[health] * 20 + random.normal(size=(120, 3))
    first = tsne_map(features, 0)
    np.testing.assert_array_equal(first, tsne_map(features, 0))
    assert neighbour_recall(first, health, np.tile(np.arange(10), 12)) == 1.0


def test_the_same_windows_are_mapped_before_and_after_the_training(prepared):
    config = RunConfig(subset="FD001", data_digest=prepared.digest, seed=7, batch_size=16)
    maps = trunk_maps(config, prepared, 3, n_windows=60)
    assert list(maps.points) == ["untrained", "trained"]
    assert {points.shape for points in maps.points.values()} == {(60, 2)}
    assert len(maps.windows) == 60
    assert not np.allclose(maps.points["untrained"], maps.points["trained"])
    assert set(maps.agreement) == set(maps.points)
    assert all(0 <= told <= 1 for told in maps.agreement.values())
