import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rulbook import statistics
from rulbook.metrics import rmse
from rulbook.statistics import (
    POWER,
    CrossedComparison,
    Outcome,
    compare_crossed,
    compare_over_seeds,
    estimate_crossed,
    holm,
    over_seeds,
    p_value_below,
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
    def test_refuses_errors_that_are_no_numbers(self) -> None:
        with pytest.raises(ValueError, match="errors must be finite numbers"):
            rmse_over_engines([[1.0, math.nan, 3.0]])

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

    @pytest.mark.parametrize("shape", [(120,), (5, 1), (0, 120), (2, 3, 4)])
    def test_refuses_other_shapes(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(ValueError, match="seeds"):
            rmse_over_engines(np.zeros(shape))


def crossed_noise(
    random: np.random.Generator, seeds: int, engines: int, spreads: tuple[float, float, float]
) -> np.ndarray:
    """Return noise of seeds, of engines and of single cells, (seeds, engines)."""
    by_seed, by_engine, by_cell = spreads
    return (
        random.normal(0.0, by_seed, size=(seeds, 1))
        + random.normal(0.0, by_engine, size=(1, engines))
        + random.normal(0.0, by_cell, size=(seeds, engines))
    )


def squared_errors(
    random: np.random.Generator, factor: float, common: np.ndarray, by_seed: float = 0.3
) -> np.ndarray:
    """Return squared errors of a method that shares its engines' difficulty with the others."""
    own = crossed_noise(random, 5, len(common), (by_seed, 0.0, 4.0))
    return np.square(factor * common + own)


class TestCompareCrossed:
    @pytest.fixture
    def common(self) -> np.ndarray:
        return np.random.default_rng(1).normal(0.0, 14.0, size=100)

    @pytest.fixture
    def few_resamples(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """End every bootstrap after its first resamples: for simulations of many data sets."""
        monkeypatch.setattr(statistics, "MAXIMUM_RESAMPLES", statistics.RESAMPLES)

    @pytest.mark.slow
    @pytest.mark.usefixtures("few_resamples")
    @pytest.mark.parametrize(
        "spreads",
        [
            (0.0, 1.0, 0.0),
            (0.0, 1.0, 1.0),
            (0.1, 1.0, 1.0),
            (0.3, 1.0, 0.5),
            (0.1, 0.1, 2.0),
            (1.0, 0.0, 0.0),
        ],
    )
    def test_interval_covers_the_truth_whatever_varies(
        self, spreads: tuple[float, float, float]
    ) -> None:
        random = np.random.default_rng(2)
        family = [
            (0.7 + crossed_noise(random, 5, 50, spreads), np.zeros((5, 50))) for _ in range(400)
        ]
        found = compare_crossed(family, "mean")
        covered = np.mean([c.low <= 0.7 <= c.high for c in found])
        # Two standard errors of the share of 400 are 2.2 points.
        assert 0.928 <= covered <= 0.985

    @pytest.mark.slow
    @pytest.mark.usefixtures("few_resamples")
    def test_the_family_keeps_its_level(self) -> None:
        random = np.random.default_rng(3)
        families = [
            [(crossed_noise(random, 5, 40, (0.3, 1.0, 1.0)), np.zeros((5, 40))) for _ in range(10)]
            for _ in range(40)
        ]
        wrong = sum(
            any(c.outcome is not Outcome.TIE for c in compare_crossed(family, "mean"))
            for family in families
        )
        assert wrong <= 6

    def test_without_noise_of_seeds_it_is_the_bootstrap_over_engines(
        self, common: np.ndarray
    ) -> None:
        random = np.random.default_rng(4)
        errors = np.tile(common, (5, 1))
        other = np.tile(1.03 * common + random.normal(0.0, 4.0, size=100), (5, 1))
        crossed = compare_crossed([(np.square(errors), np.square(other))])[0]
        still = np.zeros(100)
        engines = stats.bootstrap(
            (np.square(errors[0]), np.square(other[0])),
            lambda one, two, axis: np.sqrt(one.mean(axis=axis)) - np.sqrt(two.mean(axis=axis)),
            paired=True,
            method="percentile",
            rng=0,
        )
        assert crossed.difference == pytest.approx(rmse(errors[0], still) - rmse(other[0], still))
        assert (crossed.low, crossed.high) == pytest.approx(engines.confidence_interval, abs=0.04)
        below = (engines.bootstrap_distribution < 0).mean()
        assert crossed.p_value == pytest.approx(2 * min(below, 1 - below), abs=0.02)
        found = smallest_detectable_difference(float(engines.standard_error))
        assert crossed.smallest_detectable == pytest.approx(found, rel=0.1)

    @pytest.mark.parametrize("count", [5, 8])
    def test_without_noise_of_engines_it_is_the_paired_t_over_seeds(self, count: int) -> None:
        first = np.array([3.1, 2.4, 4.0, 2.9, 3.3, 3.6, 2.1, 3.0])[:count]
        second = np.array([2.0, 2.2, 3.1, 3.0, 2.3, 3.8, 2.6, 2.7])[:count]
        across = np.ones((1, 30))
        crossed = compare_crossed([(first[:, None] * across, second[:, None] * across)], "mean")[0]
        seeds = compare_over_seeds(first, second)
        assert crossed.difference == pytest.approx(seeds.difference)
        assert crossed.p_value == pytest.approx(seeds.p_value, rel=0.15)
        assert crossed.high - crossed.low == pytest.approx(seeds.high - seeds.low, rel=0.1)
        assert crossed.smallest_detectable == pytest.approx(seeds.smallest_detectable, rel=0.1)

    def test_pairs_of_a_family_are_resampled_over_seeds_of_their_own_number(self) -> None:
        random = np.random.default_rng(19)
        noise = [crossed_noise(random, seeds, 40, (1.0, 0.5, 0.5)) for seeds in (8, 5, 8)]
        family = [(0.7 + losses, np.zeros_like(losses)) for losses in noise]
        together = compare_crossed(family, "mean")
        assert [c.seeds for c in together] == [8, 5, 8]
        for pair, found in zip(family, together, strict=True):
            alone = compare_crossed([pair], "mean")[0]
            near = 0.03 * (alone.high - alone.low)
            assert found.difference == alone.difference
            assert (found.low, found.high) == pytest.approx((alone.low, alone.high), abs=near)
            assert found.p_value == pytest.approx(alone.p_value, abs=0.02)

    def test_noise_of_seeds_widens_the_interval(self, common: np.ndarray) -> None:
        def width(by_seed: float) -> float:
            random = np.random.default_rng(5)
            first, second = (squared_errors(random, 1.0, common, by_seed) for _ in range(2))
            comparison = compare_crossed([(first, second)])[0]
            return comparison.high - comparison.low

        assert width(0.0) < width(2.0) < width(6.0)

    def test_order_of_engines_seeds_and_pairs_does_not_matter(self, common: np.ndarray) -> None:
        random = np.random.default_rng(6)
        base = squared_errors(random, 1.0, common)
        family = [(squared_errors(random, factor, common), base) for factor in (1.02, 0.7, 1.5)]
        engines, seeds = random.permutation(100), random.permutation(5)
        moved = [(first[seeds][:, engines], second[seeds][:, engines]) for first, second in family]
        straight, back = compare_crossed(family), compare_crossed(moved[::-1])[::-1]
        assert [c.outcome for c in straight] == [c.outcome for c in back]
        for one, other in zip(straight, back, strict=True):
            assert one.difference == pytest.approx(other.difference)
            assert (one.low, one.high) == pytest.approx((other.low, other.high), abs=0.1)

    def test_swapping_the_methods_turns_the_sign(self, common: np.ndarray) -> None:
        random = np.random.default_rng(7)
        first, second = squared_errors(random, 1.0, common), squared_errors(random, 1.2, common)
        there = compare_crossed([(first, second)])[0]
        back = compare_crossed([(second, first)])[0]
        assert there.difference == -back.difference
        assert (there.low, there.high) == pytest.approx((-back.high, -back.low))
        assert there.p_value == back.p_value

    @pytest.mark.parametrize("axis", [0, 1])
    def test_pairing_is_what_finds_small_differences(self, axis: int) -> None:
        random = np.random.default_rng(8)
        spreads = (2.0, 0.0, 0.1) if axis == 0 else (0.0, 2.0, 0.1)
        losses = 10.0 + crossed_noise(random, 5, 40, spreads)
        paired = compare_crossed([(losses + 0.4, losses)], "mean")[0]
        shuffled = compare_crossed([(losses + 0.4, np.flip(losses, axis))], "mean")[0]
        assert paired.outcome is Outcome.HIGHER
        assert shuffled.outcome is Outcome.TIE

    def test_a_random_state_moves_no_outcome(self, common: np.ndarray) -> None:
        random = np.random.default_rng(9)
        common = common[:40]
        base = squared_errors(random, 1.0, common)
        family = [
            (squared_errors(random, factor, common), base) for factor in np.linspace(0.6, 1.4, 5)
        ]
        outcomes = {
            tuple(c.outcome for c in compare_crossed(family, margin=0.5, random_state=state))
            for state in range(5)
        }
        assert len(outcomes) == 1
        assert {Outcome.LOWER, Outcome.HIGHER, Outcome.TIE} <= set(outcomes.pop())

    def test_an_outcome_that_hangs_on_the_random_state_is_undecided(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(statistics, "RESAMPLES", statistics.MAXIMUM_RESAMPLES)
        losses = crossed_noise(np.random.default_rng(10), 5, 12, (0.3, 1.0, 1.0))
        zero = np.zeros_like(losses)
        bound = compare_crossed([(losses, zero)], "mean")[0].low
        on_the_edge = compare_crossed([(losses - bound, zero)], "mean", margin=0.1)[0]
        assert on_the_edge.p_holm == pytest.approx(0.05, abs=1e-4)
        assert on_the_edge.outcome is Outcome.UNDECIDED
        beside_it = compare_crossed([(losses - bound + 0.05, zero)], "mean")[0]
        assert beside_it.outcome is Outcome.HIGHER

    def test_resamples_are_added_where_the_level_is_near(self) -> None:
        losses = crossed_noise(np.random.default_rng(11), 5, 12, (0.3, 1.0, 1.0))
        zero = np.zeros_like(losses)
        bound = compare_crossed([(losses, zero)], "mean")[0].low
        far, near = (
            compare_crossed([(losses - bound + shift, zero)], "mean")[0] for shift in (3.0, -0.05)
        )
        assert far.resamples == statistics.RESAMPLES < near.resamples
        assert near.resamples <= statistics.MAXIMUM_RESAMPLES
        assert 0.05 < near.p_value < 0.08

    def test_what_was_compared_before_moves_no_result(self) -> None:
        losses = crossed_noise(np.random.default_rng(11), 6, 12, (0.3, 1.0, 1.0))
        near = losses - compare_crossed([(losses, np.zeros_like(losses))], "mean")[0].low - 0.05

        def compared(seeds: int) -> CrossedComparison:
            return compare_crossed([(near[:seeds], np.zeros_like(near[:seeds]))], "mean")[0]

        statistics._first_draws.cache_clear()
        alone = compared(6)
        assert alone.resamples > statistics.RESAMPLES, "it must go on after its first draws"
        statistics._first_draws.cache_clear()
        five = compared(5)
        assert (compared(6), compared(5), compared(6)) == (alone, five, alone)

    @pytest.mark.parametrize("seeds", [1, 4])
    def test_no_outcome_with_fewer_than_five_seeds(self, seeds: int, common: np.ndarray) -> None:
        random = np.random.default_rng(12)
        base = squared_errors(random, 1.0, common)
        clear = squared_errors(random, 2.0, common)
        few = compare_crossed([(clear[:seeds], base[:seeds])], margin=0.5)[0]
        assert few.outcome is Outcome.TOO_FEW_SEEDS
        assert few.difference > 5
        assert few.seeds == seeds
        assert math.isnan(few.low)
        assert math.isnan(few.p_holm)
        assert few.is_equivalent is few.is_no_worse is few.is_beyond is None

        alone = compare_crossed([(clear, base)])
        beside = compare_crossed([(clear[:seeds], base[:seeds]), (clear, base)])
        # Without a margin some of it is NaN, which from Python 3.13 on makes a dataclass unequal.
        assert repr(beside[1]) == repr(alone[0])
        assert alone[0].outcome is Outcome.HIGHER

    def test_equivalence_needs_a_margin_and_little_noise(self) -> None:
        random = np.random.default_rng(13)
        zero = np.zeros((5, 60))
        quiet, noisy = (crossed_noise(random, 5, 60, (0.0, sd, sd)) for sd in (0.3, 3.0))
        off = quiet + 0.3
        found = compare_crossed([(quiet, zero), (noisy, zero), (off, zero)], "mean", margin=0.5)
        assert [c.outcome for c in found] == [Outcome.EQUIVALENT, Outcome.TIE, Outcome.HIGHER]
        assert [c.is_equivalent for c in found] == [True, False, True]
        without = compare_crossed([(quiet, zero)], "mean")[0]
        assert without.outcome is Outcome.TIE
        assert math.isnan(without.p_equivalent)
        assert without.is_equivalent is None

    @pytest.mark.parametrize("shift", [-1.0, 0.3, 0.45, 1.0])
    def test_no_worse_is_the_one_sided_bound(self, shift: float) -> None:
        noise = crossed_noise(np.random.default_rng(14), 5, 400, (0.0, 2.0, 0.0))
        losses = noise - noise.mean() + shift
        found = compare_crossed([(losses, np.zeros_like(losses))], "mean", margin=0.5)[0]
        error = losses[0].std(ddof=1) / math.sqrt(400)
        expected = stats.norm.sf((0.5 - shift) / error)
        assert found.p_no_worse == pytest.approx(expected, abs=0.02)
        assert found.is_no_worse is bool(expected < 0.05)
        assert found.is_equivalent is bool(
            max(expected, stats.norm.sf((0.5 + shift) / error)) < 0.05
        )

    @pytest.mark.parametrize("shift", [-1.0, -0.72, 0.3, 0.72, 1.0])
    def test_beyond_the_margin_is_the_two_sided_bound(self, shift: float) -> None:
        noise = crossed_noise(np.random.default_rng(14), 5, 400, (0.0, 2.0, 0.0))
        losses = noise - noise.mean() + shift
        pair = (losses, np.zeros_like(losses))
        found = compare_crossed([pair], "mean", margin=0.5)[0]
        error = losses[0].std(ddof=1) / math.sqrt(400)
        expected = min(1.0, 2 * stats.norm.sf((abs(shift) - 0.5) / error))
        assert found.p_beyond == pytest.approx(expected, abs=0.02)
        assert found.is_beyond is bool(expected < 0.05)
        of_two = compare_crossed([pair, pair], "mean", margin=0.5)[0]
        assert of_two.p_beyond == pytest.approx(min(1.0, 2 * found.p_beyond), abs=1e-9)

    def test_equivalence_is_corrected_after_the_larger_p_value_is_taken(self) -> None:
        """One pair may be too high and the other too low: each side alone has one small p-value."""
        noise = crossed_noise(np.random.default_rng(14), 5, 400, (0.0, 2.0, 0.0))
        centred = noise - noise.mean()
        zero = np.zeros_like(centred)
        family = [(centred + shift, zero) for shift in (0.32, -0.32)]
        alone = [compare_crossed([pair], "mean", margin=0.5)[0] for pair in family]
        together = compare_crossed(family, "mean", margin=0.5)
        assert all(0.025 < one.p_equivalent < 0.05 for one in alone)
        assert [one.p_equivalent for one in together] == pytest.approx(
            holm([one.p_equivalent for one in alone]), abs=0.01
        )
        assert not any(one.is_equivalent for one in together)

    def test_correction_is_holms_and_costs_power(self) -> None:
        random = np.random.default_rng(15)
        zero = np.zeros((5, 40))
        shifts = (0.0, 0.3, 0.6, 0.9, 1.5)
        family = [(shift + crossed_noise(random, 5, 40, (0.1, 1.0, 1.0)), zero) for shift in shifts]
        found = compare_crossed(family, "mean")
        assert [c.p_holm for c in found] == holm([c.p_value for c in found])
        by_p_value = sorted(found, key=lambda c: c.p_value)
        assert (np.diff([c.p_holm for c in by_p_value]) >= 0).all()
        alone = compare_crossed(family[:1], "mean")[0]
        assert found[0].smallest_detectable > alone.smallest_detectable
        assert alone.p_holm == alone.p_value

    @pytest.mark.slow
    @pytest.mark.usefixtures("few_resamples")
    @pytest.mark.parametrize("families", [1, 20])
    @pytest.mark.parametrize("spreads", [(0.2, 1.0, 1.0), (0.5, 0.3, 1.0), (0.0, 1.0, 0.2)])
    def test_power_at_the_smallest_detectable_difference(
        self, spreads: tuple[float, float, float], families: int
    ) -> None:
        random = np.random.default_rng(16)
        zero = np.zeros((5, 40))
        noise = [crossed_noise(random, 5, 40, spreads) for _ in range(200)]
        detectable = [
            compare_crossed([(n, zero)], "mean", families=families)[0].smallest_detectable
            for n in noise
        ]
        typical = float(np.sqrt(np.mean(np.square(detectable))))
        p_values = [
            compare_crossed([(n + typical, zero)], "mean", families=families)[0].p_holm
            for n in noise
        ]
        assert np.mean(np.array(p_values) < 0.05) == pytest.approx(POWER, abs=0.07)

    def test_families_share_the_level(self) -> None:
        random = np.random.default_rng(16)
        family = [
            (gap + crossed_noise(random, 5, 40, (0.1, 1.0, 0.2)), np.zeros((5, 40)))
            for gap in (0.6, 0.3)
        ]
        one, three = (compare_crossed(family, "mean", margin=2.0, families=n) for n in (1, 3))
        for alone, shared in zip(one, three, strict=True):
            for name in ("p_holm", "p_no_worse", "p_equivalent", "p_beyond"):
                expected = min(1.0, 3 * getattr(alone, name))
                assert getattr(shared, name) == pytest.approx(expected, rel=0.1)
            assert shared.smallest_detectable > alone.smallest_detectable

    def test_a_sum_is_the_mean_times_the_engines(self, common: np.ndarray) -> None:
        random = np.random.default_rng(17)
        pair = (squared_errors(random, 1.0, common), squared_errors(random, 1.1, common))
        mean, total = (compare_crossed([pair], statistic)[0] for statistic in ("mean", "sum"))
        assert total.difference == pytest.approx(100 * mean.difference)
        assert (total.low, total.high) == pytest.approx((100 * mean.low, 100 * mean.high))
        assert total.p_value == mean.p_value

    def test_a_method_is_equivalent_to_itself(self, common: np.ndarray) -> None:
        losses = squared_errors(np.random.default_rng(18), 1.0, common)
        same = compare_crossed([(losses, losses)], margin=0.5)[0]
        assert (same.difference, same.low, same.high, same.p_value) == (0.0, 0.0, 0.0, 1.0)
        assert same.outcome is Outcome.EQUIVALENT

    def test_a_pair_alone_is_no_family(self) -> None:
        losses = np.ones((5, 20))
        with pytest.raises(ValueError, match=r"list of pairs: give \[\(first, second\)\]"):
            compare_crossed((losses, losses))  # type: ignore[arg-type]

    def test_no_pairs_no_comparisons(self) -> None:
        assert compare_crossed([]) == []

    def test_refuses_what_is_not_paired(self) -> None:
        losses = np.ones((5, 10))
        with pytest.raises(ValueError, match="one shape"):
            compare_crossed([(losses, losses[:4])])
        with pytest.raises(ValueError, match="same engines"):
            compare_crossed([(losses, losses), (losses[:, 1:], losses[:, 1:])])
        with pytest.raises(ValueError, match="two or more engines"):
            compare_crossed([(losses[:, :1], losses[:, :1])])
        with pytest.raises(ValueError, match="finite"):
            compare_crossed([(losses * np.inf, losses)])

    @pytest.mark.parametrize("margin", [math.nan, math.inf, -1.0, 0.0])
    def test_refuses_a_margin_that_is_none(self, margin: float) -> None:
        losses = np.ones((5, 10))
        with pytest.raises(ValueError, match="a margin must be finite and above 0"):
            compare_crossed([(losses, losses)], margin=margin)

    @pytest.mark.parametrize(
        "function", [lambda x, **s: compare_crossed([(x, x)], **s), estimate_crossed]
    )
    def test_refuses_losses_and_statistics_that_give_no_number(self, function) -> None:
        losses = np.random.default_rng(0).uniform(1.0, 2.0, size=(5, 10))
        with pytest.raises(ValueError, match="must not be negative"):
            function(-losses)
        with pytest.raises(ValueError, match="finite numbers of 1e\\+150 or less"):
            function(1e307 * losses)
        with pytest.raises(ValueError, match="unknown statistic 'rmse'; choose one of: root_mean"):
            function(losses, statistic="rmse")


class TestEstimateCrossed:
    def test_value_is_the_rmse_and_seeds_widen_its_interval(self) -> None:
        random = np.random.default_rng(1)
        errors = random.normal(0.0, 14.0, size=(1, 120)) * np.ones((5, 1))
        still = estimate_crossed(np.square(errors))
        engines = rmse_over_engines(errors)
        assert still.value == pytest.approx(engines.value)
        assert (still.low, still.high) == pytest.approx((engines.low, engines.high), abs=0.1)
        restless = estimate_crossed(np.square(errors * random.uniform(0.7, 1.3, size=(5, 1))))
        assert restless.high - restless.low > 1.3 * (still.high - still.low)
        assert restless.n == 5

    def test_an_error_is_never_below_zero_though_one_seed_is_far_above_the_others(self) -> None:
        errors = np.array([[10.0], [10.0], [10.0], [10.0], [40.0]]) * np.ones((1, 50))
        estimate = estimate_crossed(np.square(errors))
        assert estimate.low == 0.0 < estimate.value < estimate.high

    def test_few_seeds_have_no_interval(self) -> None:
        estimate = estimate_crossed(np.full((4, 10), 4.0))
        assert estimate.value == 2.0
        assert math.isnan(estimate.low)


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

    @pytest.mark.parametrize("value", [math.nan, math.inf])
    def test_refuses_what_is_no_number(self, value: float) -> None:
        for pair in (([1.0, 2.0, value], [1.0, 2.0, 3.0]), ([1.0, 2.0, 3.0], [value, 2.0, 3.0])):
            with pytest.raises(ValueError, match="values must be finite numbers"):
                compare_over_seeds(*pair)


class TestHolm:
    @pytest.mark.parametrize("raw", [[0.01, math.nan, 0.02], [-0.1, 0.5], [0.5, 2.0]])
    def test_refuses_what_is_no_p_value(self, raw: list[float]) -> None:
        with pytest.raises(ValueError, match="p-values must be between 0 and 1, not"):
            holm(raw)

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
        among_ten = stats.norm.isf(0.0025) + stats.norm.ppf(0.8)
        assert smallest_detectable_difference(1.0, comparisons=10) == pytest.approx(among_ten)

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


@pytest.mark.parametrize("bound", [-1.0, 0.5, 3.0])
def test_the_p_value_below_a_bound_is_scipys(bound):
    values = np.random.default_rng(0).normal(0.4, 1.0, 5)
    expected = stats.ttest_1samp(values, bound, alternative="less").pvalue
    assert p_value_below(values, bound) == pytest.approx(expected)


def test_without_noise_a_mean_is_below_a_bound_or_not():
    assert p_value_below([0.4] * 5, 0.5) == 0.0
    assert p_value_below([0.5] * 5, 0.5) == p_value_below([0.6] * 5, 0.5) == 1.0


@pytest.mark.parametrize("values", [[1.0, math.nan, 2.0], [1.0], []])
def test_a_p_value_needs_two_finite_values(values):
    with pytest.raises(ValueError, match=r"finite|two or more seeds|one value a seed"):
        p_value_below(values, 3.0)
