"""Twelve small stand-ins for the C-MAPSS files, with their own hashes in place of the real."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from rulbook.data import Fleet, cmapss
from rulbook.data.simulate import simulate


def _text(table: pd.DataFrame) -> bytes:
    # The csv module of Python 3.13 refuses a line's end with the separator in it.
    text = table.to_csv(sep=" ", header=False, index=False, lineterminator="\n")
    return text.replace("\n", " \n").encode()


@pytest.fixture(scope="session")
def fleets() -> dict[str, Fleet]:
    """The first three simulated engines of every subset."""
    few = range(1, 4)
    return {
        subset: replace(
            fleet,
            train=fleet.train[fleet.train["unit"].isin(few)],
            test=fleet.test[fleet.test["unit"].isin(few)],
            test_rul=fleet.test_rul.loc[few],
        )
        for subset, fleet in ((subset, simulate(subset)) for subset in cmapss.SUBSETS)
    }


@pytest.fixture(scope="session")
def _texts(fleets: dict[str, Fleet]) -> dict[str, bytes]:
    made = {}
    for subset, fleet in fleets.items():
        made[f"train_{subset}.txt"] = _text(fleet.train)
        made[f"test_{subset}.txt"] = _text(fleet.test)
        made[f"RUL_{subset}.txt"] = _text(fleet.test_rul.to_frame())
    return made


@pytest.fixture
def contents(_texts: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Content of the stand-ins by file name; the package takes their hashes for the published."""
    published = {name: hashlib.sha256(_texts[name]).hexdigest() for name in cmapss.SHA256}
    monkeypatch.setattr(cmapss, "SHA256", published)
    return dict(_texts)


@pytest.fixture
def write_files(
    contents: dict[str, bytes], no_real_data: Path, tmp_path: Path
) -> Callable[[Path], None]:
    """Return a function that writes the stand-ins to a folder."""

    def write(folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            (folder / name).write_bytes(content)

    return write
