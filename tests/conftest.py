"""Fixtures that every test folder shares."""

import random
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from rulbook import paths
from rulbook.data import Fleet, cmapss
from rulbook.data.simulate import simulate

settings.register_profile("rulbook", derandomize=True, deadline=None)
settings.load_profile("rulbook")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that asks for the real files."""
    for item in items:
        if "real_data" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.real_data)


@pytest.fixture(autouse=True)
def _fixed_seeds() -> None:
    random.seed(0)
    np.random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real C-MAPSS files; the test is skipped where there is none."""
    folder = cmapss.locate()
    if folder is None:
        pytest.skip("needs the twelve C-MAPSS files: set RULBOOK_DATA to their folder")
    return folder


@pytest.fixture
def no_real_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Hide the real data of this machine; returns the empty cache folder put in its place."""
    cache = tmp_path / "cache"
    monkeypatch.delenv(paths.DATA_VARIABLE, raising=False)
    monkeypatch.setattr(paths, "cache", lambda: cache)
    return cache


@pytest.fixture(scope="session")
def simulated_fleet() -> Fleet:
    """The simulated FD002: six operating conditions, one fault mode."""
    return simulate("FD002")
