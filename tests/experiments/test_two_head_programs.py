"""The two programs of §4.1: what decides a claim follows what the programs do."""

import numpy as np
import pytest
import torch

from rulbook.claims.ledger import read_ledger
from rulbook.experiments import two_head_programs as programs
from rulbook.losses import rul_mse
from rulbook.models import DualTaskMLP, shared_parameters, task_parameters


@pytest.fixture(scope="module")
def numbers():
    return programs.drawn_numbers()


@pytest.fixture(scope="module")
def numpy_answers(numbers):
    weights, biases, x = numbers
    h = np.maximum(0, x @ weights["shared"] + biases["shared"])
    rul = (h @ weights["rul"] + biases["rul"]).squeeze(-1)
    return h, rul, h @ weights["health"] + biases["health"]


@pytest.fixture
def batch():
    random = torch.Generator().manual_seed(3)
    return (
        torch.randn(16, programs.FEATURES, generator=random),
        torch.rand(16, generator=random) * 125,
        torch.randint(0, 3, (16,), generator=random),
    )


def test_every_claim_is_one_of_the_chapter_and_comes_out_as_expected(numbers, numpy_answers):
    weights, biases, x = numbers
    model = programs.torch_network(weights, biases)
    in_numpy = programs.numpy_program_claims(weights, x, *numpy_answers)
    in_torch = programs.torch_program_claims(model, torch.from_numpy(x))
    assert not in_numpy.keys() & in_torch.keys()
    ledger = read_ledger()
    assert {ledger[claim].chapter for claim in in_numpy | in_torch} == {"01-why-multi-task"}
    assert in_numpy["n4.1-numpy-twenty-lines"] == 20
    assert in_numpy["n4.1-numpy-unexplained-lines"] == 22
    assert in_torch["n4.1-torch-unexplained-lines"] == 14
    assert in_torch["n4.1-torch-comment-sum"] == programs.PRINTED_TOTAL


def test_numpy_and_torch_give_the_same_answers_until_a_weight_moves(numbers, numpy_answers):
    weights, biases, x = numbers
    model = programs.torch_network(weights, biases)
    with torch.no_grad():
        assert programs.same_answers(numpy_answers[1:], model(torch.from_numpy(x)))
        model.head_rul.bias += 0.01
        assert not programs.same_answers(numpy_answers[1:], model(torch.from_numpy(x)))


@pytest.mark.parametrize("hidden", [1, 8, 32])
def test_parameters_are_counted_as_the_formula_has_them(hidden):
    model = DualTaskMLP(in_dim=5, hidden=hidden, n_classes=4)
    counts = programs.parameter_counts(model)
    assert list(counts.values()) == [6 * hidden, hidden + 1, 4 * (hidden + 1)]
    assert programs.count_biases(model) == hidden + 1 + 4


def test_without_the_squeeze_only_a_batch_of_one_goes_well(batch):
    x, rul_target, states = batch
    rul, logits = DualTaskMLP()(x)
    claims = programs.silent_error_claims(rul, rul_target, logits, states)
    assert list(claims.values()) == [True, True]
    one = programs.silent_error_claims(rul[:1], rul_target[:1], logits[:1], states[:1])
    assert list(one.values()) == [False, True]


def test_gradients_of_a_weighted_sum_add_up(batch):
    model = DualTaskMLP()
    losses = programs.task_losses(model, *batch)
    torch.testing.assert_close(losses["rul"], rul_mse(model(batch[0])[0], batch[1]))
    assert programs.gradients_add_up(losses, {"rul": 0.3, "health": 0.7}, shared_parameters(model))


def test_a_head_is_reached_by_its_own_task_alone(batch):
    model = DualTaskMLP()
    reaches = programs.reached(model, programs.task_losses(model, *batch))
    assert len(reaches) == 2 * 3
    assert programs.only_own_head(reaches)
    assert not programs.only_own_head(reaches | {("rul", "health"): True})
    for parameter in task_parameters(model)["health"]:
        parameter.requires_grad_(False)
    frozen = programs.reached(model, programs.task_losses(model, *batch))
    assert not frozen["health", "health"]
    assert not programs.only_own_head(frozen)
