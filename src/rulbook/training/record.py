"""What a run leaves behind: one JSON file, a few kilobytes, named by the run's configuration."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PlainSerializer,
    ValidationError,
)

from rulbook import paths
from rulbook.checked import first_fault
from rulbook.data.prepare import HEALTH_STATES
from rulbook.errors import RulbookError
from rulbook.training.config import RunConfig
from rulbook.training.gradient_bins import QUANTILES, RATIO_BIN_EDGES, binned
from rulbook.training.record_checks import faults_of
from rulbook.training.rounding import to_digits

_SIGNIFICANT_DIGITS = 6

_END_BYTES = 16
"""Bytes at the end of a record in which its last brace is looked for."""

Number = Annotated[
    float,
    PlainSerializer(lambda x: to_digits(x, _SIGNIFICANT_DIGITS), return_type=float),
]
"""A float, written with six significant digits."""

_N_BINS = len(RATIO_BIN_EDGES) - 1
_N_STATES = len(HEALTH_STATES)
_Quantiles = Annotated[list[Number], Field(min_length=len(QUANTILES), max_length=len(QUANTILES))]
_Counts = Annotated[list[NonNegativeInt], Field(min_length=_N_BINS, max_length=_N_BINS)]
_Recalls = Annotated[list[Number], Field(min_length=_N_STATES, max_length=_N_STATES)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="constants")


class RulHealthMetrics(_Strict):
    """How well a network predicts one set of windows.

    Attributes:
        rmse: root mean squared error of the RUL, cycles.
        mean_error: mean of prediction minus truth, cycles.
        rul_loss: mean squared error in cycles² (unweighted, whatever the inner loss).
        health_loss: mean cross-entropy in nats.
        health_accuracy: share of right health states.
        health_recall: recall of each health state; NaN for one that does not occur.

    """

    rmse: Number
    mean_error: Number
    rul_loss: Number
    health_loss: Number
    health_accuracy: Number
    health_recall: _Recalls

    @property
    def balanced_accuracy(self) -> float:
        """The mean of the recalls of the health states; NaN if one of them does not occur."""
        return float(np.mean(self.health_recall))


class GradientSummary(_Strict):
    """Gradients of the two tasks on the shared parameters over the observed steps of one epoch.

    Attributes:
        steps: how many steps were observed.
        ratio_quantiles: quantiles of ``‖∇L_rul‖ / ‖∇L_health‖`` at ``QUANTILES``.
        ratio_counts: the same ratios counted in ``RATIO_BIN_EDGES``.
        cosine_quantiles: quantiles of the cosine of the angle between them.
        median_norm_rul: median norm of the RUL gradient.
        median_norm_health: median norm of the health gradient.

    """

    steps: NonNegativeInt
    ratio_quantiles: _Quantiles
    ratio_counts: _Counts
    cosine_quantiles: _Quantiles
    median_norm_rul: Number
    median_norm_health: Number


class EpochRecord(_Strict):
    """One pass over the training windows, and the validation that followed it.

    Attributes:
        rul_loss: mean training RUL loss over the epoch's steps, as the method saw it.
        health_loss: mean training health loss over the epoch's steps.
        weights: the method's two weights at the end of the epoch.
        learning_rate: rate of the epoch's last step.
        clipped_share: share of steps on which the gradient norm was cut.
        gradients: summary of the task gradients; ``None`` where none was observed.
        validation: metrics of the averaged weights on all windows of the validation engines.
        test: metrics on the last window of each test engine (protocol study only).
        test_every_window: metrics on all windows of the test engines (protocol study only).

    """

    rul_loss: Number
    health_loss: Number
    weights: dict[str, Number]
    learning_rate: Number
    clipped_share: Number
    gradients: GradientSummary | None
    validation: RulHealthMetrics
    test: RulHealthMetrics | None = None
    test_every_window: RulHealthMetrics | None = None


class TestPredictions(_Strict):
    """Predictions for each test engine's last window at the selected epoch.

    RUL is in cycles; ``true_rul`` is uncapped, so that both conventions can be computed from it.
    """

    __test__ = False  # not a test class, whatever its name suggests to pytest

    unit: list[int]
    true_rul: list[int]
    predicted_rul: list[Number]
    predicted_health: list[int]

    def frame(self) -> pd.DataFrame:
        """Return one row an engine, indexed by unit."""
        return pd.DataFrame(
            {
                "true_rul": self.true_rul,
                "predicted_rul": self.predicted_rul,
                "predicted_health": self.predicted_health,
            },
            index=pd.Index(self.unit, name="unit"),
        )


class ProbeScores(_Strict):
    """Linear classifier of the health state on the frozen z, scored on the validation engines.

    Chance is 1/3 for the balanced accuracy and ``majority_share`` for the accuracy.
    """

    accuracy: Number
    balanced_accuracy: Number
    recall: _Recalls
    majority_share: Number


class RunRecord(_Strict):
    """The result of one run.

    Attributes:
        config: what was run.
        status: ``diverged`` when a loss or the validation stopped being finite.
        message: what went wrong, for a run that did not complete.
        epochs: one entry an epoch.
        selected_epoch: index of the epoch with the lowest validation RMSE.
        test: predictions of the selected epoch's averaged weights; ``None`` if the run diverged.
        starts_dead: whether the RUL gradient was zero at the start (the final ReLU was shut).
        raw_validation_rmse: validation RMSE of the raw, not averaged, weights after the last epoch.
        probe_at_start: linear probe on the untrained trunk.
        probe: linear probe on the selected epoch's trunk.
        wall_seconds: duration of the run.
        device: where it ran.
        versions: versions of what moves numbers.
        source_digest: SHA-256 of the package's source at the time; not part of the name.

    """

    config: RunConfig
    status: Literal["completed", "diverged"]
    message: str = ""
    epochs: list[EpochRecord] = []
    selected_epoch: int | None = None
    test: TestPredictions | None = None
    starts_dead: bool = False
    raw_validation_rmse: Number | None = None
    probe_at_start: ProbeScores | None = None
    probe: ProbeScores | None = None
    wall_seconds: Number
    device: str
    versions: dict[str, str]
    source_digest: str

    @property
    def completed(self) -> bool:
        """Whether the run came to its end and did not diverge, so that it has predictions."""
        return self.status == "completed"

    def predictions(self) -> TestPredictions:
        """Return the predictions of a completed run.

        Raises:
            ValueError: the run diverged.

        """
        if self.test is None:
            raise ValueError(f"the run {self.config.key()[:8]} diverged and predicts nothing")
        return self.test

    def selected_validation(self) -> RulHealthMetrics:
        """Return the metrics of the selected epoch on the validation windows.

        Raises:
            ValueError: no epoch was selected.

        """
        if self.selected_epoch is None:
            raise ValueError(f"the run {self.config.key()[:8]} selected no epoch")
        return self.epochs[self.selected_epoch].validation

    def last_validation(self) -> RulHealthMetrics:
        """Return the metrics of the last epoch on the validation windows.

        Raises:
            IndexError: there is no epoch.

        """
        return self.epochs[-1].validation

    def write(self, folder: Path | str) -> Path:
        """Write the record into ``folder`` under its configuration's key, whole or not at all."""
        path = Path(folder) / f"{self.config.key()}.json"
        paths.write_atomically(path, self.model_dump_json() + "\n")
        return path


