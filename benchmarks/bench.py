"""Measure everything that the project says of its own speed, in one run: ``make bench``.

What can be is counted in processor seconds, one thread, in turns, so that other work on the machine
meets all ways alike. Sweeps are timed by the wall clock and need two processors to themselves.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

RECORD = Path(__file__).parents[1] / "book" / "speed.json"
README = Path(__file__).with_name("README.md")
MEASURED = "<!-- measured: from here on written by make bench -->\n"
NETWORKS = (("compact", 256), ("compact", 64), ("paper", 64))
"""Networks and how many windows a step takes."""

PACKAGES = ("rulbook", "torch", "numpy", "pandas", "torchjd", "distributed")

Rows = Mapping[str, Mapping[str, float]]
"""A table: what was measured by row and column."""


def step(rounds: int) -> Rows:
    """Seconds of a plain training step, before and after it was folded and fused."""
    import steps

    return {
        f"{size}, batch {batch}": _medians(steps.measure(size, batch, rounds))
        for size, batch in NETWORKS
    }


def loop(rounds: int) -> Rows:
    """Seconds of a step in the package's loop and in a bare one."""
    import loop_overhead

    return {
        f"{size}, batch {batch}": _medians(loop_overhead.measure(size, batch, rounds))
        for size, batch in NETWORKS
    }


