import json
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.slow
def test_the_benchmark_prints_four_positive_medians_for_each_network(monkeypatch, capsys):
    """What the times are is not tested: that would be a test of the machine."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.setattr(sys, "argv", ["step_cost.py", "--json", "--rounds", "1"])
    import step_cost

    step_cost.main()
    medians = json.loads(capsys.readouterr().out)
    assert list(medians) == ["compact", "paper"]
    for times in medians.values():
        assert list(times) == ["plain", "rulbook", "three_backward", "torchjd"]
        assert all(seconds > 0 for seconds in times.values())
