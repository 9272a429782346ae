"""What chapter 01 shows of trainings beside a second task, right or wrong.

The functions that end in ``_answers`` return what decides claims, by the claim's id. Those that end
in ``_values`` return what the prose quotes, by its name there without the chapter.
"""

from collections.abc import Mapping, Sequence

import pandas as pd
from IPython.display import HTML, Markdown

from rulbook.claims.decision import Answer, answer_of_figure
from rulbook.claims.printed import printed_value
from rulbook.display.results import (
    p_value,
    variants_reading,
    variants_shown,
    what_is_missing,
)
from rulbook.display.tables import table
from rulbook.experiments import mechanisms
from rulbook.statistics import Estimate
from rulbook.studies.claim_rules import FD002_GAIN
from rulbook.studies.comparison import rmse_by_seed
from rulbook.studies.condition_rules import decide_all
from rulbook.studies.evidence import Evidence, completed_runs
from rulbook.studies.methods import method
from rulbook.studies.printed_figures import errors_by_condition
from rulbook.studies.protocol_choices import variants_table
from rulbook.training.record import RunRecord
from rulbook.weighting.fixed_names import EQUAL_WEIGHTING

_LABELS = {"shuffled": "shuffled labels", "serial_number": "serial number"}
_METHODS = (EQUAL_WEIGHTING, "fixed_0002")
_DOMAINS = "self-driving nlp speech vision drug medical recommenders same-structure"
_CHILD = "slower catch-up advantage abstraction"
_SEPARATE = "separate, against one trunk"
_SHARED = "one trunk, against one head"


def printed_gain() -> dict[str, float]:
    """Return the RMSE on FD002, cycles, that the section prints, by method."""
    return {name: printed_value(claim) for name, claim in FD002_GAIN.items()}


def heads_table(multiples: pd.DataFrame) -> HTML:
    """Show what ``as_multiples`` returns."""
    return table(
        multiples,
        "A forward pass of 8 rows: the time of many heads, as multiples",
        {_SHARED: ".1f", _SEPARATE: ".1f"},
    )


def heads_values(multiples: pd.DataFrame) -> dict[str, float]:
    """Return the multiples of a hundred heads, by trunk; ``multiples``: of ``as_multiples``."""
    values: dict[str, float] = {}
    for row in multiples[multiples["heads"] == 100].to_dict("records"):
        trunk = row["trunk"].split()[0]
        values |= {f"hundred-{trunk}": row[_SHARED], f"separate-{trunk}": row[_SEPARATE]}
    return values


def heads_answers(multiples: pd.DataFrame) -> dict[str, Answer]:
    """Return what decides whether many heads share the cost of the trunk."""
    hundred = multiples[multiples["heads"] == 100]
    is_dearer = bool((hundred[_SEPARATE] > 1).all())
    note = "timing of this machine, 100 heads, both trunks"
    return {"n4.1-trunk-cost-amortised": Answer(is_dearer, note)}


def few_engines_answers(trainings: Mapping[int, pd.DataFrame]) -> dict[str, Answer]:
    """Return what decides whether a second task regularises and augments, by length and engines.

    Args:
        trainings: what ``label_efficiency`` returns, by the steps of a training.

    """
    return {
        claim: Answer(
            note="less than half a cycle counts as nothing",
            conditions={
                f"{steps} steps, {engines} engines": mechanisms.helps_or_not(compared)
                for steps, one in trainings.items()
                for engines, compared in _same_rows(few_engines_differences(one, column)).groupby(
                    "engines"
                )
            },
        )
        for claim, column in {
            "n4.1-mechanism-regularisation": "gap",
            "n4.1-mechanism-augmentation": "test_rmse",
        }.items()
    }


