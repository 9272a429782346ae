"""Seeding a stretch of code, and what it must not touch."""

import numpy as np
import pytest
import torch

from rulbook.randomness import seeded


@pytest.mark.parametrize("kind", [int, np.int64, np.uint32])
def test_the_draws_are_those_of_the_seed_and_the_state_is_as_before(kind):
    """A search hands out NumPy's integers as seeds."""
    before = torch.get_rng_state()
    with seeded(kind(3)):
        found = torch.rand(4)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(found, torch.rand(4, generator=torch.Generator().manual_seed(3)))


def test_no_other_device_is_seeded(monkeypatch):
    """``torch.manual_seed`` would seed every GPU, whose state nothing here restores."""
    monkeypatch.setattr(torch, "manual_seed", lambda _: pytest.fail("every device is seeded"))
    with seeded(3):
        torch.rand(1)
