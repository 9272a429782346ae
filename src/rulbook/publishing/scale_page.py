"""What the page on scale says that is computed from the recorded timings."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from pydantic import BaseModel, Field, PositiveFloat, ValidationError, field_validator

from rulbook.checked import first_fault
from rulbook.display.figures.scale import growths
from rulbook.display.markup import raw_html
from rulbook.display.plots import Drawing
from rulbook.display.svg import svg_of
from rulbook.display.tables import table
from rulbook.errors import RulbookError
from rulbook.publishing.layout import Layout
from rulbook.studies import scale

RECORD = "speed.json"
"""Name of the file in ``book/`` that ``make bench`` writes."""

NETWORKS = (("compact", 256), ("paper", 64))
"""The networks that the programme is reckoned for, with the windows of a step."""

_Record = Mapping[str, Any]

_FIGURE = "scale-growth"
_NOT_YET = "not measured yet"
_HOURS_A_DAY = 24


_Table = Annotated[
    Mapping[str, Annotated[Mapping[str, PositiveFloat], Field(min_length=1)]], Field(min_length=1)
]


class _Measured(BaseModel):
    """The parts of the record that the page shows; each may be missing."""

    day: str = ""
    load: float = 0
    machine: Mapping[str, str | int | float] = {}
    versions: Mapping[str, str] = {}
    tables: Mapping[str, _Table] = {}

    @field_validator("tables")
    @classmethod
    def _loops_say_their_batch(cls, tables: Mapping[str, _Table]) -> Mapping[str, _Table]:
        for name in tables.get("loop", {}):
            if not name.rpartition(" ")[2].isdecimal():
                raise ValueError(f"the row '{name}' of the loops does not end with its batch")
        return tables


def substitutions(layout: Layout) -> dict[str, str]:
    """Return what the page names, by name; what the record lacks is said not to be measured.

    Raises:
        RulbookError: the record is not JSON, or not as ``make bench`` writes it.
    """
    file = layout.book / RECORD
    try:
        record = _read(file)
        return {name: _said(say, record) for name, say in _SAYS.items()}
    except ValidationError as fault:
        raise RulbookError(
            f"'{file}' is no record of timings ({first_fault(fault)}): take the committed one, or "
            "run `make bench`."
        ) from fault


def _read(file: Path) -> _Record:
    """Return what the page shows of the record, checked; nothing if there is none."""
    if not file.is_file():
        return {}
    return _Measured.model_validate_json(file.read_bytes()).model_dump(exclude_unset=True)


def _said(say: Callable[[_Record], str], record: _Record) -> str:
    try:
        return say(record)
    except KeyError:
        return _NOT_YET


def _sweeps(record: _Record, way: str) -> str:
    return f"{scale.times_as_fast(record['tables']['sweep']['seconds'], way):.2f}"


def _machine(record: Mapping[str, Any]) -> str:
    of = record["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in record["versions"].items())
    return (
        f"{of['processor']} (bfloat16 {of['bfloat16']}), {of['cores']} cores, "
        f"{of['memory_gib']} GiB, {of['system']}, with a load of {record['load']}; {versions}"
    )


def _growth(rows: Mapping[str, scale.Row]) -> str:
    figure, alt, caption = growths({kind: scale.Growth.of(row) for kind, row in rows.items()})
    drawing = Drawing(svg_of(figure, alt, ids=_FIGURE), alt, caption)
    return raw_html(drawing._repr_html_())


def _against(rows: Mapping[str, scale.Row], way: str, caption: str, *, times_as: str) -> str:
    """Return milliseconds of everything, and how many times as fast, or as long, it is as ``way``.

    Args:
        rows: seconds by row and way.
        way: what the others are compared with.
        caption: of the table.
        times_as: ``"fast"`` or ``"long"``.

    """
    column = f"times as {times_as}"
    lines = [
        {
            "": name,
            "way": other,
            "ms": 1e3 * seconds,
            column: row[way] / seconds if times_as == "fast" else seconds / row[way],
        }
        for name, row in rows.items()
        for other, seconds in row.items()
    ]
    return _shown(lines, caption, {"ms": ".1f", column: ".2f"})


def _loops(rows: Mapping[str, scale.Row]) -> str:
    lines = [
        {
            "": name,
            "bare loop": batch / row["bare"],
            "train": batch / row["train"],
            "outside the network": row["train"] / row["bare"] - 1,
        }
        for name, row in rows.items()
        for batch in [int(name.rpartition(" ")[2])]
    ]
    formats = {"bare loop": ".0f", "train": ".0f", "outside the network": ".1%"}
    return _shown(lines, "Windows a second of one processor.", formats)


def _data(rows: Mapping[str, scale.Row]) -> str:
    ways = next(iter(rows.values()))
    lines = [{"way": way} | {name: row[way] for name, row in rows.items()} for way in ways]
    formats = {name: ".0f" if name.endswith("MiB") else ".2f" for name in rows}
    return _shown(lines, "FD002 and FD004 from files to windows.", formats)


def _programme(tables: Mapping[str, Mapping[str, scale.Row]]) -> str:
    lines = []
    for network, batch in NETWORKS:
        for place, hours in scale.programme(tables, network, batch).items():
            lines.append({"network": network, "where": place, "days": hours / _HOURS_A_DAY})
    return _shown(lines, f"All {scale.EXPERIMENTS} experiments.", {"days": ".1f"})


def _shown(lines: list[dict[str, Any]], caption: str, formats: Mapping[str, str]) -> str:
    return raw_html(table(pd.DataFrame(lines), caption, formats).data)


_SAYS: Mapping[str, Callable[[_Record], str]] = {
    "day": lambda record: str(record["day"]),
    "machine": _machine,
    "growth": lambda record: _growth(record["tables"]["scaling"]),
    "step": lambda record: _against(
        record["tables"]["step"], "before", "A plain training step.", times_as="fast"
    ),
    "loop": lambda record: _loops(record["tables"]["loop"]),
    "gradients": lambda record: _against(
        record["tables"]["gradients"],
        "plain",
        "A step with each of K tasks' own gradient.",
        times_as="long",
    ),
    "data": lambda record: _data(record["tables"]["data"]),
    "programme": lambda record: _programme(record["tables"]),
    "experiments": lambda _: str(scale.EXPERIMENTS),
    "epochs": lambda _: str(scale.EPOCHS),
    "gpu_minutes": lambda _: f"{scale.MINUTES_ON_A_GPU:.0f}",
    "two_workers": lambda record: _sweeps(record, "two workers"),
    "two_of_dask": lambda record: _sweeps(record, "two of Dask"),
    "rebuild": lambda record: f"{record['tables']['rebuild']['seconds']['nothing changed']:.1f}",
}
"""What the page says, by the name under which it does."""
