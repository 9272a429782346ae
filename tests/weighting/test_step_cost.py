import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "step_cost.py"


@pytest.mark.slow
def test_the_benchmark_prints_four_positive_medians_for_each_network():
    """What the times are is not tested: that would be a test of the machine."""
    ran = subprocess.run(
        [sys.executable, "-W", "error", SCRIPT, "--json", "--rounds", "1"],
        capture_output=True,
        text=True,
        check=True,
        timeout=540,
    )
    medians = json.loads(ran.stdout)
    assert list(medians) == ["compact", "paper"]
    for times in medians.values():
        assert list(times) == ["plain", "rulbook", "three_backward", "torchjd"]
        assert all(seconds > 0 for seconds in times.values())
