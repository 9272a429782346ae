"""Dynamic weight average (Liu, Johns and Davison 2019; legacy edition §9.4)."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from rulbook.errors import UsageError
from rulbook.weighting.base import TASKS, BaseMTLLoss, NonFiniteLossError, as_weights, weighted_sum
from rulbook.weighting.method import WeightingMethod
from rulbook.weighting.options import checked_option


def dwa_weights(last: Tensor, before: Tensor, temperature: float) -> Tensor:
    r"""Return :math:`K\,\mathrm{softmax}(r/T)` with :math:`r_k = L_k(t-1)/L_k(t-2)`, (K,).

    ``last`` and ``before`` are the mean losses of the last epoch and of the one before it, (K,).
    A task whose loss was zero before has no rate; it then counts as unchanged, rate 1. A rate
    beyond the largest number counts as that.
    """
    rates = torch.where(before == 0, 1.0, last / before)
    exponents = (rates / temperature).clamp_max(torch.finfo(rates.dtype).max)
    return len(rates) * torch.softmax(exponents, dim=0)


class DWALoss(BaseMTLLoss):
    r"""Weights from how fast each loss fell between the last two epochs.

    .. math:: \lambda_k = K \frac{e^{r_k/T}}{\sum_j e^{r_j/T}}, \qquad
              r_k = \frac{L_k(t-1)}{L_k(t-2)}

    The losses are epoch means, given by ``end_epoch``, not those of batches; the weights sum to
    K and are constant within an epoch. In the first two epochs there is no rate yet and both
    weights are 1 (the source does not state it; the paper sets it so). ``temperature = 2`` is the
    paper's; the source prints no value. Depends on the rates alone, so a difference of scale
    between the losses is left as it is. ``end_epoch`` moves the weights in evaluation mode too:
    it is called once an epoch, on purpose.

    State: buffers ``weights`` (K,) and ``mean_losses`` (2, K), the last epoch first, NaN where
    there was none.

    >>> method = DWALoss()
    >>> for rul, health in ((100.0, 1.0), (50.0, 0.9)):
    ...     method.end_epoch({"rul": rul, "health": health})
    >>> {name: round(weight, 3) for name, weight in method.get_weights().items()}
    {'rul_weight': 0.9, 'health_weight': 1.1}
    """

    weights: Tensor
    mean_losses: Tensor

    def __init__(self, temperature: float = 2.0, *, tasks: Sequence[str] = TASKS) -> None:
        super().__init__(tasks)
        self.temperature = checked_option("DWA", "temperature", temperature, least=1e-6)
        self.register_buffer("weights", torch.ones(len(self.tasks)))
        self.register_buffer("mean_losses", torch.full((2, len(self.tasks)), torch.nan))

    def combine(self, losses: Sequence[Tensor]) -> Tensor:
        """Return the weighted sum, 0-dim."""
        return weighted_sum(self.weights, losses)

    def end_epoch(self, mean_losses: Mapping[str, float]) -> None:
        """Move the weights by the epoch's mean training losses.

        Raises:
            NonFiniteLossError: a mean is NaN or infinite; the state stays as it was.
            UsageError: a task has no mean, or one that is negative or no number; likewise.

        """
        if not isinstance(mean_losses, Mapping) or set(mean_losses) != set(self.tasks):
            raise UsageError(
                f"DWA takes a mapping from {', '.join(self.tasks)} to their mean losses, not "
                f"{mean_losses!r}."
            )
        try:
            numbers = [float(mean_losses[task]) for task in self.tasks]
        except (TypeError, ValueError):
            raise UsageError(f"DWA takes numbers as mean losses, not {mean_losses}.") from None
        newest = self.mean_losses.new_tensor(numbers)
        if not torch.isfinite(newest).all():
            raise NonFiniteLossError(
                f"DWA was given mean losses {dict(mean_losses)}; they must be finite numbers."
            )
        if (newest < 0).any():
            raise UsageError(
                f"DWA divides by the mean losses; given {dict(mean_losses)}: add a constant that "
                "keeps them positive."
            )
        self.mean_losses.copy_(torch.stack([newest, self.mean_losses[0]]))
        if not self.mean_losses.isnan().any():
            self.weights.copy_(
                dwa_weights(self.mean_losses[0], self.mean_losses[1], self.temperature)
            )

    def get_weights(self) -> dict[str, float]:
        """Return the weights of the current epoch; they sum to K."""
        return as_weights(self.weights, self.tasks)

    def get_name(self) -> str:
        """Return the name with its temperature."""
        return f"DWA(T={self.temperature:g})"


DWA = WeightingMethod(
    title="DWA",
    build=DWALoss,
    formula=r"\lambda_k = K\,\frac{e^{r_k/T}}{\sum_j e^{r_j/T}},\ r_k = \frac{L_k(t-1)}{L_k(t-2)}",
    source="legacy §9.4",
    citation="liu2019",
    needs="epoch means",
    state="weights, two epochs of mean losses",
    weight_sum="2",
)
