import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, root_mean_squared_error

from rulbook.metrics import (
    balanced_accuracy,
    health_accuracy,
    linear_probe,
    majority_share,
    mean_error,
    nasa_penalties,
    nasa_score,
    recall_per_class,
    rmse,
)

cycles = st.floats(0, 300)
pairs = st.lists(st.tuples(cycles, cycles), min_size=1, max_size=30).map(
    lambda rows: (np.array(rows)[:, 0], np.array(rows)[:, 1])
)
states = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=40).map(
    lambda rows: (np.array(rows)[:, 0], np.array(rows)[:, 1])
)
METRICS = (
    rmse,
    mean_error,
    nasa_score,
    health_accuracy,
    balanced_accuracy,
    recall_per_class,
)


class TestRul:
    @given(pairs)
    def test_rmse_is_scikit_learns(self, pair: tuple[np.ndarray, np.ndarray]) -> None:
        predicted, true = pair
        assert rmse(predicted, true) == pytest.approx(root_mean_squared_error(true, predicted))

    @given(pairs, st.floats(-50, 50))
    def test_mean_error_is_the_bias(
        self, pair: tuple[np.ndarray, np.ndarray], shift: float
    ) -> None:
        predicted, true = pair
        moved = mean_error(predicted + shift, true)
        assert moved == pytest.approx(mean_error(predicted, true) + shift, abs=1e-9)
        assert mean_error(true + shift, true) == pytest.approx(shift, abs=1e-9)

    @given(pairs)
    def test_squared_rmse_is_variance_plus_squared_bias(
        self, pair: tuple[np.ndarray, np.ndarray]
    ) -> None:
        predicted, true = pair
        expected = np.var(predicted - true) + mean_error(predicted, true) ** 2
        assert rmse(predicted, true) ** 2 == pytest.approx(expected, abs=1e-9)

    def test_nasa_score_by_hand(self) -> None:
        assert nasa_score([113.0], [100.0]) == pytest.approx(math.exp(1.3) - 1)
        assert nasa_score([87.0], [100.0]) == pytest.approx(math.e - 1)
        assert nasa_score([110.0, 87.0], [100.0, 100.0]) == pytest.approx(2 * (math.e - 1))
        assert nasa_score([100.0], [100.0]) == 0.0

    @given(pairs)
    def test_nasa_score_is_the_sum_of_penalties(self, pair: tuple[np.ndarray, np.ndarray]) -> None:
        predicted, true = pair
        penalties = nasa_penalties(predicted - true)
        assert (penalties >= 0).all()
        assert nasa_score(predicted, true) == penalties.sum()
        assert (nasa_penalties((predicted - true)[:, np.newaxis]).ravel() == penalties).all()

    @given(pairs)
    def test_nasa_score_is_a_sum_that_punishes_lateness(
        self, pair: tuple[np.ndarray, np.ndarray]
    ) -> None:
        predicted, true = pair
        parts = sum(nasa_score([p], [t]) for p, t in zip(predicted, true, strict=True))
        assert nasa_score(predicted, true) == pytest.approx(parts, rel=1e-9)
        distance = np.abs(predicted - true)
        assert nasa_score(true + distance, true) >= nasa_score(true - distance, true)

    def test_nasa_score_of_a_diverged_network_is_infinite_without_a_warning(self) -> None:
        assert nasa_score([1e6], [0.0]) == math.inf


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("predicted", "true"),
    [([1, 2], [1]), ([[1], [2]], [1, 2]), ([1, 2], [[1], [2]]), ([[1, 2]], [[1, 2]]), ([], [])],
)
def test_shapes_that_would_broadcast_are_refused(metric, predicted, true) -> None:
    with pytest.raises(ValueError, match="vectors of one length"):
        metric(predicted, true)


