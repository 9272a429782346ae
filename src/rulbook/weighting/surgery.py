"""Methods that combine gradients, not losses, through TorchJD's aggregators."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torchjd.aggregation import (
    IMTLG,
    MGDA,
    AlignedMTL,
    CAGrad,
    FairGrad,
    PCGrad,
    WeightedAggregator,
)
from torchjd.linalg import PSDMatrix, QuadprogProjector

from rulbook.errors import RulbookError
from rulbook.gradients import geometry
from rulbook.weighting.base import (
    BaseMTLLoss,
    StepInfo,
    as_weights,
    split_gradients,
    write_gradients,
)

Weights = tuple[float, float]

Rule = Callable[[float, float, float], Weights]
"""Trunk weights from the norms of the RUL and of the health gradient and from their cosine."""

EQUAL: Weights = (0.5, 0.5)


def planar_gradients(norm_rul: float, norm_health: float, cosine: float) -> Tensor:
    """Return a (2, 2) float64 matrix whose rows have these norms and this cosine.

    It has the same Gramian as the (2, n) Jacobian of the two losses on the shared parameters, and
    every aggregator used here sees its input through the Gramian alone. Rebuilt in float64 from
    three numbers, it also keeps the digits that a float32 Gramian loses when one norm is a
    thousand times the other. A NaN cosine (one norm is zero) counts as 0.
    """
    cosine = 0.0 if math.isnan(cosine) else cosine
    sine = math.sqrt(max(0.0, 1.0 - cosine * cosine))
    return torch.tensor(
        [[norm_rul, 0.0], [norm_health * cosine, norm_health * sine]], dtype=torch.float64
    )


class SurgeryLoss(BaseMTLLoss):
    r"""A rule on the two task gradients behind the contract: :math:`\sum_k w_k \nabla L_k`.

    The weights :math:`w_k` come from the two task gradients on the shared parameters; each head
    gets its own unweighted gradient, as in TorchJD's ``mtl_backward``. There is no scalar loss
    with that gradient, so ``forward`` raises and ``StepInfo.total`` is ``None``. The two gradients
    are computed once, and TorchJD is asked on two-by-two matrices (see ``planar_gradients``).

    With both gradients zero the weights are reported as 1/2 and the rule is not asked. With one
    zero gradient the weights are finite; MGDA's give the zero gradient everything, so that the
    trunk stands still.

    Args:
        rule: the trunk weights from norms and cosine; not asked where both norms are zero.
        name: name for logs and tables.

    """

    needs_task_gradients = True

    def __init__(self, rule: Rule, name: str) -> None:
        super().__init__()
        self.rule = rule
        self._name = name
        self._last_weights: Weights = (math.nan, math.nan)

    def forward(self, rul_loss: Tensor, health_loss: Tensor, **kwargs: Any) -> Tensor:  # noqa: ARG002
        """Raise: these methods have no combined loss.

        Raises:
            RulbookError: always.

        """
        raise RulbookError(
            f"{self.get_name()} combines gradients and has no scalar loss; call backward(...)."
        )

    def backward(
        self,
        rul_loss: Tensor,
        health_loss: Tensor,
        *,
        shared_params: Sequence[nn.Parameter],
        task_params: Mapping[str, Sequence[nn.Parameter]],
        observe: bool = False,  # noqa: ARG002
    ) -> StepInfo:
        """Add the combined gradient to ``.grad``; the geometry costs nothing and is reported."""
        self._check_finite("loss", rul_loss, health_loss)
        rul, health = split_gradients(rul_loss, health_loss, shared_params, task_params)
        measured = geometry(rul.shared, health.shared)
        self._check_finite("gradient norm", measured.norm_rul, measured.norm_health)
        self._last_weights = self.weigh(*measured.tolist())
        write_gradients(shared_params, task_params, rul, health, self._last_weights, (1.0, 1.0))
        return StepInfo(None, measured)

    def weigh(self, norm_rul: float, norm_health: float, cosine: float) -> Weights:
        """Return the two trunk weights from the norms and the cosine of the task gradients."""
        if norm_rul == norm_health == 0:
            return EQUAL
        return self.rule(norm_rul, norm_health, cosine)

    def get_weights(self) -> dict[str, float]:
        """Return the trunk weights of the last step; the heads' are 1."""
        return as_weights(self._last_weights)

    def get_name(self) -> str:
        """Return the method's name with the settings that matter."""
        return self._name


def scale_free(aggregator: WeightedAggregator) -> Rule:
    """Return the rule of a TorchJD aggregator whose weights ignore the gradients' common scale.

    The gradients are divided by their joint norm first: the weights do not depend on the common
    scale, but thresholds inside TorchJD do, and return zero weights where gradients are small.
    """

    def rule(norm_rul: float, norm_health: float, cosine: float) -> Weights:
        size = math.hypot(norm_rul, norm_health)
        matrix = planar_gradients(norm_rul / size, norm_health / size, cosine)
        # PCGrad draws a permutation, which must not move the random numbers of dropout.
        with torch.random.fork_rng(devices=[]):
            return _as_pair(aggregator.weighting(matrix))

    return rule


