"""The rules by which claims about methods are decided."""

from collections.abc import Iterable, Sequence

from rulbook.studies.catalogue import SEEDS
from rulbook.studies.comparison import HIGHER, LOWER, _outcomes
from rulbook.studies.imbalance import required_weight_growth
from rulbook.studies.methods import method_of
from rulbook.training.record import RunRecord


def every_seed_in(
    records: Iterable[RunRecord],
    subsets: Iterable[str],
    methods: Iterable[str],
    seeds: Sequence[int] = SEEDS,
) -> bool:
    """Return whether every seed is recorded for all of these methods on all of these subsets.

    This is the rule by which a claim about methods is decided. A run that diverged counts as
    recorded: it will not come out otherwise. A method all of whose runs diverged has no error to
    compare, and leaves the claim open.
    """
    recorded = set()
    completed = set()
    for record in records:
        method = method_of(record.config)
        if method is not None:
            recorded.add((record.config.subset, method.name, record.config.seed))
            if record.test is not None:
                completed.add((record.config.subset, method.name))
    wanted = [(subset, method) for subset in subsets for method in methods]
    return all(pair in completed for pair in wanted) and all(
        (*pair, seed) in recorded for pair in wanted for seed in seeds
    )


def lower_than_all(
    records: Iterable[RunRecord], subset: str, method: str, others: Iterable[str]
) -> bool:
    """Return whether the primary test puts a method's error below that of every other one.

    Holm's correction is over the others. A tie is not lower: a method that merely has the smallest
    number of a list has not been shown to be the best of it.
    """
    return _outcomes(records, subset, method, others) == {HIGHER}


def beats_every_one(
    records: Iterable[RunRecord],
    subsets: Iterable[str],
    method: str,
    others: Iterable[str],
    seeds: Sequence[int] = SEEDS,
) -> bool | None:
    """Return whether a method has the lower error than every other one, on every subset.

    It has not as soon as there is one other, with every seed of both recorded, below which the
    primary test does not put it: whatever is recorded later can only add to Holm's correction. It
    has when every seed of all of them is recorded.

    Returns:
        ``None`` while neither is so.

    """
    records, others, open_yet = list(records), set(others) - {method}, False
    for subset in subsets:
        complete = [
            name for name in others if every_seed_in(records, [subset], [method, name], seeds)
        ]
        if complete and not lower_than_all(records, subset, method, complete):
            return False
        open_yet |= len(complete) < len(others)
    return None if open_yet else True


def higher_than_none(
    records: Iterable[RunRecord], subset: str, method: str, others: Iterable[str]
) -> bool:
    """Return whether the primary test puts a method's error above that of no other one."""
    return LOWER not in _outcomes(records, subset, method, others)


def required_weight_quadruples(records: Iterable[RunRecord]) -> bool:
    """Return whether the balancing weight doubles, then quadruples by epoch 30 (§12.4, pitfall 3).

    It has where, on every subset, it is four times that of the first epoch at epoch 30 and has
    doubled on the way. The records are those of trainings of at least thirty epochs.
    """
    growth = required_weight_growth(records)
    return bool((growth.loc[30] >= 4).all() and (growth.loc[:30].max() >= 2).all())
