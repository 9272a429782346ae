import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rulbook.metrics import rmse
from rulbook.statistics import (
    compare_over_engines,
    compare_over_seeds,
    holm,
    over_seeds,
    rmse_over_engines,
    smallest_detectable_difference,
)

numbers = st.floats(-100, 100).map(lambda number: round(number, 3))
p_values = st.lists(st.floats(0, 1), min_size=1, max_size=12)


class TestOverSeeds:
    @given(st.lists(numbers, min_size=2, max_size=10))
    def test_interval_is_scipys(self, values: list[float]) -> None:
        estimate = over_seeds(values)
        assert estimate.value == pytest.approx(np.mean(values))
        assert estimate.n == len(values)
        if np.ptp(values) > 0:
            expected = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
            assert (estimate.low, estimate.high) == pytest.approx(tuple(expected))

    def test_five_seeds_by_table(self) -> None:
        estimate = over_seeds([1.0, 2.0, 3.0, 4.0, 5.0])
        assert estimate.high - estimate.value == pytest.approx(2.7764 * math.sqrt(0.5), rel=1e-4)

    def test_one_seed_has_no_interval(self) -> None:
        estimate = over_seeds([3.0])
        assert estimate.value == 3.0
        assert math.isnan(estimate.low)
        assert math.isnan(estimate.high)

    @pytest.mark.parametrize("values", [[], [[1.0, 2.0]]])
    def test_refuses_what_is_not_one_value_a_seed(self, values: list[object]) -> None:
        with pytest.raises(ValueError, match="one value a seed"):
            over_seeds(values)


