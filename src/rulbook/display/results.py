"""Tables of recorded studies: every one says what it rests on and what is missing."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from IPython.display import HTML, Markdown

from rulbook.data.prepare import HEALTH_STATES
from rulbook.display.markup import html_of
from rulbook.display.tables import table
from rulbook.statistics import CONFIDENCE, holm
from rulbook.studies.catalogue import study
from rulbook.studies.comparison import REFERENCE, comparisons_of, estimates_of
from rulbook.studies.evidence import Evidence

NOTHING = "–"
"""Stands where there is no value."""


def within(value: float, low: float, high: float, places: int = 2) -> str:
    """Return a value with its interval, ``13.86 [12.23, 15.52]``; the value alone without one."""
    if math.isnan(value) or math.isnan(low):
        return number(value, places)
    shown = (number(end, places) for end in (value, low, high))
    return "{} [{},\N{NO-BREAK SPACE}{}]".format(*shown)  # paper breaks it there


def spread(mean: float, deviation: float, places: int = 2) -> str:
    """Return a mean with its standard deviation, ``13.86 ± 0.41``; the mean alone for one seed."""
    if math.isnan(mean) or math.isnan(deviation):
        return number(mean, places)
    return f"{number(mean, places)} ±\N{NO-BREAK SPACE}{number(deviation, places)}"


def number(value: float, places: int = 2) -> str:
    """Return a number with a minus sign that does not break, none before 0, and a dash for NaN."""
    if math.isnan(value):
        return NOTHING
    return f"{value:z.{places}f}".replace("-", "\N{MINUS SIGN}")


def p_value(value: float) -> str:
    """Return a p-value to three places, and nothing for NaN."""
    if math.isnan(value):
        return NOTHING
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def in_words(count: int, noun: str) -> str:
    """Return a count with its noun, which takes an s if it is not one."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def number_range(counts: Iterable[int]) -> str:
    """Return the range of some whole numbers, ``10 to 17``; one number where all are alike."""
    ordered = sorted(set(counts))
    return " to ".join(map(str, dict.fromkeys([ordered[0], ordered[-1]])))


def rows_of(frame: pd.DataFrame) -> list[Any]:
    """Return the rows of a table, each with its columns as attributes."""
    return list(frame.itertuples())


def waiting(text: str) -> Markdown:
    """Return what stands in a table's place while nothing is recorded."""
    return Markdown(text)


def what_is_missing(study: Evidence) -> Markdown:
    """Say how far a study is, and what runs the rest."""
    return Markdown(f"{study.sentence()} `rulbook sweep {study.study}` runs what is missing.")


def sentences(evidence: Iterable[Evidence]) -> str:
    """Return the sentence of each study, once, in the order of their names."""
    return " ".join(one.sentence() for one in sorted(set(evidence), key=lambda one: one.study))


def evidence_table(*evidence: Evidence) -> HTML:
    """Return how much of each study is recorded: what a chapter's recorded figures rest on."""
    rows = pd.DataFrame(
        {
            "study": one.study,
            "what it asks": study(one.study).question,
            "recorded": f"{one.status.done} of {one.status.total}",
            "missing": one.status.missing,
            "failed": one.status.failed,
            "complete seeds": ", ".join(map(str, one.seeds)) or NOTHING,
        }
        for one in evidence
    )
    return table(rows, "Runs on C-MAPSS that this chapter reads, by study")


def error_table(
    evidence: Evidence,
    subset: str,
    methods: Sequence[str] | None = None,
    printed: Mapping[str, object] | None = None,
) -> HTML:
    """Return the test RMSE of methods, compared with fixed 0.5/0.5.

    Engines and seeds are resampled together, in the interval of a method's RMSE as in that of a
    difference. With few seeds there is neither interval nor outcome. What a comparison could have
    seen is after Holm's correction.

    Args:
        evidence: what is recorded of a study.
        subset: C-MAPSS subset.
        methods: names of the rows, and the family of Holm's correction; all of them if left out.
        printed: the source's figure by name of method, shown in a column of its own.

    """
    rows = _of(estimates_of(evidence, subset), methods)
    if rows.empty:
        return _nothing_yet(evidence, subset)
    compared = comparisons_of(evidence, subset, methods).set_index("method")
    rows = rows.join(compared.drop(columns=["label", "seeds"]).add_prefix("minus_"), on="method")
    shown = pd.DataFrame(
        {
            "method": rows["label"],
            "seeds": rows["seeds"],
            "RMSE [95 % interval]": _each(within, rows, "rmse", "low", "high"),
            "mean ± sd over seeds": _each(spread, rows, "rmse_mean", "rmse_sd"),
            "minus 0.5/0.5": _each(within, rows, "minus_difference", "minus_low", "minus_high"),
            "p": _each(p_value, rows, "minus_p_holm"),
            "outcome": rows["minus_outcome"].fillna(NOTHING).astype(str),
            "could have seen": _each(number, rows, "minus_smallest_detectable"),
        }
    )
    if printed:
        shown["source"] = [str(printed.get(name, NOTHING)) for name in rows["method"]]
    return table(shown, f"Test RMSE on {subset} in cycles, RUL capped. {evidence.sentence()}")