def few_engines_differences(trainings: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return a column of ``label_efficiency`` against the single task, by number of engines."""
    return mechanisms.paired_differences(
        trainings, column, variant="training", reference="single task", within="engines"
    )


def longer_values(longer: pd.DataFrame, serial: pd.DataFrame) -> dict[str, float]:
    """Return what the longer trainings show, in cycles.

    Args:
        longer: what ``label_efficiency`` returns of them.
        serial: what ``auxiliary_tasks`` returns of them, for the serial number.

    Returns:
        The largest fall of the error beside labels of the same rows, ``longer-gain``, with its
        interval from ``longer-gain-low`` to ``longer-gain-high``, and the number of engines it is
        seen with, ``longer-engines``; the largest fall of the gap that an interval leaves room for,
        ``longer-gap-excluded``; the largest fall of the error beside the serial number,
        ``longer-serial-gain``; and ``longer``, the steps.

    """
    errors = _same_rows(few_engines_differences(longer, "test_rmse"))
    best = errors.sort_values("difference").iloc[0]
    beside = _serial_number(second_tasks_differences(serial))
    return {
        "longer": mechanisms.LONGER,
        "longer-gain": -best["difference"],
        "longer-gain-low": -best["high"],
        "longer-gain-high": -best["low"],
        "longer-engines": best["engines"],
        "longer-gap-excluded": -_same_rows(few_engines_differences(longer, "gap"))["low"].min(),
        "longer-serial-gain": -beside["difference"].min(),
    }


def _same_rows(differences: pd.DataFrame) -> pd.DataFrame:
    """Return the comparisons in which both tasks have labels of the same rows."""
    return differences[differences["training"].isin(mechanisms.LABELLINGS[1:3])]


def few_engines_table(trainings: pd.DataFrame) -> HTML:
    """Show what ``label_efficiency`` returns, mean over seeds."""
    means = trainings.groupby(["engines", "training"], sort=False)["test_rmse"].mean()
    return table(
        means.unstack().reset_index().rename_axis(columns=None),
        "RMSE on the test engines, cycles, by number of training engines",
        dict.fromkeys(mechanisms.LABELLINGS, ".2f"),
    )


def transfer_table(transfer: pd.DataFrame) -> HTML:
    """Show what ``representation_transfer`` returns, mean over seeds."""
    names = {"rmse": "RMSE of RUL, cycles", "balanced_accuracy": "balanced accuracy"}
    by_trunk = transfer.groupby("trunk", sort=False)[list(names)].mean()
    return table(
        by_trunk.rename(columns=names).reset_index(),
        "New linear heads on frozen trunks, mean over seeds",
        dict(zip(names.values(), (".2f", ".3f"), strict=True)),
    )


def transfer_answers(transfer: pd.DataFrame) -> dict[str, Answer]:
    """Return what decides whether features transfer."""
    gains = mechanisms.helps(_against(transfer, "untrained", "health only"))
    return {"n4.1-mechanism-transfer": Answer(gains, "against an untrained trunk")}


def transfer_values(transfer: pd.DataFrame) -> dict[str, float]:
    """Return what a trunk that knows the health states gains, and of how much, %.

    ``transfer-gain`` and ``serial-transfer-gain`` are against an untrained trunk,
    ``transfer-over-serial`` is the first against the second, with its interval, and
    ``transfer-joint`` what training on both tasks gains against the RUL alone; in cycles.
    """
    over_serial = _against(transfer, "serial number only", "health only")
    joint = _against(transfer, "RUL only", "both")
    gains = {
        "transfer-gain": _against(transfer, "untrained", "health only"),
        "serial-transfer-gain": _against(transfer, "untrained", "serial number only"),
        "transfer-over-serial": over_serial,
        "transfer-joint": joint,
    }
    return {name: -one["difference"].item() for name, one in gains.items()} | {
        "transfer-over-serial-low": -over_serial["high"].item(),
        "transfer-over-serial-high": -over_serial["low"].item(),
        "transfer-joint-low": -joint["high"].item(),
        "transfer-joint-high": -joint["low"].item(),
        "transfer-share": mechanisms.share_of_the_gain(transfer),
    }


def _against(transfer: pd.DataFrame, reference: str, trunk: str) -> pd.DataFrame:
    compared = mechanisms.paired_differences(transfer, "rmse", variant="trunk", reference=reference)
    return compared[compared["trunk"] == trunk]


def second_tasks_differences(auxiliary: pd.DataFrame) -> pd.DataFrame:
    """Return what ``auxiliary_tasks`` returns as differences from the single task, cycles."""
    return mechanisms.paired_differences(
        auxiliary, "rmse", variant="rul_weight", reference=1.0, within="auxiliary"
    )


def second_tasks_answers(trainings: Mapping[int, pd.DataFrame]) -> dict[str, Answer]:
    """Return what decides whether a wrong second task hurts, or helps, at each length.

    Args:
        trainings: what ``auxiliary_tasks`` returns, by the steps of a training; the weight at which
            the second task hurts is chosen on the first.

    """
    serial = {
        f"{steps} steps": _serial_number(second_tasks_differences(one))
        for steps, one in trainings.items()
    }
    chosen_on, *_ = serial.values()
    worst = mechanisms.serial_number_summary(chosen_on)["negative-transfer-weight"]
    helped = {length: mechanisms.helps_or_not(one) for length, one in serial.items()}
    return {
        "n4.1-negative-transfer": Answer(
            note=f"serial number at a RUL weight of {worst:g}",
            conditions={
                length: mechanisms.hurts_or_not(one.loc[[worst]]) for length, one in serial.items()
            },
        ),
        "n4.1-wrong-auxiliary": Answer(
            note="four RUL weights; less than half a cycle counts as nothing",
            conditions={
                length: None if help_ is None else not help_ for length, help_ in helped.items()
            },
        ),
    }


def second_tasks_values(auxiliary: pd.DataFrame) -> dict[str, float]:
    """Return where the serial number hurts and helps, the single task's error, and shuffling's.

    Args:
        auxiliary: what ``auxiliary_tasks`` returns.

    Returns:
        Those of ``serial_number_summary``; ``alone``, the single task's error; ``health-gain`` and
        ``shuffled-gain``, the largest falls beside true and shuffled labels; and
        ``shuffling-bound``, the largest difference between the two that an interval leaves room
        for; in cycles.

    """
    differences = second_tasks_differences(auxiliary)
    falls = -differences.groupby("auxiliary")["difference"].min()
    effects = mechanisms.shuffling_effects(auxiliary).values()
    return mechanisms.serial_number_summary(_serial_number(differences)) | {
        "alone": auxiliary.query("rul_weight == 1 and auxiliary == 'health'")["rmse"].mean(),
        "health-gain": falls["health"],
        "shuffled-gain": falls["shuffled"],
        "shuffling-bound": max(max(abs(one.low), abs(one.high)) for one in effects),
    }


def _serial_number(differences: pd.DataFrame) -> pd.DataFrame:
    return differences[differences["auxiliary"] == mechanisms.SERIAL_NUMBER].set_index("rul_weight")


def gain_answers(records: Mapping[str, Sequence[RunRecord]]) -> dict[str, Answer]:
    """Return what decides the section's gain on FD002.

    Args:
        records: records by the name of the training condition that they were made under.

    """
    figures = {
        claim: answer_of_figure(claim, errors_by_condition(records, "FD002", name))
        for name, claim in FD002_GAIN.items()
    }
    measured = decide_all(["n4.1-fd002-drop-measured"], records)
    wordings = ("n4.1-fd002-single-task-two-values", "n4.1-gradient-aware-push-further")
    return (
        figures
        | {claim: Answer(conditions=holds) for claim, holds in measured.items()}
        | {claim: Answer() for claim in wordings}
    )


def beyond_engines_claims() -> dict[str, object]:
    """Name the remarks on other domains and on children, which papers settle, or nothing does."""
    claims = [f"n4.1-domain-{name}" for name in _DOMAINS.split()]
    claims += [f"n4.1-bilingual-{name}" for name in _CHILD.split()]
    return dict.fromkeys([*claims, "n4.1-promise-conditional"])


def second_tasks_table(differences: pd.DataFrame) -> HTML:
    """Show the RUL error beside each second task against the single task, cycles.

    Args:
        differences: what ``paired_differences`` returns of ``auxiliary_tasks``.

    """
    names = {
        "auxiliary": "second task",
        "rul_weight": "RUL weight",
        "difference": "difference",
        "low": "from",
        "high": "to",
        "p_holm": "corrected p",
    }
    in_words = differences.assign(p_holm=differences["p_holm"].map(p_value))
    return table(
        in_words[list(names)].rename(columns=names),
        "RMSE beside each second task minus that of the single task, cycles",
        dict.fromkeys(["difference", "from", "to"], "+.2f"),
    )


def errors_on_fd002(evidence: Evidence) -> dict[str, Estimate]:
    """Return the test RMSE on FD002, cycles, of the methods of ``FD002_GAIN`` with a run."""
    completed = completed_runs(evidence.records)
    return {
        name: rmse_by_seed(evidence.records, "FD002", name)
        for name in FD002_GAIN
        if completed.get(("FD002", name))
    }


def wrong_auxiliary_variants(evidence: Evidence, wrong: Evidence) -> pd.DataFrame:
    """Return the errors on FD002 beside each wrong second task, by weighting.

    Args:
        evidence: the study of the true second task.
        wrong: the study *auxiliary*.

    """
    variants = []
    for name in _METHODS:
        base = completed_runs(evidence.records).get(("FD002", name), {})
        beside = {
            words: [
                run
                for run in wrong.records
                if (run.config.auxiliary, run.config.weighting) == (labels, name)
            ]
            for labels, words in _LABELS.items()
        }
        rows = variants_table(list(base.values()), beside)
        variants.append(rows.assign(weights=method(name).label))
    return pd.concat(variants)


def wrong_auxiliary_table(variants: pd.DataFrame, wrong: Evidence) -> HTML | Markdown:
    """Show what ``wrong_auxiliary_variants`` returns, or what is missing of it."""
    if not wrong.records:
        return what_is_missing(wrong)
    return variants_shown(
        variants,
        "Compact network, FD002, cycles; the protocol's second task is the health state. "
        + wrong.sentence(),
    )


def wrong_auxiliary_reading(variants: pd.DataFrame, wrong: Evidence) -> Markdown:
    """Say what ``wrong_auxiliary_table`` holds."""
    return Markdown(variants_reading(variants) if wrong.records else "")
