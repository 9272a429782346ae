"""The network of one trunk and two heads: its counts, and who hears whom."""

import pytest
import torch

from rulbook.experiments import two_heads
from rulbook.models import DualTaskMLP


@pytest.fixture
def model():
    torch.manual_seed(0)
    return DualTaskMLP()


def test_every_parameter_is_in_one_part(model):
    counts = two_heads.parameter_counts(model)
    assert sum(counts.values()) == sum(p.numel() for p in model.parameters())
    claims = two_heads.torch_claims(model, *model(torch.randn(9, 17)))
    assert claims["n4.1-torch-biases"] == 32 + 1 + 3
    assert claims["n4.1-torch-comment-sum"] == 17 * 32 + 33 + 99 + 35
    assert claims["n4.1-torch-health-output-shape"] == "(9, 3)"


def test_a_task_reaches_the_trunk_and_its_own_head_only(model):
    batch = torch.randn(8, 17), torch.rand(8) * 125, torch.randint(0, 3, (8,))
    reaches = two_heads.who_sees_which_gradient(model, *batch)
    assert reaches["rul", "trunk"]
    assert not reaches["rul", "health"]
    assert two_heads.trunk_hears_all_and_heads_their_own(reaches)
    for pair, seen in reaches.items():
        changed = {**reaches, pair: not seen}
        assert not two_heads.trunk_hears_all_and_heads_their_own(changed)
