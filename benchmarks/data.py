"""Time the way from the files of FD002 and FD004 to windows, and how much memory it takes.

Each way runs in processes of its own, in turns, and medians are compared: processor time after
imports, and the peak of the process's memory above what it held after them. README.md in this
folder says what each way does.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

WINDOW = 30
SUBSETS = (2, 4)
COLUMNS = ("unit", "cycle", *(f"c{number}" for number in range(24)))
FEATURES = [2, 3, 4] + [number + 4 for number in (2, 3, 4, 7, 8, 9, 11, 12, 13, 14, 15, 17, 20, 21)]
"""Columns of the 17 features: three settings and 14 sensors."""


def rulbook(folder: Path) -> Callable[[], object]:
    """Read, verify, check and prepare; windows are gathered batch by batch later."""
    # What `prepare` imports at its first use is an import too.
    import sklearn.cluster
    import sklearn.model_selection
    import sklearn.preprocessing  # noqa: F401

    from rulbook.data import load
    from rulbook.data.prepare import prepare

    os.environ["RULBOOK_DATA"] = str(folder)
    return lambda: [prepare(load(f"FD{number:03d}", "cmapss")) for number in SUBSETS]


def rulbook_arrays(folder: Path) -> Callable[[], object]:
    """Do the same and gather every window into one array a part."""
    ready = rulbook(folder)

    def every_window() -> object:
        return [
            (prepared.train.x, prepared.validation.x, prepared.test.x)
            for prepared in ready()  # type: ignore[attr-defined]
        ]

    return every_window


def rul_datasets(folder: Path) -> Callable[[], object]:
    """Use rul-datasets' own reader; splitting and its scaler are kept between calls."""
    os.environ["RUL_DATASETS_DATA_ROOT"] = str(folder.parent)  # read when it is imported
    from rul_datasets.reader import CmapssReader

    def read() -> object:
        loaded = []
        for number in SUBSETS:
            reader = CmapssReader(
                fd=number, window_size=WINDOW, operation_condition_aware_scaling=True
            )
            reader.prepare_data()
            loaded.append([reader.load_split(split) for split in ("dev", "val", "test")])
        return loaded

    return read


def _notebook(folder: Path, cut: Callable[..., list[object]]) -> Callable[[], object]:
    """Do as notebooks do: read with pandas, z-score over all rows, cut with ``cut``."""
    import numpy as np
    import pandas as pd

    def read() -> object:
        loaded = []
        for number in SUBSETS:
            parts = [
                pd.read_csv(
                    folder / f"{part}_FD{number:03d}.txt", sep=r"\s+", header=None, names=COLUMNS
                )
                for part in ("train", "test")
            ]
            names = [COLUMNS[place] for place in FEATURES]
            mean, spread = parts[0][names].mean(), parts[0][names].std()
            for table in parts:
                table[names] = (table[names] - mean) / (spread + 1e-9)
            train = [cut(engine[names]) for _, engine in parts[0].groupby("unit")]
            test = [engine[names].to_numpy()[-WINDOW:] for _, engine in parts[1].groupby("unit")]
            flat = [window for windows in train for window in windows]
            loaded.append((np.array(flat, dtype=np.float32), test))
        return loaded

    return read


def array_slices(folder: Path) -> Callable[[], object]:
    """Slice windows from one array an engine."""

    def cut(engine: object) -> list[object]:
        values = engine.to_numpy()  # type: ignore[attr-defined]
        return [values[first : first + WINDOW] for first in range(len(values) - WINDOW + 1)]

    return _notebook(folder, cut)


def iloc(folder: Path) -> Callable[[], object]:
    """Slice windows from the table of an engine with ``.iloc``."""

    def cut(engine: object) -> list[object]:
        rows = range(len(engine) - WINDOW + 1)  # type: ignore[arg-type]
        return [engine.iloc[first : first + WINDOW].to_numpy() for first in rows]  # type: ignore[attr-defined]

    return _notebook(folder, cut)


WAYS = {
    "rulbook": rulbook,
    "rulbook, every window an array": rulbook_arrays,
    "rul-datasets": rul_datasets,
    "array slices": array_slices,
    ".iloc": iloc,
}


def measure(way: str, folder: Path) -> dict[str, float]:
    """Return processor seconds of the first and second call, and the peak in MiB above imports."""
    ready = WAYS[way](folder)
    before = memory("VmRSS")
    seconds = []
    for _ in range(1 if way == ".iloc" else 2):
        started = time.process_time()
        result = ready()
        seconds.append(time.process_time() - started)
        del result
    peak = memory("VmHWM") - before
    return {"first": seconds[0], "later": seconds[-1], "peak_mib": peak}


def memory(what: str) -> float:
    """Return ``VmRSS`` (now) or ``VmHWM`` (at most so far) of this process in MiB; Linux only."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1]) / 1024
    raise OSError(f"/proc/self/status has no {what}")


def unpack(source: Path, folder: Path) -> None:
    """Write the files of the subsets to ``folder``, as rul-datasets and notebooks expect them."""
    from rulbook.data import cmapss

    folder.mkdir()
    for number in SUBSETS:
        for name in cmapss.file_names(f"FD{number:03d}"):
            (folder / name).write_bytes(cmapss.read_verified(source, name))


def main() -> None:
    """Run every way in turns and print the table, or JSON."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--json", action="store_true")
    options.add_argument(
        "--peer", metavar="PYTHON", help="interpreter of an environment that has rul-datasets"
    )
    options.add_argument("--skip-iloc", action="store_true", help="leave the slowest way out")
    options.add_argument("--one", choices=WAYS, help=argparse.SUPPRESS)
    options.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.one:
        print(json.dumps(measure(chosen.one, chosen.folder)))
        return

    from rulbook.data import cmapss

    source = cmapss.locate()
    if source is None:
        options.error("this needs C-MAPSS: set RULBOOK_DATA, or run `rulbook data fetch`")
    skipped = {"rul-datasets"} if chosen.peer is None else set()
    skipped |= {".iloc"} if chosen.skip_iloc else set()
    interpreters = {"rul-datasets": chosen.peer}
    seen: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS if way not in skipped}
    with tempfile.TemporaryDirectory() as scratch:
        for _ in range(chosen.rounds):
            for way, found in seen.items():
                folder = Path(tempfile.mkdtemp(dir=scratch)) / "CMAPSS"
                unpack(source, folder)
                done = subprocess.run(
                    [
                        interpreters.get(way, sys.executable),
                        __file__,
                        "--one",
                        way,
                        "--folder",
                        folder,
                    ],
                    check=True,
                    capture_output=True,
                    text=True,
                    env=os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
                )
                found.append(json.loads(done.stdout.splitlines()[-1]))
    medians = {
        way: {name: median(one[name] for one in found) for name in found[0]}
        for way, found in seen.items()
    }
    if chosen.json:
        print(json.dumps(medians, indent=1))
        return
    print(f"{'way':32} {'first, s':>9} {'later, s':>9} {'peak, MiB':>10}")
    for way, row in medians.items():
        print(f"{way:32} {row['first']:9.2f} {row['later']:9.2f} {row['peak_mib']:10.0f}")


if __name__ == "__main__":
    main()
