from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from rulbook import paths
from rulbook.studies.catalogue import SEEDS, base_config
from rulbook.studies.conditions import training_condition
from rulbook.studies.evidence import Evidence
from rulbook.studies.methods import method
from rulbook.studies.sweep import Status
from rulbook.training import EpochRecord, RunConfig, RunRecord
from rulbook.training.record import (
    RulHealthMetrics,
    TestPredictions,
    read_record,
    summarise_gradients,
)
from rulbook.weighting.registry import get_loss

ENGINES = 40

COMMITTED = Path(__file__).parents[2] / "results" / "runs"
"""The project's own records, whatever folder a test puts in their place."""

BOOK_BATCH = dict(training_condition("book-batch").changes)

WINDOW_SPLIT = dict(training_condition("window-split").changes)

SGD = {**training_condition("sgd").changes, "learning_rate": 0.1}

DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "emptied": lambda _: b"",
    "cut off": lambda whole: whole[:300],
    "a newline": lambda _: b"\n",
    "zeros after a power cut": lambda whole: bytes(len(whole)),
}
"""What may have become of the bytes of a record's file, by what befell it."""

RecordMaker = Callable[..., RunRecord]

EvidenceMaker = Callable[..., Evidence]


def metrics(rmse: float) -> RulHealthMetrics:
    return RulHealthMetrics(
        rmse=rmse,
        mean_error=0.0,
        rul_loss=rmse**2,
        health_loss=0.5,
        health_accuracy=0.8,
        health_recall=[0.9, 0.7, 0.8],
    )


def epoch(rmse: float, ratios: object = (), test_rmse: float | None = None) -> EpochRecord:
    ratio = np.asarray(ratios, float)
    watched = None if test_rmse is None else metrics(test_rmse)
    return EpochRecord(
        rul_loss=rmse**2,
        health_loss=0.5,
        weights={"rul_weight": 0.5, "health_weight": 0.5},
        learning_rate=1e-3,
        clipped_share=0.0,
        gradients=summarise_gradients(ratio, np.ones_like(ratio), np.full_like(ratio, 0.25)),
        validation=metrics(rmse),
        test=watched,
        test_every_window=watched,
    )


def validated(rmse: float = 12.0, **measured: object) -> EpochRecord:
    """Return an epoch with these fields of its validation metrics."""
    one = epoch(rmse)
    return one.model_copy(update={"validation": one.validation.model_copy(update=measured)})


@cache
def committed_record(subset: str) -> RunRecord:
    """Return the committed record of equal weights on ``subset`` under the protocol."""
    return read_record(COMMITTED / f"{base_config(subset).key()}.json")


def believable(record: RunRecord, config: RunConfig | None = None) -> RunRecord:
    """Return a record of ``config`` (its own, if left out) that passes every check of reading."""
    config = config or record.config
    weights = get_loss(config.weighting, **dict(config.weighting_options)).get_weights()
    told = {"learning_rate": config.learning_rate, "weights": weights}
    epochs = [e.model_copy(update=told) for e in record.epochs or [epoch(12.0)]]
    selected = min(range(len(epochs)), key=lambda i: epochs[i].validation.rmse)
    out_of_patience = selected + 1 + (config.patience or config.max_epochs)
    committed = committed_record(config.subset)
    return record.model_copy(
        update={
            "config": config,
            "epochs": [
                *epochs,
                *epochs[-1:] * (min(config.max_epochs, out_of_patience) - len(epochs)),
            ],
            "selected_epoch": selected,
            "raw_validation_rmse": 12.0,
            "test": committed.test,
            "probe_at_start": committed.probe_at_start,
            "probe": committed.probe,
        }
    )


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let every record of the test land in a folder of its own, the carried ones not seen."""
    folder = tmp_path / "results"
    monkeypatch.setattr(paths, "results", lambda: folder)
    monkeypatch.delenv(paths.RESULTS_VARIABLE, raising=False)
    return folder


@pytest.fixture(scope="session")
def make_evidence() -> EvidenceMaker:
    """Return a maker of what is recorded of a study: by default, these records of 300 runs."""

    def make(
        records: Iterable[RunRecord] = (), study: str = "core-a", *, missing: int | None = None
    ) -> Evidence:
        records = tuple(records)
        missing = 300 - len(records) if missing is None else missing
        return Evidence(study, records, Status(len(records), 0, missing), (), SEEDS)

    return make


@pytest.fixture
def make_record() -> RecordMaker:
    """Return a maker of records: ``name`` is the method, ``noise`` the spread of its errors."""

    def make(
        name: str = "fixed_050",
        subset: str = "FD002",
        seed: int = 42,
        *,
        noise: float = 10.0,
        bias: float = 0.0,
        epochs: tuple[EpochRecord, ...] = (),
        diverged: bool = False,
        starts_dead: bool = False,
        **changes: object,
    ) -> RunRecord:
        config = method(name).applied_to(base_config(subset, seed)).with_changes(**changes)
        true = np.random.default_rng(0).integers(5, 190, ENGINES)
        random = np.random.default_rng([seed, sum(map(ord, name))])
        predicted = np.minimum(true, 125) + bias + noise * random.standard_normal(ENGINES)
        return RunRecord(
            config=config,
            status="diverged" if diverged else "completed",
            epochs=list(epochs),
            selected_epoch=0 if epochs else None,
            test=None
            if diverged
            else TestPredictions(
                unit=list(range(1, ENGINES + 1)),
                true_rul=true.tolist(),
                predicted_rul=predicted.tolist(),
                predicted_health=random.integers(0, 3, ENGINES).tolist(),
            ),
            starts_dead=starts_dead,
            wall_seconds=1.0,
            device="cpu",
            versions={},
            source_digest="",
        )

    return make


@pytest.fixture
def on_every_seed(make_record: RecordMaker) -> Callable[..., list[RunRecord]]:
    """Return a maker of the runs of a method on the source's seeds."""

    def runs(
        name: str, subset: str = "FD002", seeds: Sequence[int] = SEEDS, **changes: object
    ) -> list[RunRecord]:
        return [make_record(name, subset, seed=seed, **changes) for seed in seeds]

    return runs
