"""Every method after the way to another process: pickled, sent, made again, and stepped."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from .every_method import EVERY_METHOD

SCRIPT = Path(__file__).with_name("spawned_processes.py")


@pytest.fixture(scope="module")
def gradients(tmp_path_factory):
    """Return each method's gradient here, in a spawned process and in a spawned worker."""
    result = tmp_path_factory.mktemp("spawned") / "gradients.pt"
    ran = subprocess.run(
        [sys.executable, "-W", "error", SCRIPT, result],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=400,
    )
    assert ran.returncode == 0, ran.stderr
    return torch.load(result, weights_only=True)


@pytest.mark.slow
@EVERY_METHOD
def test_a_spawned_process_goes_on_as_this_one_does(name, gradients):
    here, in_process, in_worker = gradients[name]
    assert here.any()
    assert torch.equal(in_process, here)
    assert torch.equal(in_worker, here)