class TestOverEngines:
    @pytest.fixture
    def errors(self) -> np.ndarray:
        return np.random.default_rng(1).normal(0.0, 14.0, size=(5, 120))

    def test_value_is_the_rmse_of_all(self, errors: np.ndarray) -> None:
        estimate = rmse_over_engines(errors)
        assert estimate.value == pytest.approx(rmse(errors.ravel(), np.zeros(errors.size)))
        assert estimate.low < estimate.value < estimate.high
        assert estimate.n == 120

    def test_interval_narrows_with_the_root_of_the_engines(self) -> None:
        random = np.random.default_rng(2)

        def width(engines: int) -> float:
            estimate = rmse_over_engines(random.normal(0.0, 14.0, size=(1, engines)))
            return estimate.high - estimate.low

        assert width(100) / width(1600) == pytest.approx(4.0, rel=0.3)

    def test_standard_error_is_that_of_the_delta_method(self) -> None:
        errors = np.random.default_rng(3).normal(0.0, 14.0, size=(1, 1000))
        squared = np.square(errors[0])
        expected = squared.std(ddof=1) / math.sqrt(1000) / (2 * math.sqrt(squared.mean()))
        assert rmse_over_engines(errors).standard_error == pytest.approx(expected, rel=0.05)

    def test_a_method_ties_with_itself(self, errors: np.ndarray) -> None:
        comparison = compare_over_engines(errors, errors)
        assert (comparison.difference, comparison.low, comparison.high) == (0.0, 0.0, 0.0)
        assert comparison.p_value == 1.0
        assert comparison.is_tie

    def test_every_number_is_a_float_as_notebooks_show_it(self, errors: np.ndarray) -> None:
        found = vars(compare_over_engines(errors, errors + 1.0))
        assert {type(value) for name, value in found.items() if name != "n"} == {float}

    def test_a_clear_difference_is_seen(self, errors: np.ndarray) -> None:
        comparison = compare_over_engines(1.5 * errors, errors)
        assert comparison.difference == pytest.approx(0.5 * rmse_over_engines(errors).value)
        assert 0 < comparison.low < comparison.difference < comparison.high
        assert comparison.p_value < 0.001
        assert not comparison.is_tie

    def test_swapping_the_methods_turns_the_sign(self, errors: np.ndarray) -> None:
        other = errors + np.random.default_rng(4).normal(0.0, 3.0, size=errors.shape)
        there, back = compare_over_engines(errors, other), compare_over_engines(other, errors)
        assert there.difference == pytest.approx(-back.difference)
        assert (there.low, there.high) == pytest.approx((-back.high, -back.low))
        assert there.p_value == pytest.approx(back.p_value)
        assert there.smallest_detectable == pytest.approx(back.smallest_detectable)

    def test_pairing_by_engine_is_what_finds_small_differences(self, errors: np.ndarray) -> None:
        paired = compare_over_engines(1.05 * errors, errors)
        shuffled = compare_over_engines(1.05 * errors, errors[:, ::-1])
        assert paired.difference == pytest.approx(shuffled.difference)
        assert not paired.is_tie
        assert shuffled.is_tie
        assert paired.smallest_detectable < shuffled.smallest_detectable / 3

    def test_p_value_and_interval_agree(self) -> None:
        random = np.random.default_rng(5)
        for _ in range(15):
            errors = random.normal(0.0, 14.0, size=(2, 60))
            other = 0.95 * errors + random.normal(0.0, 4.0, size=(2, 60))
            comparison = compare_over_engines(errors, other)
            if abs(comparison.p_value - 0.05) > 0.002:
                assert comparison.is_tie == (comparison.low <= 0 <= comparison.high)

    @pytest.mark.parametrize("factor", [0.97, 0.975, 0.98])
    def test_p_value_is_near_the_normal_one_for_many_engines(self, factor: float) -> None:
        random = np.random.default_rng(7)
        errors = random.normal(0.0, 14.0, size=(1, 2000))
        other = factor * errors + random.normal(0.0, 3.0, size=(1, 2000))
        comparison = compare_over_engines(errors, other)
        error = comparison.smallest_detectable / smallest_detectable_difference(1.0)
        expected = 2 * stats.norm.sf(abs(comparison.difference) / error)
        assert comparison.p_value == pytest.approx(expected, abs=0.01, rel=0.1)

    def test_methods_may_have_other_seed_counts_but_not_other_engines(
        self, errors: np.ndarray
    ) -> None:
        assert compare_over_engines(errors, errors[:1]).n == 120
        with pytest.raises(ValueError, match="120 and 119 engines"):
            compare_over_engines(errors, errors[:, 1:])

    def test_same_numbers_every_time(self, errors: np.ndarray) -> None:
        other = errors + 2.0
        assert compare_over_engines(errors, other) == compare_over_engines(errors, other)

    @pytest.mark.parametrize("shape", [(120,), (5, 1), (0, 120), (2, 3, 4)])
    def test_refuses_other_shapes(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(ValueError, match="seeds"):
            rmse_over_engines(np.zeros(shape))

    @pytest.mark.slow
    def test_level_is_kept_where_there_is_no_difference(self) -> None:
        random = np.random.default_rng(6)
        rejected = sum(
            not compare_over_engines(
                random.normal(0.0, 14.0, size=(1, 100)), random.normal(0.0, 14.0, size=(1, 100))
            ).is_tie
            for _ in range(200)
        )
        assert 2 <= rejected <= 22


class TestCompareOverSeeds:
    @given(st.lists(st.tuples(numbers, numbers), min_size=3, max_size=10))
    def test_p_value_and_interval_are_those_of_the_mean_difference(
        self, rows: list[tuple[float, float]]
    ) -> None:
        first, second = np.array(rows).T
        if np.ptp(first - second) < 1e-6:
            return
        expected = stats.ttest_1samp(first - second, 0.0)
        comparison = compare_over_seeds(first, second)
        assert comparison.p_value == pytest.approx(expected.pvalue, abs=1e-9)
        interval = expected.confidence_interval(0.95)
        assert (comparison.low, comparison.high) == pytest.approx(tuple(interval))

    def test_without_noise(self) -> None:
        same = compare_over_seeds([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
        assert (same.difference, same.p_value, same.is_tie) == (0.0, 1.0, True)
        apart = compare_over_seeds([2.0, 3.0, 4.0], [1.0, 2.0, 3.0])
        assert (apart.difference, apart.p_value, apart.is_tie) == (1.0, 0.0, False)

    def test_needs_pairs(self) -> None:
        for first, second in (([1.0], [2.0]), ([1.0, 2.0], [1.0])):
            with pytest.raises(ValueError, match="two or more seeds"):
                compare_over_seeds(first, second)


class TestHolm:
    def test_by_hand(self) -> None:
        assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
        assert holm([0.5, 0.9]) == [1.0, 1.0]
        assert holm([]) == []

    @given(p_values)
    def test_lies_between_none_and_bonferroni(self, raw: list[float]) -> None:
        corrected = np.array(holm(raw))
        assert (corrected >= np.array(raw)).all()
        assert (corrected <= np.minimum(1.0, len(raw) * np.array(raw)) + 1e-12).all()
        assert min(corrected) == pytest.approx(min(1.0, len(raw) * min(raw)))

    @given(p_values, st.randoms(use_true_random=False))
    def test_order_of_the_input_does_not_matter(self, raw: list[float], shuffler) -> None:
        order = list(range(len(raw)))
        shuffler.shuffle(order)
        corrected = holm(raw)
        assert holm([raw[i] for i in order]) == pytest.approx([corrected[i] for i in order])

    @given(p_values)
    def test_smaller_stays_smaller(self, raw: list[float]) -> None:
        order = np.argsort(raw)
        assert (np.diff(np.array(holm(raw))[order]) >= 0).all()


class TestSmallestDetectable:
    def test_normal_case_is_the_textbook_factor(self) -> None:
        assert smallest_detectable_difference(1.0) == pytest.approx(2.8016, abs=1e-4)

    @settings(max_examples=20, deadline=None)
    @given(st.integers(1, 60), st.floats(0.1, 20))
    def test_scales_with_noise_and_falls_with_seeds(self, degrees: int, error: float) -> None:
        one = smallest_detectable_difference(1.0, degrees)
        assert smallest_detectable_difference(error, degrees) == pytest.approx(error * one)
        assert one > smallest_detectable_difference(1.0, degrees + 1) > 2.8

    def test_simulated_power_is_eighty_percent(self) -> None:
        seeds, spread = 5, 2.0
        difference = smallest_detectable_difference(spread / math.sqrt(seeds), seeds - 1)
        drawn = np.random.default_rng(0).normal(difference, spread, size=(20_000, seeds))
        power = (stats.ttest_1samp(drawn, 0.0, axis=1).pvalue < 0.05).mean()
        assert power == pytest.approx(0.8, abs=0.01)
