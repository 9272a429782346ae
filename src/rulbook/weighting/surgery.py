"""Methods that combine gradients, not losses, through TorchJD's aggregators."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, NoReturn, cast

import torch
from torch import Tensor

from rulbook.errors import RulbookError
from rulbook.weighting.base import TASKS, GradientBasedLoss, MeasuredStep, as_weights
from rulbook.weighting.method import WeightingMethod
from rulbook.weighting.options import checked_option
from rulbook.weighting.processes import from_first_process
from rulbook.weighting.solvers import torchjd_for

if TYPE_CHECKING:
    from torchjd.aggregation import WeightedAggregator
    from torchjd.linalg import PSDMatrix

Rule = Callable[[Tensor, Tensor], Tensor]
"""Trunk weights (K,) from norms (K,) and cosines (K, K) of the task gradients, in float64."""


def reduced_gradients(norms: Tensor, cosines: Tensor) -> Tensor:
    """Return a (K, K) float64 matrix whose rows have these norms (K,) and these cosines (K, K).

    It has the same Gramian as the (K, n) Jacobian of the losses on the shared parameters, and
    every aggregator used here sees its input through the Gramian alone. Rebuilt in float64 from
    norms and cosines, it also keeps the digits that a float32 Gramian loses when one norm is a
    thousand times the other. A NaN cosine (one norm is zero) counts as 0.
    """
    values, vectors = _spectrum(cosines)
    # Rounding may leave an eigenvalue beside zero where the gradients lie in one plane.
    rounding = len(norms) * torch.finfo(torch.float64).eps
    rows: Tensor = norms.double().unsqueeze(1) * vectors * values.where(values > rounding, 0).sqrt()
    return rows


def without_rounding(cosines: Tensor, elements: int) -> Tensor:
    r"""Return cosines, (K, K) float64, in which gradients that seem to depend on each other do.

    The cosines of K gradients of n elements, measured with a machine precision :math:`\epsilon`,
    carry an error of about :math:`\sqrt n\,\epsilon`. What is left of a missing dimension is an
    eigenvalue of that size, with a direction that is chance, and IMTL-G and Aligned-MTL divide by
    it. Eigenvalues below :math:`K\sqrt n\,\epsilon` are therefore zero here; the cosines stay as
    they are where there is none. Two gradients of a million elements in single precision count as
    parallel where the angle between them is below 1.3 degrees.

    Args:
        cosines: (K, K), as measured, in the precision of the measurement.
        elements: number n of the elements of a gradient.

    """
    measured = cosines.double()
    values, vectors = _spectrum(measured)
    least = len(cosines) * math.sqrt(elements) * torch.finfo(cosines.dtype).eps
    if values[0] >= least:
        return measured
    rows = vectors * values.where(values >= least, 0).sqrt()
    rows = rows / torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    return torch.where(measured.isnan(), measured, rows @ rows.T)


def _spectrum(cosines: Tensor) -> tuple[Tensor, Tensor]:
    """Return eigenvalues, rising, and eigenvectors of cosines, a NaN among them counting as 0."""
    values, vectors = torch.linalg.eigh(cosines.double().nan_to_num(nan=0.0).fill_diagonal_(1.0))
    return values, vectors


class SurgeryLoss(GradientBasedLoss):
    r"""A rule on the task gradients behind the contract: :math:`\sum_k w_k \nabla L_k`.

    The weights :math:`w_k` come from the task gradients on the shared parameters; each head
    gets its own unweighted gradient, as in TorchJD's ``mtl_backward``. There is no scalar loss
    with that gradient, so ``forward`` raises and ``StepInfo.total`` is ``None``. The gradients
    are computed once, and TorchJD is asked on K-by-K matrices (see ``reduced_gradients``).

    With all gradients zero the weights are reported as 1/K and the rule is not asked. With one
    zero gradient the weights are finite; MGDA's give the zero gradient everything, so that the
    trunk stands still.

    The heads being unweighted, a training loop that clips the whole network's gradient to one norm
    cuts the trunk's by what the largest head asks for: beside an RUL head whose gradient is some
    hundred times the trunk's combined one, little of it is left. ``clip_apart`` cuts the trunk and
    each head to a norm of their own first.

    Args:
        rule: the trunk weights from norms and cosines; not asked where all norms are zero.
        name: name for logs and tables.
        tasks: names of the tasks.
        clip_apart: largest norm of the trunk's gradient, and of each head's; ``None``: not cut.

    >>> method = imtl_g()
    >>> norms, cosines = torch.tensor([9.0, 1.0]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> [round(weight, 3) for weight in method.trunk_weights(norms, cosines).tolist()]
    [0.1, 0.9]
    """

    def __init__(
        self,
        rule: Rule,
        name: str,
        *,
        tasks: Sequence[str] = TASKS,
        clip_apart: float | None = None,
    ) -> None:
        super().__init__(tasks)
        self.rule = rule
        self._name = name
        if clip_apart is not None:
            self.clip_apart = checked_option(name, "clip_apart", clip_apart, least=0)
        self._last_weights = (math.nan,) * len(self.tasks)

    def combine(self, losses: Sequence[Tensor]) -> NoReturn:  # noqa: ARG002
        """Raise: these methods have no combined loss.

        Raises:
            RulbookError: always.

        """
        raise RulbookError(
            f"{self.get_name()} combines gradients and has no scalar loss; call backward(...)."
        )

    def weigh(self, step: MeasuredStep) -> Tensor:
        """Return the trunk weights of this step, (K,), in the precision of the norms."""
        norms = step.geometry.norms
        elements = max(sum(part.numel() for part in step.gradients[0]), 1)
        cosines = without_rounding(step.geometry.cosines.cpu(), elements)
        weights = self.trunk_weights(norms.cpu(), cosines)
        weights = from_first_process([weights.to(norms)])[0]
        if self.training:
            self._last_weights = tuple(weights.tolist())
        return weights

    def trunk_weights(self, norms: Tensor, cosines: Tensor) -> Tensor:
        """Return the trunk weights, (K,) float64, from the norms and the cosines."""
        if not norms.any():
            return torch.full((len(norms),), 1 / len(norms), dtype=torch.float64)
        return self.rule(norms.double(), cosines.double())

    def get_weights(self) -> dict[str, float]:
        """Return the trunk weights of the last step; the heads' are 1."""
        return as_weights(self._last_weights, self.tasks)

    def get_name(self) -> str:
        """Return the method's name with the settings that matter."""
        apart = "" if self.clip_apart is None else f", clipped apart at {self.clip_apart:g}"
        return self._name + apart

    def _head_weights(self, weights: Tensor) -> Tensor:
        return torch.ones_like(weights)

    def _total(self, weights: Tensor, losses: Sequence[Tensor]) -> None:
        """Return nothing: there is no combined loss."""


class ScaleFree:
    """The rule of a TorchJD aggregator whose weights ignore the gradients' common scale.

    The gradients are divided by their joint norm first: the weights do not depend on the common
    scale, but thresholds inside TorchJD do, and return zero weights where gradients are small.
    """

    def __init__(self, aggregator: "WeightedAggregator") -> None:
        self.aggregator = aggregator

    def __call__(self, norms: Tensor, cosines: Tensor) -> Tensor:
        """Return the trunk weights, (K,)."""
        matrix = reduced_gradients(norms / torch.linalg.vector_norm(norms), cosines)
        # PCGrad draws an order, which at two tasks decides nothing and must not move the random
        # numbers of dropout.
        with torch.random.fork_rng(devices=[], enabled=len(norms) == 2):
            return self.aggregator.weighting(matrix)


class EqualProjections:
    """IMTL-G's rule, see ``imtl_g``."""

    def __init__(self) -> None:
        from torchjd.aggregation import IMTLG

        self.more_tasks = ScaleFree(IMTLG())

    def __call__(self, norms: Tensor, cosines: Tensor) -> Tensor:
        """Return the trunk weights, (K,)."""
        if len(norms) > 2:
            return self.more_tasks(norms, cosines)
        inverses = torch.where(norms > 0, norms[norms > 0].min() / norms, 0.0)
        return inverses / inverses.sum()


class NashBargain:
    """Nash-MTL's rule, see ``nash_mtl``."""

    def __init__(self, max_norm: float) -> None:
        from torchjd.aggregation import FairGrad

        self.max_norm = max_norm
        self.solver = FairGrad(alpha=1.0)

    def __call__(self, norms: Tensor, cosines: Tensor) -> Tensor:
        """Return the trunk weights, (K,)."""
        weights = torch.zeros_like(norms)
        moving = norms > 0
        solved = torch.ones_like(norms[moving])
        if len(solved) > 1:
            rows = reduced_gradients(solved, cosines[moving][:, moving])
            solved = self.solver.weighting(rows)
        weights[moving] = solved / norms[moving]
        combined = torch.linalg.vector_norm(weights @ reduced_gradients(norms, cosines))
        if self.max_norm and combined > self.max_norm:
            weights *= self.max_norm / combined
        return weights


class DualConeMean:
    """UPGrad's rule, see ``upgrad``."""

    def __init__(self) -> None:
        from torchjd.linalg import QuadprogProjector

        self.projector = QuadprogProjector(norm_eps=0.0, reg_eps=1e-12)

    def __call__(self, norms: Tensor, cosines: Tensor) -> Tensor:
        """Return the trunk weights, (K,)."""
        weights = torch.full_like(norms, 1 / len(norms))
        moving = norms > 0
        lengths = norms[moving]
        if len(lengths) > 1:
            rows = reduced_gradients(torch.ones_like(lengths), cosines[moving][:, moving])
            gramian = cast("PSDMatrix", rows @ rows.T)
            projected = self.projector(torch.eye(len(rows)).to(rows), gramian)
            weights[moving] = (lengths @ projected) / lengths / len(norms)
        return weights


def nash_mtl(
    max_norm: float = 1.0, *, tasks: Sequence[str] = TASKS, clip_apart: float | None = None
) -> SurgeryLoss:
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
    one zero gradient the equation has no solution; its task then gets weight 0 and the others share
    the bargain, capped.
    """
    largest = checked_option("NashMTL", "max_norm", max_norm, least=0)
    with torchjd_for("Nash-MTL"):
        rule = NashBargain(largest)
    return SurgeryLoss(rule, "NashMTL", tasks=tasks, clip_apart=clip_apart)


def upgrad(*, tasks: Sequence[str] = TASKS, clip_apart: float | None = None) -> SurgeryLoss:
    """Return UPGrad: the mean of the gradients projected on their dual cone (Quinton, Rey 2024).

    The gradients go to TorchJD's projector at length 1, which the dual cone does not notice, and
    the projections are scaled back. Departure: its ``UPGrad`` projects the gradients as they are,
    after adding 1e-4 of the Gramian's trace to its diagonal; at norms that differ by a factor of
    100 that outweighs the smaller one and leaves a conflict standing. At two tasks the weights are
    half of PCGrad's.
    """
    with torchjd_for("UPGrad"):
        rule = DualConeMean()
    return SurgeryLoss(rule, "UPGrad", tasks=tasks, clip_apart=clip_apart)


def pcgrad(*, tasks: Sequence[str] = TASKS, clip_apart: float | None = None) -> SurgeryLoss:
    """Return PCGrad: gradients lose what conflicts with the others, and add up (Yu et al. 2020).

    Each is projected on the normal plane of every other one that it conflicts with, in turn. At
    three tasks or more the order of the others matters and is drawn at random at every step, from
    PyTorch's global generator, as in TorchJD.
    """
    with torchjd_for("PCGrad"):
        from torchjd.aggregation import PCGrad

        aggregator = PCGrad()
    return SurgeryLoss(ScaleFree(aggregator), "PCGrad", tasks=tasks, clip_apart=clip_apart)


def cagrad(
    c: float = 0.5, *, tasks: Sequence[str] = TASKS, clip_apart: float | None = None
) -> SurgeryLoss:
    """Return CAGrad with radius ``c``, at least 0, around the mean gradient (Liu et al. 2021).

    0.5 is LibMTL's default; TorchJD has none, and gives up where the relative norm of a combination
    is under 1e-4, which a ratio of norms over 10,000 reaches; here 1e-12.
    """
    c = checked_option("CAGrad", "c", c, least=0)
    with torchjd_for("CAGrad"):
        from torchjd.aggregation import CAGrad

        aggregator = CAGrad(c=c, norm_eps=1e-12)
    return SurgeryLoss(
        ScaleFree(aggregator), f"CAGrad(c={c:g})", tasks=tasks, clip_apart=clip_apart
    )


def mgda(*, tasks: Sequence[str] = TASKS, clip_apart: float | None = None) -> SurgeryLoss:
    """Return MGDA: the convex combination of least norm (Désidéri 2012; Sener, Koltun 2018).

    On the gradients as they are: Sener and Koltun's code can normalise them by norm or loss first,
    and the paper's algorithm does not.

    TorchJD's solver, their Frank-Wolfe iteration of at most 100 steps, is exact at two tasks. At
    more it may stop above the least norm, the more so the more nearly the gradients cancel. Of 1500
    normal draws in eight dimensions, with norms up to 100 times apart, nine in ten came within 1 %
    of it at three tasks, 4 % at four and 10 % at five; the worst gave 1.07, 1.9 and 2.1 times it.
    """
    with torchjd_for("MGDA"):
        from torchjd.aggregation import MGDA

        aggregator = MGDA()
    return SurgeryLoss(ScaleFree(aggregator), "MGDA", tasks=tasks, clip_apart=clip_apart)


def imtl_g(*, tasks: Sequence[str] = TASKS, clip_apart: float | None = None) -> SurgeryLoss:
    r"""Return IMTL-G: a sum that projects equally on every task gradient (Liu et al. 2021).

    With the norms :math:`g` and the gradients as the rows of :math:`J`, the weights are
    proportional to :math:`(JJ^\top)^{-1} g` and add up to 1; at two tasks that is :math:`1/g_k`,
    also where the two are parallel and there is no inverse. At three tasks or more TorchJD solves,
    and takes the pseudo-inverse where the gradients depend on each other. A zero gradient has
    weight 0.
    """
    with torchjd_for("IMTL-G"):
        rule = EqualProjections()
    return SurgeryLoss(rule, "IMTL-G", tasks=tasks, clip_apart=clip_apart)


def aligned_mtl(*, tasks: Sequence[str] = TASKS, clip_apart: float | None = None) -> SurgeryLoss:
    """Return Aligned-MTL: singular values all made equal to the least (Senushkin et al. 2023)."""
    with torchjd_for("Aligned-MTL"):
        from torchjd.aggregation import AlignedMTL

        aggregator = AlignedMTL()
    return SurgeryLoss(ScaleFree(aggregator), "AlignedMTL", tasks=tasks, clip_apart=clip_apart)


_surgery = partial(WeightingMethod, needs="task gradients", backward_passes=2, heads="unweighted")

IMTL_G = _surgery(
    title="IMTL-G",
    build=imtl_g,
    formula=r"w_k = \frac{1/g_k}{\sum_j 1/g_j}",
    source="Liu et al. 2021",
    citation="liu2021imtl",
    weight_sum="1",
)

NASH_MTL = _surgery(
    title="Nash-MTL",
    build=nash_mtl,
    formula=r"w_k = \frac{1}{g_k\sqrt{1+c}}, \text{ norm capped}",
    source="Navon et al. 2022",
    citation="navon2022",
    weight_sum="any",
)

PCGRAD = _surgery(
    title="PCGrad",
    build=pcgrad,
    formula=r"w_k = 1 - \frac{\min(c, 0)\, g_i g_j}{g_k^2}",
    source="Yu et al. 2020",
    citation="yu2020",
    weight_sum="at least 2",
)

UPGRAD = _surgery(
    title="UPGrad",
    build=upgrad,
    formula=r"w_k = \tfrac12\Bigl(1 - \frac{\min(c, 0)\, g_i g_j}{g_k^2}\Bigr)",
    source="Quinton and Rey 2024",
    citation="quinton2024",
    weight_sum="at least 1",
)

CAGRAD = _surgery(
    title="CAGrad",
    build=cagrad,
    formula=r"d = \arg\max_d \min_k \langle \nabla L_k, d\rangle,\ "
    r"\lVert d - \bar\nabla\rVert \le c_0 \lVert\bar\nabla\rVert",
    source="Liu et al. 2021",
    citation="liu2021cagrad",
    weight_sum="any",
)

MGDA = _surgery(
    title="MGDA",
    build=mgda,
    formula=r"w = \arg\min_{w \ge 0,\, \sum w = 1} \lVert \sum_k w_k \nabla L_k \rVert",
    source="Sener and Koltun 2018",
    citation="sener2018",
    weight_sum="1",
)

ALIGNED_MTL = _surgery(
    title="Aligned-MTL",
    build=aligned_mtl,
    formula=r"w = \tfrac12\,\sigma_{\min}\,(J J^\top)^{-1/2}\,\mathbf{1}",
    source="Senushkin et al. 2023",
    citation="senushkin2023",
    weight_sum="any",
)
