"""The weighting methods as a package of their own: what they import, and their examples."""

import doctest
import importlib
import json
import pkgutil
import subprocess
import sys

import pytest
import torch

import rulbook.weighting
from rulbook.weighting.base import BaseMTLLoss
from rulbook.weighting.registry import WEIGHTING_METHODS

MODULES = [
    f"rulbook.weighting.{module.name}"
    for module in pkgutil.iter_modules(rulbook.weighting.__path__)
]
FROM_TORCHJD = {
    *("imtl_g", "nash_mtl", "pcgrad", "upgrad", "cagrad", "mgda", "aligned_mtl"),
    *("random", "geometric_mean", "imtl_l"),
}


def top_level_modules_after(statement):
    """Return the names of what a fresh interpreter has imported after a statement."""
    code = (
        f"{statement}\nimport json, sys\nprint(json.dumps([n.split('.')[0] for n in sys.modules]))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=240
    )
    return set(json.loads(ran.stdout))


@pytest.mark.slow
def test_importing_needs_torch_and_numpy_alone():
    theirs = top_level_modules_after("import torch, numpy, numpy.typing")
    imports = ", ".join([*MODULES, "rulbook.gradients", "rulbook.losses"])
    ours = top_level_modules_after(f"import {imports}")
    assert ours - theirs - set(sys.stdlib_module_names) == {"rulbook"}


@pytest.mark.slow
def test_only_methods_that_need_torchjd_import_it():
    made = ", ".join(
        f"get_loss({name!r})" for name in WEIGHTING_METHODS if name not in FROM_TORCHJD
    )
    after = top_level_modules_after(
        f"from rulbook.weighting.registry import get_loss\nmade = {made}"
    )
    assert "torchjd" not in after
    assert "scipy" not in after


@pytest.mark.parametrize("name", sorted(FROM_TORCHJD))
def test_without_torchjd_a_sentence_says_what_to_install(name, monkeypatch):
    for module in [m for m in sys.modules if m.split(".")[0] == "torchjd"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "torchjd", None)
    with pytest.raises(Exception, match=r"pip install 'rulbook\[solvers\]'"):
        WEIGHTING_METHODS[name].build()


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_print_what_they_say(module):
    loaded = importlib.import_module(module)
    torch.manual_seed(0)
    failures = doctest.testmod(loaded, extraglobs={"torch": torch}).failed
    assert failures == 0


def test_every_public_method_class_has_an_example():
    classes = {
        value
        for module in MODULES
        for name, value in vars(importlib.import_module(module)).items()
        if isinstance(value, type) and issubclass(value, BaseMTLLoss) and not name.startswith("_")
        if not getattr(value, "__abstractmethods__", None)
    }
    assert len(classes) >= 11
    assert not [cls.__name__ for cls in classes if ">>>" not in (cls.__doc__ or "")]
