import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import log_softmax

from rulbook.errors import UsageError
from rulbook.losses import (
    failure_weighted_mse,
    failure_weights,
    health_cross_entropy,
    inner_rul_loss,
    rul_mse,
)

CAP = 125.0
cycles = arrays(np.float64, 6, elements=st.floats(0, 400))
scores = arrays(np.float64, (6, 3), elements=st.floats(-50, 50))
states = arrays(np.int64, 6, elements=st.integers(0, 2))


@given(cycles, cycles)
def test_numpy_and_torch_give_the_same_rul_losses(prediction, target):
    tensors = torch.from_numpy(prediction), torch.from_numpy(target)
    assert float(rul_mse(*tensors)) == pytest.approx(rul_mse(prediction, target), rel=1e-12)
    assert float(failure_weighted_mse(*tensors, CAP)) == pytest.approx(
        failure_weighted_mse(prediction, target, CAP), rel=1e-12
    )


@given(scores, states)
def test_numpy_and_torch_give_scipys_cross_entropy(logits, state):
    expected = -log_softmax(logits, axis=-1)[np.arange(len(state)), state].mean()
    found = health_cross_entropy(torch.from_numpy(logits), torch.from_numpy(state))
    assert float(found) == pytest.approx(expected, rel=1e-9, abs=1e-9)
    found = health_cross_entropy(logits, state)
    assert isinstance(found, np.float64)
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(cycles, cycles)
def test_failure_weighting_at_most_doubles_the_loss(prediction, target):
    plain = rul_mse(prediction, target)
    weighted = failure_weighted_mse(prediction, target, CAP)
    assert plain * (1 - 1e-12) <= weighted <= 2 * plain * (1 + 1e-12)


def test_failure_weights_fall_from_two_at_failure_to_one_at_the_cap():
    np.testing.assert_allclose(
        failure_weights(np.array([0.0, CAP / 2, CAP, 3 * CAP]), CAP), [2.0, 1.5, 1.0, 1.0]
    )


def test_cross_entropy_of_equal_logits_is_the_logarithm_of_the_classes():
    assert health_cross_entropy(np.zeros((4, 3)), np.array([0, 1, 2, 0])) == pytest.approx(
        np.log(3)
    )


def test_inner_loss_is_chosen_by_name():
    prediction, target = torch.tensor([10.0]), torch.tensor([0.0])
    assert inner_rul_loss("mse", prediction, target, CAP) == 100
    assert inner_rul_loss("failure_weighted_mse", prediction, target, CAP) == 200


@pytest.mark.parametrize("kind", ["mse", "failure_weighted_mse"])
@pytest.mark.parametrize("make", [np.array, torch.tensor])
@pytest.mark.parametrize(
    ("prediction", "target", "says"),
    [
        ([[1.0], [2.0]], [1.0, 2.0], r"not \(2, 1\) and \(2,\)"),
        ([1.0], [1.0, 2.0], r"not \(1,\) and \(2,\)"),
        (1.0, [1.0, 2.0], r"not \(\) and \(2,\)"),
        ([1, 2], [1.0, 2.0], "prediction must be floating point, not .*int"),
        ([1.0, 2.0], [1, 2], "target must be floating point, not .*int"),
    ],
)
def test_what_would_be_broadcast_or_rounded_is_refused(kind, make, prediction, target, says):
    with pytest.raises(ValueError, match=says):
        inner_rul_loss(kind, make(prediction), make(target), CAP)


@pytest.mark.parametrize("make", [np.array, torch.tensor])
@pytest.mark.parametrize("state", [[0.0, 1.7], [True, False], [0], [[0], [1]]])
def test_states_are_integers_one_for_each_row(make, state):
    with pytest.raises(ValueError, match="one integer for each row"):
        health_cross_entropy(make([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), make(state))


@pytest.mark.parametrize("make", [np.array, torch.tensor])
@pytest.mark.parametrize("state", [[0, 3], [0, -1], [-100, 1], [-100, -100]])
def test_states_are_classes(make, state):
    """PyTorch leaves -100 out of the mean by default, and of nothing else the mean is NaN."""
    with pytest.raises(ValueError, match=rf"from 0 to 2, .* from {min(state)} to {max(state)}"):
        health_cross_entropy(make([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), make(state))


@pytest.mark.parametrize("make", [np.array, torch.tensor])
@pytest.mark.parametrize("shape", [(3,), (2, 3, 3)])
def test_logits_are_one_row_a_sample(make, shape):
    """PyTorch takes the second of three dimensions for the classes."""
    logits = make(np.zeros(shape).tolist())
    with pytest.raises(ValueError, match=r"logits must be of shape \(B, classes\)"):
        health_cross_entropy(logits, make(np.zeros(shape[:-1], dtype=int).tolist()))


@pytest.mark.parametrize("kind", [np.int8, np.int32, np.int64, np.uint8])
def test_states_may_be_integers_of_any_kind(kind):
    logits, state = np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([1, 0], dtype=kind)
    as_tensors = health_cross_entropy(torch.from_numpy(logits), torch.from_numpy(state))
    assert float(as_tensors) == pytest.approx(health_cross_entropy(logits, state), rel=1e-12)


@pytest.mark.parametrize("cap", [0, -125.0, float("nan")])
def test_a_cap_is_above_zero(cap):
    for weigh in (failure_weights, lambda target, cap: failure_weighted_mse(target, target, cap)):
        with pytest.raises(ValueError, match="rul_cap must be a number of cycles above 0"):
            weigh(np.array([1.0, 0.0]), cap)


def test_an_unknown_inner_loss_names_the_known_ones():
    with pytest.raises(UsageError, match="failure_weighted_mse"):
        inner_rul_loss("failure-weighted", torch.zeros(1), torch.zeros(1), CAP)


def test_states_may_be_an_array_beside_logits_with_a_graph():
    logits = torch.zeros(3, 3, requires_grad=True)
    loss = health_cross_entropy(logits, np.array([0, 1, 2]))
    loss.backward()
    assert loss.item() == pytest.approx(np.log(3))
    assert logits.grad is not None


def test_logits_of_integers_are_refused():
    for logits in (torch.zeros(3, 3, dtype=torch.int64), np.zeros((3, 3), int)):
        with pytest.raises(ValueError, match="logits must be floating point, not"):
            health_cross_entropy(logits, np.array([0, 1, 2]))


def test_a_series_which_pandas_would_match_by_its_index_is_refused():
    predicted = pd.Series([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"the target is a Series.*to_numpy"):
        rul_mse(predicted.to_numpy(), predicted.set_axis([1, 2, 3]))
