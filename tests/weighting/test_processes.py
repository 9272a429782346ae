"""Every method in two real processes, against one process with the whole batch."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rulbook.weighting.registry import get_loss

from .two_processes import CASES, trained

SCRIPT = Path(__file__).with_name("two_processes.py")

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available() or not torch.distributed.is_gloo_available(),
    reason="no gloo on this platform",
)


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """Return what each of the two processes ended with, by method."""
    folder = tmp_path_factory.mktemp("processes")
    results = [folder / f"{rank}.pt" for rank in range(2)]
    processes = [
        subprocess.Popen(
            [sys.executable, SCRIPT, str(rank), folder / "store", result],
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank, result in enumerate(results)
    ]
    try:
        errors = [process.communicate(timeout=240)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], errors
    return [torch.load(result, weights_only=True) for result in results]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "call"), CASES)
def test_two_processes_train_as_one_does_on_the_joint_batch(name, call, ended):
    first, second = (result[name, call] for result in ended)
    expected = trained(name, slice(None), lambda network: network, call)
    for here, there in zip(first["parameters"], second["parameters"], strict=True):
        assert torch.equal(here, there)
    torch.testing.assert_close(first["parameters"], expected["parameters"], rtol=1e-7, atol=1e-9)
    assert first["state"].keys() == expected["state"].keys()
    for key, value in expected["state"].items():
        here, there = first["state"][key], second["state"][key]
        torch.testing.assert_close(here, there, rtol=0, atol=0, equal_nan=True)
        torch.testing.assert_close(here, value, rtol=1e-7, atol=1e-9, equal_nan=True)
    assert first["weights"] == second["weights"]
    assert first["weights"] == pytest.approx(expected["weights"], rel=1e-6)


@pytest.mark.slow
def test_what_one_process_reaches_all_do_and_what_none_does_keeps_its_grad(ended):
    """Decay and momentum would move a parameter that is given a gradient of zeros."""
    assert [result["reached"] for result in ended] == [(True, True, False)] * 2


@pytest.mark.slow
def test_a_constant_in_single_precision_stands_for_a_loss_in_double_in_one_process(ended):
    first, second = (result["without labels"] for result in ended)
    for here, there in zip(first, second, strict=True):
        assert torch.equal(here, there)


@pytest.mark.slow
def test_a_process_without_any_graph_is_an_error_in_all(ended):
    """The others would wait for its gradients until the group gives up."""
    first, second = (result["without graph"] for result in ended)
    assert "in one of the processes no loss has a graph" in first
    assert "no loss has a graph" in second


@pytest.mark.slow
def test_one_process_may_evaluate_while_the_others_do_something_else(ended):
    alone = get_loss("uncertainty")(torch.ones(()), torch.ones(())).item()
    assert ended[0]["alone"] == (alone, alone)


@pytest.mark.slow
def test_parameters_that_fsdp_puts_away_are_refused_where_gradients_are_taken_apart(ended):
    """Each step would train on the gradient of the step before, and say nothing."""
    for result in ended:
        *refused, trained_by_losses = result["sharded"]
        assert all("fully_shard" in sentence for sentence in refused), refused
        assert trained_by_losses == "nothing"
