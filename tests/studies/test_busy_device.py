"""The command that keeps a device busy, tried on the processor."""

import json
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.slow
def test_many_processes_do_all_runs_and_the_rates_are_those_of_their_windows(monkeypatch, capsys):
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.setenv("PYTHONPATH", str(BENCHMARKS))
    options = ["--device", "cpu", "--jobs", "2", "--epochs", "1", "--network", "compact", "--json"]
    monkeypatch.setattr(sys, "argv", ["busy_device.py", *options])
    import busy_device

    monkeypatch.setattr(busy_device, "BATCHES", {"compact": 8})
    busy_device.main()
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["compact, 1 at once", "compact, 2 at once"]
    for row in found.values():
        assert row["windows/s"] == pytest.approx(row["records/s"] * 30 * 8)
        assert row["records/s"] > 0
