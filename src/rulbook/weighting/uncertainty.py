"""Learned task uncertainties (Kendall, Gal and Cipolla 2018; §4.3, §24.1)."""

from collections.abc import Iterable, Sequence, Set
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from rulbook.errors import UsageError, unknown_name
from rulbook.weighting.base import TASKS, BaseMTLLoss, as_weights, weighted_sum
from rulbook.weighting.method import WeightingMethod
from rulbook.weighting.options import checked_option

ClassificationFactor = Literal["half", "one"]


class UncertaintyLoss(BaseMTLLoss):
    r"""Weights from one learned log-variance a task, :math:`s_k = \log \sigma_k^2`.

    .. math:: L = \tfrac12 e^{-s_{rul}} L_{rul} + \tfrac12 s_{rul}
                + c\, e^{-s_{health}} L_{health} + \tfrac12 s_{health}

    which is :math:`L_k / (2\sigma_k^2) + \log \sigma_k` in the log-space that the source stores
    (§4.3; ``log_var_rul`` is a parameter, §24.1).

    Where sources disagree: the factor :math:`c` of the classification term. The source, and most
    public code, write 1/2 for every task (``classification_factor="half"``, default); equation 10
    of Kendall et al. has :math:`1/\sigma^2`, that is 1 (``"one"``), because a softmax likelihood
    scaled by :math:`1/\sigma^2` has no 1/2. Initial log-variances are 0 (the source does not state
    them; 0 is usual, −0.5 is also found), and ``initial_log_var`` changes them.

    The log-variances learn at the network's rate unless ``log_var_lr`` says otherwise. At a rate
    of 0.001 they move by about 0.001 a step under Adam, and :math:`s_{rul}` has some way to go: the
    minimum is at :math:`s_k = \log L_k`, which is 5.5 at a loss of 250. After 900 steps of that
    loss the RUL weight is still 120 times the minimum's; at 0.1 it is within 3 %, and at 0.02
    nearly 4 times, since Adam remembers the large gradients of the start.

    Args:
        classification_factor: :math:`c`, of the tasks named in ``classification``.
        initial_log_var: where the log-variances start, one number or one a task.
        log_var_lr: rate for the log-variances, which the training loop hands to its optimiser (see
            ``learning_rate``); ``None``: the network's.
        classification: tasks whose loss is that of a classifier, by default ``health`` if there is
            one of that name.
        tasks: names of the tasks.

    State: one parameter ``log_var_NAME`` a task, to be learned without weight decay. The weights do
    not sum to a constant, and the combined loss may be negative.

    >>> method = UncertaintyLoss(log_var_lr=0.1)
    >>> method.get_weights()
    {'rul_weight': 0.5, 'health_weight': 0.5}
    >>> [name for name, _ in method.named_parameters()]
    ['log_var_rul', 'log_var_health']
    """

    log_var_rul: nn.Parameter
    log_var_health: nn.Parameter

    def __init__(
        self,
        *,
        classification_factor: ClassificationFactor = "half",
        initial_log_var: float | Sequence[float] = 0.0,
        log_var_lr: float | None = None,
        classification: Sequence[str] | None = None,
        tasks: Sequence[str] = TASKS,
    ) -> None:
        super().__init__(tasks)
        if classification_factor not in get_args(ClassificationFactor):
            raise unknown_name(
                "classification factor", classification_factor, get_args(ClassificationFactor)
            )
        self.classification_factor = classification_factor
        if log_var_lr is not None:
            self.learning_rate = checked_option("Uncertainty", "log_var_lr", log_var_lr, least=0)
        given = ("health",) if classification is None else _listed_tasks(classification)
        if classification is not None and not set(given) <= set(self.tasks):
            raise UsageError(
                f"Uncertainty was given the classification tasks {', '.join(given)}; its tasks are "
                f"{', '.join(self.tasks)}."
            )
        self.classification = tuple(task for task in self.tasks if task in given)
        if classification is None and classification_factor != "half" and not self.classification:
            raise UsageError(
                "Uncertainty's classification_factor is of the tasks that classify: name them, "
                f"classification=('{self.tasks[-1]}',)."
            )
        starts = _one_a_task(initial_log_var, len(self.tasks))
        for task, start in zip(self.tasks, starts, strict=True):
            self.register_parameter(f"log_var_{task}", nn.Parameter(torch.tensor(start)))

    def combine(self, losses: Sequence[Tensor]) -> Tensor:
        """Return the weighted losses plus the regularising terms, 0-dim."""
        log_vars = self._log_vars()
        regulariser = log_vars[0]
        for log_var in log_vars[1:]:
            regulariser = regulariser + log_var
        return weighted_sum(self._weights(), losses) + 0.5 * regulariser

    def get_weights(self) -> dict[str, float]:
        """Return the factors of the losses."""
        return as_weights([float(weight.detach()) for weight in self._weights()], self.tasks)

    def get_name(self) -> str:
        """Return ``Uncertainty``, marked where the classification factor is 1."""
        return "Uncertainty" if self.classification_factor == "half" else "Uncertainty(c=1)"

    def _log_vars(self) -> list[Tensor]:
        return [self.get_parameter(f"log_var_{task}") for task in self.tasks]

    def _weights(self) -> list[Tensor]:
        factor = 0.5 if self.classification_factor == "half" else 1.0
        factors = [factor if task in self.classification else 0.5 for task in self.tasks]
        return [f * torch.exp(-s) for f, s in zip(factors, self._log_vars(), strict=True)]


def _one_a_task(initial_log_var: Any, tasks: int) -> list[float]:
    # Arrays and tensors, with a dimension or without, become numbers here.
    given = initial_log_var.tolist() if hasattr(initial_log_var, "tolist") else initial_log_var
    is_one = isinstance(given, str) or not isinstance(given, Iterable)
    starts = [given] * tasks if is_one else list(given)
    if len(starts) != tasks:
        raise UsageError(f"Uncertainty takes one initial_log_var or {tasks}, not {len(starts)}.")
    return [checked_option("Uncertainty", "initial_log_var", start) for start in starts]


def _listed_tasks(classification: Any) -> tuple[str, ...]:
    is_list = isinstance(classification, Sequence | Set) and not isinstance(classification, str)
    if not is_list or not all(isinstance(name, str) for name in classification):
        raise UsageError(
            f"Uncertainty takes a list of tasks for classification, not {classification!r}."
        )
    return tuple(classification)


UNCERTAINTY = WeightingMethod(
    title="Uncertainty",
    build=UncertaintyLoss,
    formula=r"\lambda_k = \tfrac12 e^{-s_k},\ s_k \text{ learned}",
    source="§4.3, §24.1",
    citation="kendall2018",
    needs="losses",
    state="two learned log-variances",
    weight_sum="any",
)
