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


def test_of_gpus_the_one_that_is_named_is_seeded(monkeypatch):
    seeds, restored = [], []
    monkeypatch.setattr(torch.mps, "manual_seed", seeds.append)
    monkeypatch.setattr(torch.mps, "get_rng_state", lambda: "before")
    monkeypatch.setattr(torch.mps, "set_rng_state", restored.append)
    with seeded(3):
        pass
    assert seeds == restored == []
    with seeded(3, "mps"):
        assert seeds == [3]
    assert restored == ["before"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_cuda_the_draws_are_those_of_the_seed_and_the_state_is_as_before():
    before = torch.cuda.get_rng_state()
    with seeded(3, "cuda"):
        first = torch.rand(4, device="cuda")
    assert torch.equal(torch.cuda.get_rng_state(), before)
    with seeded(3, "cuda"):
        assert torch.equal(first, torch.rand(4, device="cuda"))
