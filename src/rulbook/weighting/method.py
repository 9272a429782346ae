"""What is known of a weighting method beside its code."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from rulbook.weighting.base import BaseMTLLoss

Needs = Literal["nothing", "losses", "epoch means", "task gradients"]


@dataclass(frozen=True)
class WeightingMethod:
    """What a reader compares two weighting methods by; it stands beside the method's class.

    Attributes:
        title: name in prose and tables.
        build: constructor; its keyword arguments are the options of ``get_loss``.
        formula: the trunk weights in LaTeX, without dollar signs; :math:`g_k` is the norm of the
            gradient of :math:`L_k` on the shared parameters, :math:`c` their cosine. Of surgery
            methods it is the form at two tasks.
        source: section of the source, or paper.
        needs: what the weights are computed from at a step.
        weight_sum: what the trunk weights add up to at two tasks.
        citation: key in the bibliography, or ``None`` for the source's own methods.
        state: what a checkpoint must carry.
        backward_passes: passes through the trunk at one training step of two tasks.
        heads: what the heads' gradients are multiplied with.
        two_tasks_only: why there is no form for three tasks or more, in one clause; empty where
            there is one.

    """

    title: str
    build: Callable[..., BaseMTLLoss]
    formula: str
    source: str
    needs: Needs
    weight_sum: str
    citation: str | None = None
    state: str = "none"
    backward_passes: int = 1
    heads: Literal["weighted", "unweighted"] = "weighted"
    two_tasks_only: str = ""