class TestHealth:
    @pytest.mark.parametrize("wrong", [7, -1, 0.5, np.nan])
    @pytest.mark.parametrize("metric", [recall_per_class, balanced_accuracy])
    def test_what_is_no_class_is_refused_on_either_side(self, metric, wrong: float) -> None:
        for pair in (([0, 1, 2], [wrong, 1, 2]), ([wrong, 1, 2], [0, 1, 2])):
            with pytest.raises(ValueError, match="whole numbers of 0 or more below 3, not"):
                metric(*pair)

    @pytest.mark.parametrize("wrong", [-1, 0.5, np.nan])
    def test_what_is_no_number_of_a_class_is_refused(self, wrong: float) -> None:
        with pytest.raises(ValueError, match="whole numbers of 0 or more, not"):
            health_accuracy([wrong, 1], [wrong, 1])
        with pytest.raises(ValueError, match="whole numbers of 0 or more, not"):
            majority_share([wrong, 1])

    def test_without_samples_no_class_is_the_most_frequent(self) -> None:
        with pytest.raises(ValueError, match="no sample"):
            majority_share([])

    def test_more_classes_can_be_asked_for(self) -> None:
        assert balanced_accuracy([0, 4], [0, 4], n_classes=5) == 1.0

    @given(states)
    def test_balanced_accuracy_is_scikit_learns(self, pair: tuple[np.ndarray, np.ndarray]) -> None:
        predicted, true = pair
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            expected = balanced_accuracy_score(true, predicted)
        assert balanced_accuracy(predicted, true) == pytest.approx(expected)

    @given(states)
    def test_accuracy_is_recall_weighted_by_frequency(
        self, pair: tuple[np.ndarray, np.ndarray]
    ) -> None:
        predicted, true = pair
        recall = recall_per_class(predicted, true)
        shares = np.bincount(true, minlength=3) / len(true)
        assert np.nansum(recall * shares) == pytest.approx(health_accuracy(predicted, true))
        np.testing.assert_array_equal(np.isnan(recall), shares == 0)

    @given(states, st.integers(0, 2))
    def test_one_answer_for_all_is_at_chance(
        self, pair: tuple[np.ndarray, np.ndarray], answer: int
    ) -> None:
        _, true = pair
        constant = np.full_like(true, answer)
        assert health_accuracy(constant, true) <= majority_share(true)
        if answer in true:
            assert balanced_accuracy(constant, true) == pytest.approx(1 / len(np.unique(true)))

    def test_by_hand(self) -> None:
        predicted, true = [0, 0, 1, 2, 2], [0, 0, 0, 1, 2]
        assert health_accuracy(predicted, true) == pytest.approx(0.6)
        np.testing.assert_allclose(recall_per_class(predicted, true), [2 / 3, 0, 1])
        assert balanced_accuracy(predicted, true) == pytest.approx(5 / 9)
        assert majority_share(true) == pytest.approx(0.6)


class TestLinearProbe:
    @staticmethod
    def samples(random: np.random.Generator, distance: float) -> tuple[np.ndarray, np.ndarray]:
        health = random.integers(0, 3, size=600)
        centres = distance * np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])
        return centres[health] + random.normal(size=(600, 2)), health

    def test_reads_what_is_linearly_there(self) -> None:
        random = np.random.default_rng(0)
        probe = linear_probe(*self.samples(random, 6.0), *self.samples(random, 6.0))
        assert probe.accuracy > 0.98
        assert probe.balanced_accuracy > 0.98
        assert (probe.recall > 0.97).all()

    def test_is_at_chance_where_nothing_is_there(self) -> None:
        random = np.random.default_rng(0)
        probe = linear_probe(*self.samples(random, 0.0), *self.samples(random, 0.0))
        assert probe.balanced_accuracy == pytest.approx(1 / 3, abs=0.06)
        assert probe.majority_share == pytest.approx(1 / 3, abs=0.06)

    def test_scale_and_shift_of_features_do_not_matter(self) -> None:
        random = np.random.default_rng(0)
        train, train_health = self.samples(random, 1.0)
        test, test_health = self.samples(random, 1.0)
        plain = linear_probe(train, train_health, test, test_health)
        moved = linear_probe(1e4 * train + 7, train_health, 1e4 * test + 7, test_health)
        assert moved.accuracy == plain.accuracy

    def test_what_is_no_health_state_is_refused(self) -> None:
        features, five = np.zeros((30, 4)), np.arange(30) % 5
        with pytest.raises(ValueError, match="below 3, not 3"):
            linear_probe(features, five, features, five)
        with pytest.raises(ValueError, match="at least two health states"):
            linear_probe(features, np.ones(30), features, np.ones(30))

    def test_constant_features_are_no_fault(self) -> None:
        health = np.arange(30) % 3
        probe = linear_probe(np.zeros((30, 4)), health, np.zeros((30, 4)), health)
        assert probe.balanced_accuracy == pytest.approx(1 / 3)
