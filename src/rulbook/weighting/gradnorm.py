"""GradNorm: weights learned so that task gradients keep a common norm (Chen et al. 2018)."""

from collections.abc import Sequence
from functools import partial
from typing import Literal, get_args

import torch
from torch import Tensor

from rulbook.errors import UsageError, unknown_name
from rulbook.gradients import Gradients, norm
from rulbook.weighting.base import TASKS, GradientWeightedLoss, MeasuredStep
from rulbook.weighting.method import WeightingMethod
from rulbook.weighting.options import checked_option, checked_switch

Edition = Literal["new", "legacy", "original"]
Descent = Literal["gradient", "proximal", "adam"]

_ADAM_DECAYS = (0.9, 0.999)
_ADAM_EPSILON = 1e-8


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
            ratios, which both editions leave out; with all losses zero every rate is 1.

    """
    mean_norm = (norms if edition == "new" else weights * norms).mean()
    rates = loss_ratios
    if edition == "original":
        mean_ratio = loss_ratios.mean()
        rates = torch.where(mean_ratio == 0, 1.0, loss_ratios / mean_ratio)
    return mean_norm * rates**alpha


class GradNormLoss(GradientWeightedLoss):
    r"""Learn the weights by gradient descent on the distance to a target norm.

    .. math:: L_{GN} = \sum_k \bigl|\, w_k g_k - t_k \bigr|, \qquad
              \frac{\partial L_{GN}}{\partial w_k} = g_k\,\mathrm{sign}(w_k g_k - t_k)

    with :math:`g_k` the norm of the unweighted gradient and the target :math:`t_k` held constant
    (see ``gradnorm_targets``). The gradient is used as written, without automatic differentiation.
    Each step first moves the weights, then clips them at 0, then rescales them to sum to K, and
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
      the rate free of units; ``relative=False`` is the formula as it stands. The slope has one size
      on both sides of the target, so that a weight that has arrived still jumps across it at every
      step, by up to K times the rate. ``descent="proximal"`` takes the implicit step in place of
      the explicit one: the same move, which ends at :math:`t_k/g_k` where it would pass it.
      ``descent="adam"`` is what Chen et al. ran: Adam with their rate on the gradient as written,
      and the network trained under the weights of before the step; ``get_weights`` then gives
      those of the next one.
    * ``weight_lr = 0.025`` is the paper's rate, there for Adam; neither edition's visible text
      gives one.
    * :math:`L_k(0)`: the loss of the first batch seen, as in the paper, which for cross-entropy
      also allows the logarithm of the number of classes. A loss of zero, as of a batch in which the
      task has no labels, is not taken for it; until there is another the ratio is 1.
    * clipping at 0 and rescaling to K after each step: the rescaling is the original's.
    * order: the original trains the network under the weights of before the step; here only
      ``descent="adam"`` does.

    A task with zero gradient keeps its weight before rescaling, and with all zero nothing moves,
    except with ``descent="adam"``, whose moments move on.

    State: buffers ``weights`` (K,) and ``initial_losses`` (K,), NaN until a loss above zero;
    with ``descent="adam"`` also ``adam_moments`` (2, K) and ``adam_steps``.

    >>> GradNormLoss(edition="original", tasks=("depth", "edges", "normals")).get_weights()
    {'depth_weight': 1.0, 'edges_weight': 1.0, 'normals_weight': 1.0}
    """

    needs_positive_losses = True

    weights: Tensor
    initial_losses: Tensor
    adam_moments: Tensor
    adam_steps: Tensor

    def __init__(
        self,
        *,
        edition: Edition = "new",
        alpha: float = 1.5,
        weight_lr: float = 0.025,
        relative: bool = True,
        descent: Descent = "gradient",
        tasks: Sequence[str] = TASKS,
    ) -> None:
        super().__init__(tasks)
        if descent not in get_args(Descent):
            raise unknown_name("GradNorm descent", descent, get_args(Descent))
        if edition not in get_args(Edition):
            raise unknown_name("GradNorm edition", edition, get_args(Edition))
        self.edition = edition
        self.alpha = checked_option("GradNorm", "alpha", alpha, least=0)
        self.weight_lr = checked_option("GradNorm", "weight_lr", weight_lr, least=0)
        self.relative = checked_switch("GradNorm", "relative", relative)
        self.descent = descent
        self.register_buffer("weights", torch.ones(len(self.tasks)))
        self.register_buffer("initial_losses", torch.full((len(self.tasks),), torch.nan))
        if descent == "adam":
            self.register_buffer("adam_moments", torch.zeros(2, len(self.tasks)))
            self.register_buffer("adam_steps", torch.zeros(()))

    def weigh(self, step: MeasuredStep) -> Tensor:
        """Take one descent step on the weights and return those to train under, (K,)."""
        before = self.weights.clone()
        # Of a trunk that is frozen as a whole every norm is zero.
        if self.edition == "new" or not step.gradients[0]:
            norms = step.geometry.norms.to(self.weights)
        else:
            last_layers = [norm([_last_layer(gradient)]) for gradient in step.gradients]
            norms = torch.stack(last_layers).to(self.weights)
        losses = step.losses.to(self.weights)
        is_first = self.initial_losses.isnan() & (losses > 0)
        self.initial_losses.copy_(torch.where(is_first, losses, self.initial_losses))
        ratios = torch.where(self.initial_losses.isnan(), 1.0, losses / self.initial_losses)
        targets = gradnorm_targets(
            norms, self.weights, ratios, alpha=self.alpha, edition=self.edition
        )
        moved = self._descend(norms, targets).clamp_min(0)
        total = moved.sum()
        self.weights.copy_(torch.where(total == 0, 1.0, len(moved) * moved / total))
        return before if self.descent == "adam" else self.weights.clone()

    def current_weights(self) -> Tensor:
        """Return the weights after the last step, (K,); they sum to K."""
        return self.weights

    def get_name(self) -> str:
        """Return the name with its edition and exponent, and its descent where it is another."""
        descent = "" if self.descent == "gradient" else f", {self.descent}"
        return f"GradNorm({self.edition}, alpha={self.alpha:g}{descent})"

    def _descend(self, norms: Tensor, targets: Tensor) -> Tensor:
        """Return the weights one step of the descent further, before clipping and rescaling."""
        slope = norms * torch.sign(self.weights * norms - targets)
        if self.descent == "adam":
            return self.weights - self.weight_lr * self._adam_direction(slope)
        if self.relative:
            mean = norms.mean()
            slope = torch.where(mean == 0, 0.0, slope / mean)
        step = self.weight_lr * slope
        if self.descent == "proximal":
            # A zero gradient has no slope, so that what stands in for its target does not matter.
            distance = self.weights - targets / norms.where(norms > 0, 1.0)
            step = step.sign() * torch.minimum(step.abs(), distance.abs())
        return self.weights - step

    def _adam_direction(self, slope: Tensor) -> Tensor:
        self.adam_steps += 1
        powers = torch.stack([slope, slope.square()])
        decays = slope.new_tensor(_ADAM_DECAYS)
        self.adam_moments.lerp_(powers, (1 - decays).unsqueeze(1))
        mean, square = self.adam_moments / (1 - decays**self.adam_steps).unsqueeze(1)
        direction: Tensor = mean / (square.sqrt() + _ADAM_EPSILON)
        return direction


def _last_layer(gradient: Gradients) -> Tensor:
    layers = [part for part in gradient if part.ndim > 1]
    if not layers:
        raise UsageError(
            "These forms of GradNorm measure the last weight matrix of the shared layers, and no "
            "parameter of shared_params that is trained has two dimensions: thaw one, or take "
            "edition='new', which measures all parameters."
        )
    return layers[-1]


_gradnorm = partial(
    WeightingMethod,
    citation="chen2018",
    needs="task gradients",
    state="weights, first losses",
    backward_passes=2,
    weight_sum="2",
)

GRADNORM = _gradnorm(
    title="GradNorm (new edition)",
    build=partial(GradNormLoss, edition="new"),
    formula=r"w_k g_k \to \bar g\,\Bigl(\frac{L_k}{L_k(0)}\Bigr)^{\alpha}",
    source="§17.4",
)

GRADNORM_LEGACY = _gradnorm(
    title="GradNorm (legacy edition)",
    build=partial(GradNormLoss, edition="legacy"),
    formula=r"w_k g_k \to \overline{w g}\,\Bigl(\frac{L_k}{L_k(0)}\Bigr)^{\alpha}",
    source="legacy §9.3",
)

GRADNORM_ORIGINAL = _gradnorm(
    title="GradNorm (original)",
    build=partial(GradNormLoss, edition="original"),
    formula=r"w_k g_k \to \overline{w g}\,\Bigl(\frac{r_k}{\bar r}\Bigr)^{\alpha},\ "
    r"r_k = \frac{L_k}{L_k(0)}",
    source="Chen et al. 2018",
)