def condition_results(rows: pd.DataFrame, caption: str) -> HTML:
    """Return a ``condition_table`` as readers see it.

    Args:
        rows: what ``rulbook.studies.by_condition.condition_table`` returns, if need be of several
            subsets, one below the other.
        caption: of the table: what is recorded.

    """
    shown = pd.DataFrame(
        {
            "subset": rows["subset"],
            "training condition": rows["condition_label"],
            "method": rows["label"],
            "seeds": rows["seeds"],
            "RMSE [95 % interval]": _each(within, rows, "rmse", "low", "high"),
            "minus 0.5/0.5": _each(within, rows, "difference", "difference_low", "difference_high"),
            "p": _each(p_value, rows, "p_holm"),
            "outcome": rows["outcome"].fillna(NOTHING).astype(str),
            "could have seen": _each(number, rows, "smallest_detectable"),
        }
    )
    return table(shown, caption)


def competence_shown(rows: pd.DataFrame, caption: str) -> HTML:
    """Return a ``rulbook.studies.competence.competence_table`` as readers see it."""
    shown = pd.DataFrame(
        {
            "subset": rows["subset"],
            "training condition": rows["condition_label"],
            "method": rows["label"],
            "seeds": rows["seeds"],
            "validation RMSE": _each(within, rows, "validation_rmse", "low", "high"),
            "gradient boosting": _each(number, rows, "boosting_rmse"),
            "difference": _each(number, rows, "difference"),
            "": ["competent" if competent else "not competent" for competent in rows["competent"]],
        }
    )
    return table(shown, caption)


def quality_table(evidence: Evidence, subset: str) -> HTML:
    """Return what else is measured of each method: uncapped RMSE, bias, NASA score, health.

    Every cell is the mean over seeds with its standard deviation.
    """
    rows = estimates_of(evidence, subset)
    if rows.empty:
        return _nothing_yet(evidence, subset)
    metrics = {
        "RMSE uncapped": ("rmse_uncapped", 2),
        "mean error": ("mean_error", 2),
        "NASA score": ("nasa_score", 0),
        "health accuracy": ("health_accuracy", 3),
        **{f"recall {state}": (f"recall_{state}", 3) for state in HEALTH_STATES},
    }
    shown = pd.DataFrame(
        {
            "method": rows["label"],
            "seeds": rows["seeds"],
            **{
                words: [
                    spread(mean, deviation, places)
                    for mean, deviation in zip(
                        rows[f"{metric}_mean"], rows[f"{metric}_sd"], strict=True
                    )
                ]
                for words, (metric, places) in metrics.items()
            },
            "started shut": rows["starts_dead"],
            "diverged": rows["diverged"],
        }
    )
    return table(
        shown,
        f"Further measurements on {subset}, last window of each test engine, mean ± sd over seeds. "
        f"{evidence.sentence()}",
    )


def variants_shown(variants: pd.DataFrame, caption: str) -> HTML:
    """Return a ``variants_table`` as readers see it.

    Args:
        variants: what ``rulbook.studies.protocol_choices.variants_table`` returns, if need be
            several of them, one below the other, with a column ``weights`` that tells them apart.
        caption: of the table: network, subset, what is recorded.

    """
    shown = pd.DataFrame(
        {
            "choice": variants["choice"],
            "seeds": variants["seeds"],
            "test RMSE": _each(number, variants, "rmse"),
            "minus the protocol": _each(within, variants, "difference", "low", "high"),
            "could have seen, uncorrected": _each(number, variants, "smallest_detectable"),
            "mean error": _each(number, variants, "mean_error"),
            "test RMSE, uncapped": _each(number, variants, "rmse_uncapped"),
            "validation RMSE": _each(number, variants, "validation_rmse"),
        }
    )
    if "weights" in variants:
        shown.insert(1, "weights", variants["weights"].tolist())
    return table(shown, caption)


def variants_reading(variants: pd.DataFrame) -> str:
    """Say which rows of a ``variants_table`` are told from the protocol.

    Holm's correction is over the rows of ``variants`` that change something and have five seeds.
    """
    of_choices = variants[variants["difference"].notna()]
    changed = of_choices[of_choices["p_value"].notna()]
    few = len(of_choices) - len(changed)
    no_outcome = (
        f"{in_words(few, 'row')} with fewer than five seeds {'has' if few == 1 else 'have'} a "
        "difference but no outcome, because another seed could reverse it."
        if few
        else ""
    )
    over = "A difference is taken over the seeds that a row shares with the protocol."
    if changed.empty:
        return f"{over} {no_outcome}".strip()
    beyond = changed[np.array(holm(changed["p_value"].tolist())) < 1 - CONFIDENCE]
    names = beyond["choice"].tolist()
    if "weights" in beyond:
        names = [f"{name} under {row}" for name, row in zip(names, beyond["weights"], strict=True)]
    apart = [
        f"*{name}* ({'+' if difference > 0 else ''}{number(difference)} cycles)"
        for name, difference in zip(names, beyond["difference"], strict=True)
    ]
    moved = f" The test error is shown to change with {'; '.join(apart)}." if apart else ""
    untold = len(changed) - len(beyond)
    alike = (
        f" {untold} of {in_words(len(changed), 'row')} cannot be told from the protocol."
        if untold
        else ""
    )
    return (
        f"{over} The test counts chance in engines and seeds and is corrected over the rows with "
        f"five seeds.{moved}{alike} {no_outcome}"
    ).strip()


def _of(rows: pd.DataFrame, methods: Sequence[str] | None) -> pd.DataFrame:
    return rows if methods is None else rows[rows["method"].isin([*methods, REFERENCE])]


def _each(words: Any, rows: pd.DataFrame, *columns: str) -> list[str]:
    """Return what ``words`` makes of these columns, row by row."""
    return [words(*row) for row in zip(*(rows[name] for name in columns), strict=True)]


def _nothing_yet(evidence: Evidence, subset: str) -> HTML:
    sentence = evidence.sentence()
    return HTML(html_of("no_runs", subset=subset, study=evidence.study, sentence=sentence))