def gradients(rounds: int) -> Rows:
    """Seconds of a step that needs each task's own gradient, by the ways to get it."""
    import step_cost
    import torch

    torch.set_num_threads(1)
    # TorchJD's default batches the rows; PyTorch warns that it loops over some layers instead.
    warnings.filterwarnings("ignore", message="There is a performance drop")
    table = {}
    for size, its_rounds in (("compact", rounds), ("paper", max(1, rounds // 3))):
        for number in (2, 4, 8):
            names = (*step_cost.TASKS, *(f"health_{index}" for index in range(2, number)))
            taken = step_cost.measure(size, its_rounds, time.process_time, names)
            table[f"{size}, K = {number}"] = {
                way.replace("three_backward", "one more backward"): step_cost.total(seconds)
                for way, seconds in taken.items()
            }
    return table


def data(rounds: int) -> Rows:
    """Seconds and memory from the files of FD002 and FD004 to windows; needs C-MAPSS."""
    command = [sys.executable, str(Path(__file__).with_name("data.py")), "--json"]
    peer = os.environ.get("RULBOOK_PEER")
    options = ["--rounds", str(max(1, rounds // 4)), *(["--peer", peer] if peer else [])]
    done = subprocess.run([*command, *options], check=True, capture_output=True, text=True)
    by_way: Rows = json.loads(done.stdout)
    return {
        said: {way: of_way[name] for way, of_way in by_way.items()}
        for name, said in (("first", "first, s"), ("later", "later, s"), ("peak_mib", "peak, MiB"))
    }


def sweep(rounds: int) -> Rows:
    """Wall seconds of twenty runs of some seconds by one worker, two, and two of Dask's."""
    import sweep_speed

    count, seconds = (20, 5) if rounds > 1 else (2, 1)
    return {"seconds": _medians(sweep_speed.measure(count, seconds, max(1, rounds // 6)))}


def rebuild(rounds: int) -> Rows:
    """Processor seconds of ``rulbook build`` where nothing changed; first it builds."""
    command = [sys.executable, "-m", "rulbook", "build"]
    spent = []
    for _ in range(max(1, rounds // 4) + 1):
        before = _processor_seconds_of_children()
        subprocess.run(command, check=True, capture_output=True)
        spent.append(_processor_seconds_of_children() - before)
    return {"seconds": {"nothing changed": median(spent[1:])}}


def scaling(rounds: int) -> Rows:
    """Seconds by size over a decade, of what grows with the number of something."""
    import scaling as sizes

    return {
        kind: _medians({str(size): of for size, of in found.items()})
        for kind in sizes.KINDS
        for found in [sizes.measure(kind, max(1, rounds // 4))]
    }


TABLES: dict[str, Callable[[int], Rows]] = {
    table.__name__: table for table in (step, loop, gradients, data, sweep, rebuild, scaling)
}


def machine() -> dict[str, str | int]:
    """Return what was measured on: the processor by name, cores, memory, system."""
    said = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").is_file() else ""
    fields = dict(
        (part.strip() for part in line.split(":", 1)) for line in said.splitlines() if ":" in line
    )
    name = fields.get("model name", platform.processor() or platform.machine())
    generation = f", family {fields['cpu family']}, model {fields['model']}" if fields else ""
    bf16 = any(flag in said for flag in ("avx512_bf16", "amx_bf16"))
    return {
        "processor": f"{name}{generation}",
        "bfloat16": "in hardware" if bf16 else "in software",
        "cores": os.cpu_count() or 1,
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": f"{platform.system()} {platform.machine()}",
    }


def versions() -> dict[str, str]:
    """Return the versions of Python and of what computes."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def measured(names: Sequence[str], rounds: int) -> dict[str, Any]:
    """Return the record of one run; each table is measured in a process of its own."""
    console = Console(stderr=True)
    tables = {}
    seconds = {}
    for name in names:
        started = time.perf_counter()
        with ProcessPoolExecutor(1, get_context("spawn")) as fresh:
            tables[name] = fresh.submit(TABLES[name], rounds).result()
        seconds[name] = round(time.perf_counter() - started)
        console.print(f"{name}: {seconds[name]} s")
    return {
        "day": datetime.now(UTC).date().isoformat(),
        "rounds": rounds,
        "load": round(os.getloadavg()[0], 1),
        "took_seconds": seconds,
        "machine": machine(),
        "versions": versions(),
        "tables": tables,
    }


def show(record: Mapping[str, Any]) -> None:
    """Print every table, each value beside its ratio to the first of its row."""
    console = Console()
    for name, rows in record["tables"].items():
        doc = (TABLES[name].__doc__ or "").splitlines()[0]
        table = Table(title=f"{name}: {doc}", title_justify="left")
        table.add_column("")
        for column in ("", "", ""):
            table.add_column(column, justify="right")
        for row, columns in rows.items():
            first = next(iter(columns.values()))
            for column, value in columns.items():
                table.add_row(row, column, f"{value:.4g}", f"{value / first:.2f}×")
            table.add_section()
        console.print(table)
    console.print(record["machine"], record["versions"], f"load {record['load']}")


def in_markdown(record: Mapping[str, Any]) -> str:
    """Return what README.md shows of a record: every table, with ratios to the first of a row."""
    of = record["machine"]
    parts = [
        f"Measured on {record['day']}, medians of {record['rounds']} rounds, on {of['processor']} "
        f"(bfloat16 {of['bfloat16']}), {of['cores']} cores, {of['memory_gib']} GiB, "
        f"{of['system']}, load {record['load']}; "
        + ", ".join(f"{name} {number}" for name, number in record["versions"].items())
        + "."
    ]
    for name, rows in record["tables"].items():
        doc = (TABLES[name].__doc__ or "").splitlines()[0]
        lines = [
            f"| {row} | {column} | {value:.4g} | {value / next(iter(columns.values())):.2f}× |"
            for row, columns in rows.items()
            for column, value in columns.items()
        ]
        parts += [f"## {name}", doc, "\n".join(["| | | | |", "|---|---|---:|---:|", *lines])]
    return "\n\n".join(parts) + "\n"


def write_readme(record: Mapping[str, Any]) -> None:
    """Put the tables of a record in the place of those that README.md holds."""
    words, mark, _ = README.read_text(encoding="utf-8").partition(MEASURED)
    README.write_text(words + mark + "\n" + in_markdown(record), encoding="utf-8")


def _medians(taken: Mapping[Any, Sequence[float]]) -> dict[str, float]:
    return {str(way): float(f"{median(seconds):.4g}") for way, seconds in taken.items()}


def _processor_seconds_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="*", choices=[*TABLES, []], help="all, if none is named")
    parser.add_argument("--rounds", type=int, default=12, help="1 only tries everything")
    parser.add_argument("--record", type=Path, help="write what was measured to this file, as JSON")
    arguments = parser.parse_args()
    record = measured(arguments.tables or list(TABLES), arguments.rounds)
    show(record)
    if arguments.record:
        arguments.record.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        if arguments.record.resolve() == RECORD:
            write_readme(record)


if __name__ == "__main__":
    main()
