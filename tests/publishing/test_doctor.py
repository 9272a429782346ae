import os
from collections import namedtuple

import pytest

from rulbook import paths
from rulbook.publishing import doctor, web_assets


def _finding(layout, name):
    return {finding.name: finding for finding in doctor.examine(layout)}[name]


def test_every_problem_has_a_remedy_and_nothing_else_has(layout):
    for finding in doctor.examine(layout):
        assert finding.state
        assert finding.remedy or not finding.needed


def test_no_data_is_no_obstacle(layout, no_real_data):
    found = _finding(layout, "data")
    assert found.state == "simulated fleet"
    assert "rulbook data fetch" in found.remedy
    assert not found.needed


def test_a_data_folder_that_is_not_there_is(layout, monkeypatch, tmp_path):
    monkeypatch.setenv(paths.DATA_VARIABLE, str(tmp_path / "nowhere"))
    assert _finding(layout, "data").needed


def test_an_incomplete_data_folder_is_counted(layout, monkeypatch, tmp_path):
    monkeypatch.setenv(paths.DATA_VARIABLE, str(tmp_path))
    found = _finding(layout, "data")
    assert found.state == "12 of 12 files not well"
    assert "train_FD001.txt" in found.remedy


def test_missing_node_is_an_obstacle(layout, monkeypatch):
    monkeypatch.setattr(web_assets, "npm", lambda: None)
    assert _finding(layout, "npm").needed


def test_node_that_does_not_start_is_an_obstacle(layout, monkeypatch):
    monkeypatch.setattr(web_assets, "npm", lambda: ["false"])
    assert _finding(layout, "npm").state == "does not start"


def test_a_missing_package_is_an_obstacle(layout, monkeypatch):
    monkeypatch.setattr(doctor, "_LIBRARIES", ("no-such-package",))
    assert _finding(layout, "no-such-package").needed


def test_a_full_disk_is_an_obstacle(layout, monkeypatch):
    usage = namedtuple("usage", "total used free")(10, 9, 2**29)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: usage)
    found = _finding(layout, "disk")
    assert found.state == "0.5 GiB free"
    assert found.needed


def test_a_folder_that_cannot_be_written_is_an_obstacle(layout, monkeypatch):
    monkeypatch.setattr(doctor.os, "access", lambda *_: False)
    assert _finding(layout, "disk").needed


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Put only the given programs on the path."""

    def install(*names):
        for name in names:
            (tmp_path / name).touch(mode=0o700)
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.delenv(doctor.BROWSER_VARIABLE, raising=False)
        return tmp_path

    return install


def test_browsers_are_found_by_name(programs):
    folder = programs("google-chrome", "chromium")
    assert doctor.find_browser() == folder / "chromium"


def test_a_named_browser_comes_first_and_alone(programs, monkeypatch):
    folder = programs("chromium", "other")
    monkeypatch.setenv(doctor.BROWSER_VARIABLE, "other")
    assert doctor.find_browser() == folder / "other"
    monkeypatch.setenv(doctor.BROWSER_VARIABLE, os.fspath(folder / "missing"))
    assert doctor.find_browser() is None


def test_no_browser_is_no_obstacle(layout, programs):
    programs()
    found = _finding(layout, "browser")
    assert found.state == "missing"
    assert not found.needed
