"""Tables of the symptoms of §12.4: gradients early in a training, and trained networks.

Where a function takes ``rests_on``, it is what the caption says that the table rests on.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from IPython.display import HTML, Markdown

from rulbook.claims.decision import Answer
from rulbook.data.cmapss import SUBSETS
from rulbook.data.prepare import HEALTH_STATES
from rulbook.display.results import in_words, number, spread
from rulbook.display.tables import table
from rulbook.experiments.trunk_maps import TrunkMaps
from rulbook.optimisers import OPTIMISER_NAMES
from rulbook.studies.claim_rules import BOOK_SUBSETS, is_near_chance
from rulbook.studies.condition_rules import (
    adam_and_sgd_agree,
    decide_all,
)
from rulbook.studies.conditions import PROTOCOL_CONDITION, WITH_SGD, training_condition
from rulbook.studies.evidence import Evidence, completed_runs, has_arrived
from rulbook.studies.holds import Holds
from rulbook.studies.method_rules import weights_serving_both
from rulbook.studies.methods import METHODS, method_of
from rulbook.studies.printed_figures import health_accuracy_reached
from rulbook.studies.symptoms import (
    RECALLS,
    confusion,
    health_by_epoch,
    probe_scores,
    share_of_clipped_steps,
    stopped_while_improving,
)
from rulbook.training.record import RunRecord
from rulbook.weighting.fixed_names import EQUAL_WEIGHTING


def early_ratios_table(ratios: pd.DataFrame) -> HTML:
    """Return ``ratios_by_step`` as readers see it."""
    heads = {
        "subset": "subset",
        "step": "step",
        "seeds": "seeds",
        "batches": "batches",
        "norm_rul": "‖g_rul‖",
        "norm_health": "‖g_hs‖",
        "ratio": "ratio",
        "ratio_low": "from",
        "ratio_high": "to",
    }
    return table(
        ratios[list(heads)].rename(columns=heads),
        "Medians over seeds and batches of 256 windows, without seeds whose RUL head started shut. "
        'The columns "from" and "to" are the quartiles of the ratio',
        {"‖g_rul‖": ".1f", "‖g_hs‖": ".3f"}
        | dict.fromkeys(["seeds", "batches", "ratio", "from", "to"], ".0f"),
    )


def both_tasks_table(runs: Sequence[RunRecord], rests_on: str) -> HTML:
    """Return how both tasks do on the validation engines, a row a subset."""
    probes = probe_scores(runs)
    rows = []
    for subset, epochs in health_by_epoch(runs).groupby("subset"):
        first, fifth = (epochs[epochs["epoch"] == epoch] for epoch in (1, 5))
        selected = epochs[epochs["selected"]]
        majority = probes.loc[probes["subset"] == subset, "majority_share"]
        rows.append(
            {
                "subset": subset,
                "seeds": len(selected),
                "RMSE, epoch 1": number(first["rmse"].mean(), 1),
                "RMSE, selected": _spread(selected["rmse"], 1),
                "accuracy, epoch 5": number(fifth["health_accuracy"].mean()),
                "accuracy, selected": _spread(selected["health_accuracy"]),
                "most frequent state": number(majority.mean()),
                **{
                    f"recall, {state}": _spread(selected[column])
                    for state, column in zip(HEALTH_STATES, RECALLS, strict=True)
                },
            }
        )
    return table(
        pd.DataFrame(rows),
        "Both tasks under equal weights, compact network, validation engines, mean ± sd over "
        f"seeds. {rests_on}",
    )


def symptoms_by_condition(records: Mapping[str, Sequence[RunRecord]]) -> HTML:
    """Return what the symptoms are read from, under every training condition that was run.

    Args:
        records: records by the name of the training condition that they were made under.

    """
    rows = []
    for name, given in records.items():
        runs = [run for run in given if method_of(run.config) == METHODS[EQUAL_WEIGHTING]]
        probes = probe_scores(runs)
        for subset, epochs in health_by_epoch(runs).groupby("subset"):
            fifth, selected = epochs[epochs["epoch"] == 5], epochs[epochs["selected"]]
            rows.append(
                {
                    "training condition": training_condition(name).label,
                    "subset": subset,
                    "seeds": len(selected),
                    "epochs": f"{len(epochs) / len(selected):.0f}",
                    "RMSE": _spread(selected["rmse"], 1),
                    "accuracy, epoch 5": _spread(fifth["health_accuracy"]),
                    "balanced, epoch 5": _spread(fifth["balanced_accuracy"]),
                    "accuracy": _spread(selected["health_accuracy"]),
                    "balanced": _spread(selected["balanced_accuracy"]),
                    "recall, critical": _spread(selected[RECALLS[-1]]),
                    "probe": _spread(probes.loc[probes["subset"] == subset, "balanced"]),
                }
            )
    return table(
        pd.DataFrame(rows),
        "Equal weights under each training condition: compact network, validation engines, mean ± "
        "sd over seeds; the protocol's trainings are those of the core studies. Figures are at the "
        "selected epoch unless another is named; the RMSE is in cycles. Of an accuracy that is "
        "balanced, as the probe's is, one third is chance",
    )


def confusion_table(runs: Iterable[RunRecord], rests_on: str) -> HTML:
    """Return true against predicted health states of the test engines, three rows a subset."""
    by_subset: dict[str, list[RunRecord]] = {}
    for run in runs:
        by_subset.setdefault(run.config.subset, []).append(run)
    rows = []
    for subset in sorted(by_subset):
        counts = confusion(by_subset[subset])
        recalls = np.diag(counts) / counts.sum(axis=1)
        rows += [
            {
                "subset": subset,
                "true state": state,
                **{f"called {called}": counts.loc[state, called] for called in HEALTH_STATES},
                "recall": recalls[state],
            }
            for state in HEALTH_STATES
        ]
    return table(
        pd.DataFrame(rows),
        f"Test engines under equal weights, all recorded seeds. {rests_on}",
        {"recall": ".2f"},
    )


def probe_table(runs: Iterable[RunRecord], rests_on: str) -> HTML:
    """Return the linear probes of the trained and the untrained trunk, a row a subset."""
    rows = [
        {
            "subset": subset,
            "seeds": len(probes),
            "balanced accuracy": _spread(probes["balanced"]),
            "untrained trunk": _spread(probes["balanced_at_start"]),
            "accuracy": _spread(probes["accuracy"]),
            "untrained trunk, accuracy": _spread(probes["accuracy_at_start"]),
            "most frequent state": number(probes["majority_share"].mean()),
        }
        for subset, probes in probe_scores(runs).groupby("subset")
    ]
    return table(
        pd.DataFrame(rows),
        "Linear probe of the health states on the frozen z, fitted on training windows, scored on "
        f"validation engines. {rests_on}",
    )


def optimisers_table(runs: Mapping[str, Sequence[RunRecord]], rests_on: str) -> HTML:
    """Return how both tasks end under each optimiser, a row an optimiser.

    Args:
        runs: what ``runs_by_optimiser`` returns.
        rests_on: see the module.

    """
    rows = []
    for name, group in runs.items():
        epochs = health_by_epoch(run for run in group if run.completed)
        ends = epochs[epochs["selected"]]
        lengths = [len(run.epochs) for run in group]
        rows.append(
            {
                "optimiser": OPTIMISER_NAMES[name],
                "seeds": len(ends),
                "epochs": f"{min(lengths)} to {max(lengths)}" if lengths else "none",
                "RMSE": _spread(ends["rmse"], 1),
                "health accuracy": _spread(ends["health_accuracy"], 3),
                "recall, critical": _spread(ends["recall_critical"]),
            }
        )
    return table(
        pd.DataFrame(rows),
        "Equal weights under three optimisers at the same learning rate, FD002, validation engines "
        f"at the selected epoch. {rests_on}",
    )


_BESIDE_THE_RUL = (
    "n12.4-symptom-rul-trains",
    "n12.4-symptom-hs-after-five-epochs",
    "n12.4-symptom-one-to-one-fails",
    "n12.4-symptom-critical-recall",
    "n12.4-rare-class-below-guessing",
)
_PLATEAU = "n12.4-symptom-hs-plateau"


def symptom_answers(
    imbalance: Evidence, records: Mapping[str, Sequence[RunRecord]]
) -> dict[str, Answer]:
    """Return what decides the symptoms of the health task beside a RUL task that trains.

    Args:
        imbalance: the study whose accuracy is held against the printed plateau.
        records: records by the name of the training condition that they were made under.

    """
    decided = decide_all((*_BESIDE_THE_RUL, _PLATEAU), records)
    answers = {claim: Answer(conditions=conditions) for claim, conditions in decided.items()}
    answers[_PLATEAU] = Answer(health_accuracy_reached(imbalance), conditions=decided[_PLATEAU])
    return answers


def map_answers(maps: TrunkMaps) -> dict[str, Answer]:
    """Return what decides whether the map of the shared features shows no classes."""
    agreement = maps.agreement["trained"]
    note = f"nearest neighbours agree in {agreement:.2f}; one third is chance"
    return {"n12.4-symptom-tsne-no-classes": Answer(is_near_chance(agreement), note)}


def map_values(maps: TrunkMaps) -> dict[str, float]:
    """Return how many windows are mapped, and how often neighbours agree on each trunk."""
    told = {f"told-{trunk}": agreement for trunk, agreement in maps.agreement.items()}
    return {"mapped": len(maps.windows)} | told


def optimiser_answers(records: Mapping[str, Sequence[RunRecord]]) -> dict[str, Answer]:
    """Return what decides whether the optimiser matters; ``records`` as for symptoms."""
    agree = Answer(conditions=adam_and_sgd_agree(records))
    return dict.fromkeys(("n12.4-symptom-adam-sgd-gap", "n12.4-pitfall-optimiser-measured"), agree)


def sgd_values(runs: Mapping[str, Sequence[RunRecord]]) -> dict[str, float]:
    """Return how many runs of SGD there are, stopped early, and how often it was clipped, %.

    Args:
        runs: what ``runs_by_optimiser`` returns.

    """
    sgd = runs.get("sgd", ())
    return {
        "sgd-runs": len(sgd),
        "sgd-unfinished": stopped_while_improving(sgd),
        "sgd-clipped": 100 * share_of_clipped_steps(sgd),
    }


def arrived_optimisers_table(records: Mapping[str, Sequence[RunRecord]]) -> HTML:
    """Show the health accuracies of SGD that arrived beside those of AdamW on the same seeds.

    Args:
        records: records by the name of the training condition that they were made under.

    """
    rows = []
    adamw = completed_runs(records.get(PROTOCOL_CONDITION, ()))
    for subset in SUBSETS:
        reference = adamw.get((subset, EQUAL_WEIGHTING), {})
        for name in WITH_SGD:
            sgd = completed_runs(records.get(name, ())).get((subset, EQUAL_WEIGHTING), {})
            seeds = [seed for seed in reference if seed in sgd]
            if seeds:
                last = [sgd[seed].last_validation().health_accuracy for seed in seeds]
                of_sgd, of_adamw = (_selected(runs, seeds) for runs in (sgd, reference))
                rows.append(
                    {
                        "subset": subset,
                        "training condition": training_condition(name).label,
                        "seeds": len(seeds),
                        "arrived": sum(has_arrived(sgd[seed]) for seed in seeds),
                        "SGD, selected epoch": of_sgd["health_accuracy"],
                        "SGD, balanced": of_sgd["balanced_accuracy"],
                        "SGD, last epoch": float(np.mean(last)),
                        "AdamW": of_adamw["health_accuracy"],
                        "AdamW, balanced": of_adamw["balanced_accuracy"],
                    }
                )
    columns = ["subset", "training condition", "seeds", "arrived"]
    accuracies = ["SGD, selected epoch", "SGD, balanced", "SGD, last epoch"]
    accuracies += ["AdamW", "AdamW, balanced"]
    return table(
        pd.DataFrame(rows, columns=[*columns, *accuracies]),
        "Health accuracy on the validation engines, mean over seeds. The selected epoch is the one "
        "with the lowest RUL error; the balanced accuracies are of that epoch too. A training that "
        "has not arrived ran out of epochs",
        dict.fromkeys(accuracies, ".2f"),
    )


def _selected(runs: Mapping[int, RunRecord], seeds: Iterable[int]) -> "pd.Series[float]":
    """Return the means over ``seeds`` of what the selected epochs reach."""
    epochs = health_by_epoch(runs[seed] for seed in seeds)
    reached: pd.Series[float] = epochs[epochs["selected"]].mean(numeric_only=True)
    return reached


def fixed_weights_reading(records: Sequence[RunRecord]) -> Markdown:
    """Say which fixed weights serve both tasks under the protocol, by its ``records``."""
    serving = {subset: weights_serving_both(records, subset) for subset in BOOK_SUBSETS}
    return Markdown(f"This is what the protocol's runs show. {serving_weights_reading(serving)}")


def serving_weights_reading(serving: Mapping[str, Mapping[str, Holds]]) -> str:
    """Say which fixed weights are shown to serve both tasks on which subset.

    Args:
        serving: what ``rulbook.studies.method_rules.weights_serving_both`` returns, by subset.

    """
    parts = []
    for subset, by_weight in serving.items():
        labels = [METHODS[name].label for name, serves in by_weight.items() if serves]
        open_yet = sum(serves is None for serves in by_weight.values())
        parts.append(
            f"On {subset}, {' and '.join(labels) or 'no weight'} "
            f"{'is' if len(labels) < 2 else 'are'} shown to serve both tasks; "
            f"for {in_words(open_yet, 'weight')} neither answer is shown."
        )
    return " ".join(parts)


def _spread(values: pd.Series, places: int = 2) -> str:
    return spread(values.mean(), values.std(), places)
