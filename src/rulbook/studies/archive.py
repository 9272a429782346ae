"""Every record that is here, as tables for other tools: runs, epochs, and which run is which."""

import importlib.util
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from rulbook import paths
from rulbook.data.prepare import HEALTH_STATES
from rulbook.errors import RulbookError
from rulbook.studies.catalogue import STUDIES
from rulbook.studies.conditions import condition_of
from rulbook.studies.evidence import flat_fields, runs_table
from rulbook.studies.methods import method_of
from rulbook.studies.sweep import runs_folder
from rulbook.training.gradient_bins import QUANTILES
from rulbook.training.record import RunRecord, is_whole, read_record

_METRICS_OF_AN_EPOCH = {"validation", "test", "test_every_window"}

_INDEX_COLUMNS = (
    *("file", "studies", "subset", "method", "network", "seed", "condition", "status"),
)


def all_records() -> list[RunRecord]:
    """Read every record, those that came with the package and one's own, in the order of names.

    Raises:
        RulbookError: a record cannot be read.

    """
    return _records_in(paths.results() / "runs", runs_folder())


def carried_records() -> list[RunRecord]:
    """Read the records that came with the package, in the order of names.

    Raises:
        RulbookError: a record cannot be read.

    """
    return _records_in(paths.results() / "runs")


def _records_in(*folders: Path) -> list[RunRecord]:
    """Read the records of folders, a later one's before an earlier one's of the same run.

    A file that was emptied or cut off is none, so that it does not hide a whole one.
    """
    files: dict[str, Path] = {}
    for folder in folders:
        found = paths.files_in(folder, "*.json")
        files |= {file.stem: file for file in found if is_whole(file)}
    return [read_record(files[key]) for key in sorted(files)]


def studies_by_run() -> dict[str, tuple[str, ...]]:
    """Return the names of the studies that each run belongs to, by the run's key."""
    found: dict[str, tuple[str, ...]] = {}
    for study in STUDIES.values():
        for config in study.configs():
            found[config.key()] = (*found.get(config.key(), ()), study.name)
    return found


def index_of(
    records: Iterable[RunRecord], studies: Mapping[str, tuple[str, ...]] | None = None
) -> pd.DataFrame:
    """Return which run each file holds: its name says nothing to a reader.

    Args:
        records: the records, one row each.
        studies: the studies by run; those of the catalogue by default.

    Returns:
        ``file`` (its name), ``studies`` (names with spaces between them; none for a run of one's
        own), ``subset``, ``method`` (its registry name where the tables have no row for the run),
        ``network``, ``seed``, ``condition`` (none where the run is under no named condition),
        ``status``.

    """
    known = studies_by_run() if studies is None else studies
    rows = []
    for record in records:
        config = record.config
        row, condition = method_of(config), condition_of(config)
        rows.append(
            {
                "file": f"{config.key()}.json",
                "studies": " ".join(known.get(config.key(), ())),
                "subset": config.subset,
                "method": row.name if row else config.weighting,
                "network": config.network,
                "seed": config.seed,
                "condition": condition.name if condition else "",
                "status": record.status,
            }
        )
    return pd.DataFrame(rows, columns=list(_INDEX_COLUMNS))


def whole_table(records: Iterable[RunRecord]) -> pd.DataFrame:
    """Return one row a run: what ``index_of`` and ``runs_table`` say, and every choice."""
    records = list(records)
    index = index_of(records)
    measured = runs_table(records, config=True)
    return pd.concat([index, measured.drop(columns=index.columns, errors="ignore")], axis=1)


def epochs_table(records: Iterable[RunRecord]) -> pd.DataFrame:
    """Return one row an epoch of every training.

    Returns:
        ``file``, ``subset``, ``method``, ``seed``; ``epoch`` (from 1), ``selected``; the fields of
        ``EpochRecord``, those within others after a point, as ``validation.rmse`` (cycles),
        ``validation.recall.critical`` or ``gradients.ratio.0.5`` (the median); NaN where an epoch
        has none. The histograms of the gradient ratio are left out.

    """
    rows = []
    for record in records:
        config = record.config
        row = method_of(config)
        start = {
            "file": f"{config.key()}.json",
            "subset": config.subset,
            "method": row.name if row else config.weighting,
            "seed": config.seed,
        }
        for number, epoch in enumerate(record.epochs):
            fields = epoch.model_dump(exclude_none=True)
            for metrics in _METRICS_OF_AN_EPOCH & fields.keys():
                recalls = fields[metrics].pop("health_recall")
                fields[metrics]["recall"] = dict(zip(HEALTH_STATES, recalls, strict=True))
            if gradients := fields.get("gradients"):
                del gradients["ratio_counts"]  # a histogram, which has no column
                for measure in ("ratio", "cosine"):
                    quantiles = gradients.pop(f"{measure}_quantiles")
                    gradients[measure] = dict(zip(QUANTILES, quantiles, strict=True))
            chosen = number == record.selected_epoch
            rows.append(start | {"epoch": number + 1, "selected": chosen} | flat_fields(fields))
    return pd.DataFrame(rows)


def write_csv(table: pd.DataFrame, file: Path | str) -> None:
    """Write a table as CSV, whole or not at all; a choice that was not made is an empty cell."""
    paths.write_atomically(Path(file), table.to_csv(index=False))


def write_parquet(table: pd.DataFrame, file: Path | str) -> None:
    """Write a table as Parquet, whole or not at all; columns of mixed types become text.

    Raises:
        RulbookError: pyarrow is not installed.

    """
    if importlib.util.find_spec("pyarrow") is None:
        raise RulbookError(
            "Parquet needs pyarrow, which is not here: run `pip install pyarrow`, or write CSV."
        )
    content = table.apply(_of_one_type).to_parquet(engine="pyarrow", index=False)
    paths.write_atomically(Path(file), content)


def _of_one_type(column: pd.Series) -> pd.Series:
    """Return a column, as text where an option had values of several types."""
    is_mixed = pd.api.types.infer_dtype(column).startswith("mixed")
    return column.map(str, na_action="ignore") if is_mixed else column
