import pytest
import torch

from rulbook.errors import RulbookError, UsageError
from rulbook.training.device import as_device, choose_device


def _machine_with(monkeypatch, *, cuda, mps):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_auto_prefers_cuda_then_mps(monkeypatch, cuda, mps, expected):
    _machine_with(monkeypatch, cuda=cuda, mps=mps)
    assert choose_device("auto") == torch.device(expected)


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_absent_device_is_an_error_that_names_it_and_the_remedy(monkeypatch, name):
    _machine_with(monkeypatch, cuda=False, mps=False)
    with pytest.raises(RulbookError, match=rf"no {name} device.*--device cpu") as caught:
        choose_device(name)
    assert caught.value.exit_code == 1


def test_the_cpu_is_always_there(monkeypatch):
    _machine_with(monkeypatch, cuda=True, mps=True)
    assert choose_device("cpu") == torch.device("cpu")


def test_unknown_device_lists_the_known_ones():
    with pytest.raises(UsageError, match=r"'tpu'.*auto, cpu, cuda, mps"):
        choose_device("tpu")


def test_a_training_takes_a_device_of_pytorch_or_a_name_that_is_looked_for(monkeypatch):
    _machine_with(monkeypatch, cuda=False, mps=False)
    for device in ("auto", "cpu", torch.device("cpu")):
        assert as_device(device) == torch.device("cpu")
    assert as_device("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(RulbookError, match="no cuda device"):
        as_device("cuda")
    for nonesuch in ("gpu", None):
        with pytest.raises(UsageError, match="auto, cpu, cuda, mps"):
            as_device(nonesuch)
