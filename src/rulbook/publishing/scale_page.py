"""What the page on scale says that is computed from the recorded timings."""

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd

from rulbook.display.figures.scale import growths
from rulbook.display.markup import raw_html
from rulbook.display.plots import Drawing
from rulbook.display.svg import svg_of
from rulbook.display.tables import table
from rulbook.publishing.layout import Layout
from rulbook.studies import scale

RECORD = "speed.json"
"""Name of the file in ``book/`` that ``make bench`` writes."""

NETWORKS = (("compact", 256), ("paper", 64))
"""The networks that the programme is reckoned for, with the windows of a step."""

_FIGURE = "scale-growth"
_HOURS_A_DAY = 24


def substitutions(layout: Layout) -> dict[str, str]:
    """Return what the page names, by name; nothing where no timings are recorded."""
    file = layout.book / RECORD
    if not file.is_file():
        return {}
    record: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    tables = record["tables"]
    return {
        "day": record["day"],
        "machine": _machine(record),
        "growth": _growth(tables["scaling"]),
        "step": _ratios(
            tables["step"], "before", "A plain training step: milliseconds, and times as fast."
        ),
        "loop": _loops(tables["loop"]),
        "gradients": _ratios(
            tables["gradients"], "plain", "A step with each task's gradient: milliseconds."
        ),
        "data": _data(tables["data"]),
        "programme": _programme(tables),
        "experiments": str(scale.EXPERIMENTS),
        "epochs": str(scale.EPOCHS),
        "gpu_minutes": f"{scale.MINUTES_ON_A_GPU:.0f}",
        "two_workers": f"{scale.times_as_fast(tables['sweep']['seconds'], 'two workers'):.2f}",
        "two_of_dask": f"{scale.times_as_fast(tables['sweep']['seconds'], 'two of Dask'):.2f}",
        "rebuild": f"{tables['rebuild']['seconds']['nothing changed']:.1f}",
    }


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


def _ratios(rows: Mapping[str, scale.Row], against: str, caption: str) -> str:
    """Return milliseconds of each way, and those of ``against`` in units of each."""
    lines = [
        {"": name, "way": way, "ms": 1e3 * seconds, f"{against} : it": row[against] / seconds}
        for name, row in rows.items()
        for way, seconds in row.items()
    ]
    return _shown(lines, caption, {"ms": ".1f", f"{against} : it": ".2f"})


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