def nash_mtl(max_norm: float = 1.0) -> SurgeryLoss:
    r"""Return Nash-MTL, the bargaining solution (Navon et al. 2022).

    The weights solve :math:`(J J^\top w)_k = 1/w_k`; at two tasks with norms :math:`g_k` and cosine
    :math:`c` that is :math:`w_k = 1/(g_k\sqrt{1+c})`, the direction of IMTL-G. ``max_norm`` then
    caps the norm of the combined gradient (1, the authors' default; 0 switches it off).

    Departures: TorchJD's ``NashMTL`` iterates a convex program from its last solution; it takes
    tens of milliseconds, keeps its starting point when its solver fails, and stops far from the
    solution where the norms differ by a factor of 100. Its ``FairGrad`` (Ban and Ji 2024) with
    alpha 1 solves the same equation by least squares and keeps no state, so that is what is asked.
    Rescaling a row divides its weight by the same factor and leaves the combined gradient as it
    was, so the rows go in at length 1 and the weights are divided by the norms afterwards. With
    one zero gradient the equation has no solution; its task then gets weight 0 and the other 1/g,
    capped.
    """
    solver = FairGrad(alpha=1.0)

    def rule(norm_rul: float, norm_health: float, cosine: float) -> Weights:
        norms = (norm_rul, norm_health)
        solved = (1.0, 1.0)
        if all(norms):
            solved = _as_pair(solver.weighting(planar_gradients(1.0, 1.0, cosine)))
        weights = torch.tensor(
            [s / g if g else 0.0 for s, g in zip(solved, norms, strict=True)], dtype=torch.float64
        )
        combined = torch.linalg.vector_norm(weights @ planar_gradients(*norms, cosine))
        if max_norm and combined > max_norm:
            weights *= max_norm / combined
        return _as_pair(weights)

    return SurgeryLoss(rule, "NashMTL")


def upgrad() -> SurgeryLoss:
    """Return UPGrad: the mean of the gradients projected on their dual cone (Quinton, Rey 2024).

    The gradients go to TorchJD's projector at length 1, which the dual cone does not notice, and
    the projections are scaled back. Departure: its ``UPGrad`` projects the gradients as they are,
    after adding 1e-4 of the Gramian's trace to its diagonal; at norms that differ by a factor of
    100 that outweighs the smaller one and leaves a conflict standing. At two tasks the weights are
    half of PCGrad's.
    """
    projector = QuadprogProjector(norm_eps=0.0, reg_eps=1e-12)

    def rule(norm_rul: float, norm_health: float, cosine: float) -> Weights:
        if not (norm_rul and norm_health):
            return EQUAL
        rows = planar_gradients(1.0, 1.0, cosine)
        projected = projector(torch.eye(2, dtype=rows.dtype), cast(PSDMatrix, rows @ rows.T))
        norms = rows.new_tensor([norm_rul, norm_health])
        return _as_pair(0.5 * (norms @ projected) / norms)

    return SurgeryLoss(rule, "UPGrad")


def pcgrad() -> SurgeryLoss:
    """Return PCGrad: each gradient loses its part against the other (Yu et al. 2020)."""
    return SurgeryLoss(scale_free(PCGrad()), "PCGrad")


def cagrad(c: float = 0.5) -> SurgeryLoss:
    """Return CAGrad with radius ``c``, at least 0, around the mean gradient (Liu et al. 2021).

    0.5 is LibMTL's default; TorchJD has none, and gives up where the relative norm of a combination
    is under 1e-4, which a ratio of norms over 10,000 reaches; here 1e-12.
    """
    return SurgeryLoss(scale_free(CAGrad(c=c, norm_eps=1e-12)), f"CAGrad(c={c:g})")


def mgda() -> SurgeryLoss:
    """Return MGDA: the convex combination of least norm (Désidéri 2012; Sener, Koltun 2018)."""
    return SurgeryLoss(scale_free(MGDA()), "MGDA")


def imtl_g() -> SurgeryLoss:
    """Return IMTL-G: equal projections on every task gradient (Liu et al. 2021)."""
    return SurgeryLoss(scale_free(IMTLG()), "IMTL-G")


def aligned_mtl() -> SurgeryLoss:
    """Return Aligned-MTL: singular values all made equal to the least (Senushkin et al. 2023)."""
    return SurgeryLoss(scale_free(AlignedMTL()), "AlignedMTL")


def _as_pair(weights: Tensor) -> Weights:
    rul, health = weights.tolist()
    return rul, health
