"""GradNorm: weights learned so that task gradients keep a common norm (Chen et al. 2018)."""

from typing import Literal, get_args

import torch
from torch import Tensor

from rulbook.errors import unknown_name
from rulbook.gradients import GradientGeometry, Gradients, norm
from rulbook.weighting.base import GradientWeightedLoss

Edition = Literal["new", "legacy", "original"]


def gradnorm_targets(
    norms: Tensor, weights: Tensor, loss_ratios: Tensor, *, alpha: float, edition: Edition
) -> Tensor:
    r"""Return the norm that each weighted task gradient should have, (K,).

    Args:
        norms: norms :math:`g_k` of the unweighted task gradients, (K,).
        weights: current weights :math:`w_k`, (K,).
        loss_ratios: :math:`L_k(t)/L_k(0)`, (K,).
        alpha: strength of the pull towards a common training rate.
        edition: whose formula. ``"new"`` (§17.4): :math:`\bar g\,(L_k/L_k(0))^\alpha` with
            :math:`\bar g` the mean of the *unweighted* norms. ``"legacy"`` (§9.3): the same with
            the mean of the *weighted* norms :math:`w_k g_k`. ``"original"`` (Chen et al.,
            section 3.1 and equation 1): weighted norms, and each ratio divided by the mean of the
            ratios, which both editions leave out.

    """
    mean_norm = (norms if edition == "new" else weights * norms).mean()
    rates = loss_ratios / loss_ratios.mean() if edition == "original" else loss_ratios
    return mean_norm * rates**alpha


class GradNormLoss(GradientWeightedLoss):
    r"""Learn the weights by gradient descent on the distance to a target norm.

    .. math:: L_{GN} = \sum_k \bigl|\, w_k g_k - t_k \bigr|, \qquad
              \frac{\partial L_{GN}}{\partial w_k} = g_k\,\mathrm{sign}(w_k g_k - t_k)

    with :math:`g_k` the norm of the unweighted gradient and the target :math:`t_k` held constant
    (see ``gradnorm_targets``). The gradient is used as written, without automatic differentiation.
    Each step first moves the weights, then clips them at 0, then rescales them to sum to K = 2, and
    trains the network under the result.

    Where sources disagree or are silent:

    * target: ``edition``, default the new edition's; ``alpha = 1.5`` in both editions. The paper
      takes 1.5 on NYUv2 and 0.12 on its toy tasks.
    * parameters of the norm: all shared parameters in the new edition (its :math:`g_k` is GABA's);
      the weight matrix of the last shared layer in the legacy edition and in the original. That
      is taken to be the last of ``shared_params`` with more than one dimension.
    * descent: plain SGD inside ``backward`` (§17.4 says SGD), not the network's optimiser. With
      gradient norms of some hundreds a fixed rate throws the weights from bound to bound, so by
      default ``relative=True`` divides the weight gradient by the mean unweighted norm, which makes
      the rate free of units; ``relative=False`` is the formula as it stands.
    * ``weight_lr = 0.025`` is the paper's rate, there for Adam; neither edition's visible text
      gives one.
    * :math:`L_k(0)`: the loss of the first batch seen, as in the paper, which for cross-entropy
      also allows the logarithm of the number of classes.
    * clipping at 0 and rescaling to K after each step: the rescaling is the original's.
    * order: the original trains the network under the weights of before the step.

    A task with zero gradient keeps its weight before rescaling; with both zero nothing moves.

    State: buffers ``weights`` (2,) and ``initial_losses`` (2,), NaN until the first step.
    """

    weights: Tensor
    initial_losses: Tensor

    def __init__(
        self,
        *,
        edition: Edition = "new",
        alpha: float = 1.5,
        weight_lr: float = 0.025,
        relative: bool = True,
    ) -> None:
        super().__init__()
        if edition not in get_args(Edition):
            raise unknown_name("GradNorm edition", edition, get_args(Edition))
        self.edition = edition
        self.alpha = alpha
        self.weight_lr = weight_lr
        self.relative = relative
        self.register_buffer("weights", torch.ones(2))
        self.register_buffer("initial_losses", torch.full((2,), torch.nan))

    def weigh(
        self, rul: Gradients, health: Gradients, measured: GradientGeometry, losses: Tensor
    ) -> Tensor:
        """Take one descent step on the weights and return them, (2,)."""
        if self.edition == "new":
            measured_norms = [measured.norm_rul, measured.norm_health]
        else:
            measured_norms = [norm([_last_layer(gradient)]) for gradient in (rul, health)]
        norms = torch.stack(measured_norms).to(self.weights)
        losses = losses.to(self.weights)
        first = self.initial_losses.isnan()
        self.initial_losses.copy_(torch.where(first, losses, self.initial_losses))
        ratios = torch.where(self.initial_losses == 0, 1.0, losses / self.initial_losses)
        targets = gradnorm_targets(
            norms, self.weights, ratios, alpha=self.alpha, edition=self.edition
        )
        slope = norms * torch.sign(self.weights * norms - targets)
        if self.relative:
            mean = norms.mean()
            slope = torch.where(mean == 0, 0.0, slope / mean)
        moved = (self.weights - self.weight_lr * slope).clamp_min(0)
        total = moved.sum()
        self.weights.copy_(torch.where(total == 0, 1.0, len(moved) * moved / total))
        return self.weights.clone()

    def current_weights(self) -> Tensor:
        """Return the weights of the last step, (2,); they sum to 2."""
        return self.weights

    def get_name(self) -> str:
        """Return the name with its edition and exponent."""
        return f"GradNorm({self.edition}, alpha={self.alpha:g})"


def _last_layer(gradient: Gradients) -> Tensor:
    return next(part for part in reversed(gradient) if part.ndim > 1)
