"""The page for other people's projects: every block of Python on it runs, in order."""

import re

import pytest
import torch

from rulbook.paths import checkout
from rulbook.weighting import registry

PAGE = "in-your-own-project"


def blocks():
    text = (checkout() / "book" / f"{PAGE}.md").read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


# Lightning's own: its call of PyTorch's tree functions, and advice on speed for a real training.
@pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec.. is deprecated:FutureWarning")
@pytest.mark.filterwarnings("ignore:The 'train_dataloader' does not have many workers")
@pytest.mark.slow
def test_every_block_runs_after_those_before_it(capsys, monkeypatch):
    monkeypatch.setattr(registry, "_OWN", {})
    session: dict = {}
    found = blocks()
    assert len(found) >= 8
    for block in found:
        exec(compile(block, f"{PAGE}.md", "exec"), session)
    assert "anomaly_weight" in capsys.readouterr().out
    assert len(session["read"]) == 3
    assert session["trainer"].global_step == 8
    assert "anomaly_weight" in session["trainer"].callback_metrics
    assert sum(session["records"][-1][f"{task}_weight"] for task in session["heads"]) == (
        pytest.approx(3.0)
    )
    losses = torch.tensor([300.0, 0.7, 0.2], requires_grad=True)
    product = session["product"]
    (gradient,) = torch.autograd.grad(product(*losses), losses)
    assert gradient.tolist() == pytest.approx(list(product.get_weights().values()))


def test_the_page_is_in_the_table_of_contents():
    assert f"file: {PAGE}\n" in (checkout() / "_toc.yml").read_text(encoding="utf-8")