def is_whole(file: Path) -> bool:
    """Return whether a record's file was not emptied or cut off, without reading it all.

    It then begins and ends as an object of JSON does.
    """
    with file.open("rb") as content:
        begins = content.read(1) == b"{"
        content.seek(max(file.stat().st_size - _END_BYTES, 0))
        return begins and content.read().rstrip().endswith(b"}")


def read_record(path: Path | str) -> RunRecord:
    """Read one record and check it, so that what is read can be believed.

    Its configuration must hash to the file's name and be of this protocol; its numbers must be
    finite (a run that diverged ends in one that is not) and agree with each other and with the
    configuration; its test engines and their true RUL must be those of the subset, for the real
    files.

    Raises:
        RulbookError: the file is not such a record; the sentence names it and says why.

    """
    path = Path(path)
    content = path.read_bytes()
    try:
        record = RunRecord.model_validate_json(content, strict=True)
    except ValidationError as error:
        raise _unbelievable(path, f"is not a run record ({first_fault(error)})") from None
    except RulbookError as error:
        raise RulbookError(
            f"The record '{path}' is of a run that this process cannot know "
            f"({str(error).rstrip('.')}): name every file that adds a method or network of your "
            f"records (`rulbook records --code FILE --code FILE`)."
        ) from None
    if fault := _first_fault_of(record, path.stem):
        raise _unbelievable(path, fault)
    return record


def fault_of_form(record: RunRecord) -> str:
    """Return why a record would be no run record once it is written, as the end of a sentence.

    It is empty where it would be one, whatever it says.
    """
    try:
        _written_and_read(record)
    except ValidationError as error:
        return f"is not a run record ({first_fault(error)})"
    return ""


def fault_when_read(record: RunRecord) -> str:
    """Return why a record that is not written yet could not be read, as the end of a sentence.

    It is empty where the record can be read.
    """
    return fault_of_form(record) or _first_fault_of(_written_and_read(record), record.config.key())


def _written_and_read(record: RunRecord) -> RunRecord:
    return RunRecord.model_validate_json(record.model_dump_json(), strict=True)


def _first_fault_of(record: RunRecord, key: str) -> str:
    """Return what is wrong with a record that was read under a name; nothing if it is sound."""
    if record.config.key() != key:
        other = f"holds another run than its name says, {record.config.key()}"
        return next(faults_of(record), other)
    return next(faults_of(record), "")


def _unbelievable(path: Path, fault: str) -> RulbookError:
    return RulbookError(f"The record '{path}' {fault}: delete it and run its sweep again.")


def summarise_gradients(
    norm_rul: ArrayLike, norm_health: ArrayLike, cosine: ArrayLike
) -> GradientSummary | None:
    """Summarise the observed steps of one epoch, given one norm pair and cosine a step.

    Steps on which the health gradient is zero have no ratio, and are left out of it.
    """
    rul, health = np.asarray(norm_rul, float), np.asarray(norm_health, float)
    if not len(rul):
        return None
    ratios = rul[health > 0] / health[health > 0]
    return GradientSummary(
        steps=len(rul),
        ratio_quantiles=_quantiles(ratios),
        ratio_counts=binned(ratios).tolist(),
        cosine_quantiles=_quantiles(np.asarray(cosine, float)),
        median_norm_rul=float(np.median(rul)),
        median_norm_health=float(np.median(health)),
    )


def _quantiles(values: NDArray[np.float64]) -> list[float]:
    finite = values[np.isfinite(values)]
    if not len(finite):
        return [float("nan")] * len(QUANTILES)
    found: list[float] = np.quantile(finite, QUANTILES).tolist()
    return found


@cache
def source_digest() -> str:
    """Return the SHA-256 over the package's Python files, in the order of their paths."""
    package = Path(paths.__file__).parent
    digest = hashlib.sha256()
    for path in (file for file in paths.files_below(package) if file.suffix == ".py"):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
