import numpy as np
import pytest
import torch

from rulbook.errors import UsageError
from rulbook.weighting.fixed import ABLATION_CONFIGS, FixedWeightLoss
from rulbook.weighting.fixed_names import EQUAL_WEIGHTING, fixed_name, fixed_weights
from rulbook.weighting.registry import get_loss


def losses():
    return (
        torch.tensor(25.75, dtype=torch.float64, requires_grad=True),
        torch.tensor(0.9, dtype=torch.float64, requires_grad=True),
    )


def test_the_default_is_an_even_split_under_the_books_name():
    loss = FixedWeightLoss()
    assert loss.get_weights() == {"rul_weight": 0.5, "health_weight": 0.5}
    assert loss.get_name() == "Fixed(0.50/0.50)"


def test_the_legacy_default_is_070_030_under_one_decimal():
    loss = FixedWeightLoss.legacy()
    assert loss.get_weights() == {"rul_weight": 0.7, "health_weight": 0.3}
    assert loss.get_name() == "Fixed(0.7/0.3)"


@pytest.mark.parametrize(
    ("weights", "name"),
    [
        ((0.75, 0.25), "Fixed(0.75/0.25)"),
        ((0.999, 0.001), "Fixed(0.999/0.001)"),
        ((0.0005, 0.9995), "Fixed(0.0005/0.9995)"),
        ((1 / 3, 2 / 3), "Fixed(0.3333/0.6667)"),
        ((1.0, 1.0), "Fixed(1.00/1.00)"),
        ((0.00005, 0.99995), "Fixed(0.00005/0.99995)"),
        ((np.array([0.25, 0.5]), np.array([0.75, 0.5])), "Fixed(0.25–0.50/0.50–0.75)"),
    ],
)
def test_the_name_keeps_the_digits_that_tell_weights_apart(weights, name):
    assert FixedWeightLoss(*weights).get_name() == name


@pytest.mark.parametrize("weights", [(0.5, 0.5), (0.7, 0.7), (0.001, 1.0), (1.0, 0.0)])
def test_value_and_gradient_follow_the_formula(weights):
    rul, health = losses()
    total = FixedWeightLoss(*weights)(rul, health)
    assert total.item() == weights[0] * 25.75 + weights[1] * 0.9
    assert [g.item() for g in torch.autograd.grad(total, [rul, health])] == list(weights)


def test_the_weights_are_floats_outside_of_every_state():
    loss = FixedWeightLoss()
    assert loss.state_dict() == {}
    assert list(loss.parameters()) == []
    assert type(loss.rul_weight) is float


def test_extra_arguments_are_taken_and_ignored():
    rul, health = losses()
    assert FixedWeightLoss()(rul, health, shared_params=[], epoch=3) == FixedWeightLoss()(
        rul, health
    )


def test_an_even_pair_over_one_is_the_even_split_scaled():
    """(0.7, 0.7) is 1.4 times (0.5, 0.5), in value and in gradient (§24.1, pitfall 1)."""
    rul, health = losses()
    large = FixedWeightLoss(0.7, 0.7)(rul, health)
    even = FixedWeightLoss()(rul, health)
    assert large.item() == pytest.approx(1.4 * even.item(), rel=1e-15)


def test_the_legacy_configurations_are_the_three_of_the_listing():
    losses_of = {
        key: FixedWeightLoss.legacy(**config["changes"]) for key, config in ABLATION_CONFIGS.items()
    }
    weights = [tuple(loss.get_weights().values()) for loss in losses_of.values()]
    assert weights == [(0.7, 0.3), (0.5, 0.5), (0.9, 0.1)]
    names = [loss.get_name() for loss in losses_of.values()]
    assert names == ["Fixed(0.7/0.3)", "Fixed(0.5/0.5)", "Fixed(0.9/0.1)"]
    for (key, config), loss in zip(ABLATION_CONFIGS.items(), losses_of.values(), strict=True):
        assert set(config) == {"name", "description", "changes"}
        assert config["name"] == loss.get_name().replace("(", " ").rstrip(")")
        assert get_loss(key).get_weights() == loss.get_weights()


@pytest.mark.parametrize("losses", [(torch.ones(16), 0.0), (np.float64(1.0), torch.ones(2, 1))])
def test_a_tensor_beside_a_number_must_be_a_scalar(losses):
    with pytest.raises(UsageError, match="must be 0-dim"):
        FixedWeightLoss()(*losses)
    assert FixedWeightLoss()(torch.tensor(1.0), 3.0) == 2.0


@pytest.mark.parametrize("kind", [float, np.float64, torch.tensor, lambda x: np.full(3, x)])
def test_the_books_call_takes_numbers_arrays_and_tensors(kind):
    loss = FixedWeightLoss(0.25, 0.75)
    found = loss(kind(4.0), kind(8.0))
    assert (found == 7.0).all() if isinstance(found, np.ndarray) else found == 7.0
    named = loss(rul_loss=kind(4.0), health_loss=kind(8.0), shared_params=[])
    by_task = loss({"health": kind(8.0), "rul": kind(4.0)})
    for other in (named, by_task, loss(kind(4.0), health_loss=kind(8.0))):
        assert type(other) is type(found)
        assert np.all(np.asarray(other) == 7.0)


def test_arrays_of_weights_are_taken_with_arrays_of_losses():
    """Chapter 06 checks the one line so; what is not a finite number is refused in them too."""
    weights, losses = np.array([0.25, 0.5]), np.array([4.0, 8.0])
    assert FixedWeightLoss(weights, 1 - weights)(losses, 2 * losses).tolist() == [7.0, 12.0]
    for bad in (np.array([0.5, np.nan]), np.array(["0.5"]), np.array([0.5j])):
        with pytest.raises(UsageError, match="health_weight"):
            FixedWeightLoss(weights, bad)
    with pytest.raises(UsageError, match=r"^Fixed\(0\.25–0\.50/.* takes 2 losses"):
        FixedWeightLoss(weights, 1 - weights)(losses)


def test_the_name_of_a_fixed_weight_spells_it():
    for thousandths in range(1001):
        weight = thousandths / 1000
        spelled = fixed_weights(fixed_name(weight))
        assert spelled["rul_weight"] == weight
        assert spelled["health_weight"] == pytest.approx(1 - weight, abs=1e-15)
    assert fixed_name(0.5) == EQUAL_WEIGHTING
    assert fixed_weights("fixed_legacy") is None
