"""The two-task quadratic of §12.4 and two toy Pareto fronts: closed forms and simulators.

One shared scalar θ is pulled by two losses with opposing optima::

    L_rul(θ) = (ρ/2)(θ − 1)²        L_hs(θ) = (1/2)(θ + 1)²

so that plain gradient descent on their sum settles at θ* = (ρ − 1)/(ρ + 1). Everything here is
dimensionless.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr
from torch import Tensor, nn

from rulbook.errors import RulbookError, unknown_name
from rulbook.optimisers import OPTIMISERS
from rulbook.typing import Floats

RUL_OPTIMUM = 1.0
"""θ at which the RUL loss of the toy is zero (§12.4)."""

HEALTH_OPTIMUM = -1.0
"""θ at which the health loss of the toy is zero (§12.4)."""

LISTING_STEPS = 60
"""Steps that both listings of §12.4 take."""

LISTING_LEARNING_RATE = 0.05
"""Learning rate of both listings of §12.4."""

History = dict[str, list[float]]
"""What a program of §12.4 keeps of its steps: θ and the two losses, a number a step."""


# The landscape -----------------------------------------------------------------------------------


def general_fixed_point(curvatures: ArrayLike, optima: ArrayLike) -> Floats:
    """Return the minimiser of ``Σ_t ½ (θ − θ_t*)ᵀ A_t (θ − θ_t*)``, shape ``(d,)``.

    It is ``(Σ A_t)⁻¹ Σ A_t θ_t*``, the curvature-weighted mean of the optima (§12.4 gives the
    scalar case). No learning rate, batch size or optimiser enters.

    Args:
        curvatures: ``(tasks,)`` for a scalar θ, or ``(tasks, d, d)`` symmetric matrices.
        optima: ``(tasks,)`` or ``(tasks, d)``.

    Raises:
        RulbookError: the curvatures sum to a singular matrix, so that no single point is best.

    """
    matrices = np.asarray(curvatures, dtype=np.float64)
    points = np.asarray(optima, dtype=np.float64)
    if matrices.ndim == 1:
        matrices, points = matrices[:, None, None], points[:, None]
    try:
        return np.linalg.solve(matrices.sum(axis=0), np.einsum("tij,tj->i", matrices, points))
    except np.linalg.LinAlgError:
        raise RulbookError(
            "The task curvatures sum to a singular matrix, so there is no single fixed point; "
            "give at least one task a positive curvature in every direction."
        ) from None


def fixed_point(rho: float, weight_decay: float = 0.0) -> float:
    """Return ``θ* = (ρ − 1)/(ρ + 1 + λ)`` (§12.4 with λ = 0).

    ``weight_decay`` λ is the L2 penalty ``(λ/2)θ²`` that PyTorch's SGD and Adam add to the
    gradient; AdamW decouples it, and has another fixed point.
    """
    return (rho * RUL_OPTIMUM + HEALTH_OPTIMUM) / (rho + 1.0 + weight_decay)


def rul_loss(theta: ArrayLike, rho: float = 1.0) -> Floats:
    """Return ``(ρ/2)(θ − 1)²``, the shape of ``theta``.

    §12.4 uses two definitions under one name. Its table and its NumPy listing leave ρ out (the
    default here); its formula and its PyTorch listing keep it (pass ``rho``). Overflow gives
    infinity without a warning.
    """
    with np.errstate(over="ignore"):
        return 0.5 * rho * np.square(np.asarray(theta, dtype=np.float64) - RUL_OPTIMUM)


def hs_loss(theta: ArrayLike) -> Floats:
    """Return ``½(θ + 1)²``, the shape of ``theta``; overflow gives infinity."""
    with np.errstate(over="ignore"):
        return 0.5 * np.square(np.asarray(theta, dtype=np.float64) - HEALTH_OPTIMUM)


def hs_accuracy(theta: ArrayLike, noise: float = 1.0) -> Floats:
    """Return ``Φ(−θ/σ)``, our definition of a health accuracy for the toy; §12.4 has none.

    A binary health label ``y = ±1`` is read from a score ``−y θ + ε`` with ``ε ~ N(0, σ²)``
    (``noise`` is σ): the answer is right when the score has the label's sign. At the health
    optimum θ = −1 that is Φ(1/σ), half way it is a coin, at the RUL optimum it is Φ(−1/σ).
    """
    return np.asarray(ndtr(-np.asarray(theta, dtype=np.float64) / noise), dtype=np.float64)


# Plain gradient descent in closed form -----------------------------------------------------------


def contraction(rho: float, lr: float) -> float:
    """Return ``1 − lr(ρ + 1)``, the factor by which one SGD step scales ``θ − θ*``."""
    return 1.0 - lr * (rho + 1.0)


def stability_limit(rho: float) -> float:
    """Return ``2/(ρ + 1)``: plain SGD converges exactly for learning rates below it."""
    return 2.0 / (rho + 1.0)


def settling_learning_rates(rho: float, n_steps: int, tolerance: float) -> tuple[float, float]:
    """Return the closed interval of learning rates with ``|θ_n − θ*| ≤ tolerance`` after n steps.

    From ``|1 − lr(ρ + 1)|ⁿ |θ*| ≤ tolerance``, since the listings start at 0. Where θ* is within
    the tolerance of that, any learning rate from 0 up to a little above the stability limit will
    do.
    """
    distance = abs(fixed_point(rho))
    if distance == 0.0:
        return 0.0, np.inf
    widest = (tolerance / distance) ** (1.0 / n_steps)
    return max(0.0, 1.0 - widest) / (rho + 1.0), (1.0 + widest) / (rho + 1.0)


# Simulators --------------------------------------------------------------------------------------


def simulate_two_task(
    rho: float,
    n_steps: int = LISTING_STEPS,
    lr: float = LISTING_LEARNING_RATE,
    theta_0: float = 0.0,
) -> History:
    """Run plain SGD on the toy in NumPy float64 (§12.4, first listing).

    Departure: θ is a NumPy scalar, so that a diverging run goes on to infinity and NaN, where a
    Python float would raise ``OverflowError``.

    Returns:
        ``theta``, ``rul_loss`` (without ρ, as the listing records it) and ``hs_loss``, each
        ``n_steps`` numbers taken after the step.

    """
    theta = np.float64(theta_0)
    path = []
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(n_steps):
            gradient = rho * (theta - RUL_OPTIMUM) + (theta - HEALTH_OPTIMUM)
            theta = theta - lr * gradient
            path.append(float(theta))
    return {
        "theta": path,
        "rul_loss": rul_loss(path).tolist(),
        "hs_loss": hs_loss(path).tolist(),
    }


class TinyShared(nn.Module):
    """One learnable shared scalar θ, 0-dim, and the two task losses on it (§12.4)."""

    def __init__(self, theta_0: float = 0.0, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.tensor(theta_0, dtype=dtype))

    def losses(self, rho: float) -> tuple[Tensor, Tensor]:
        """Return ``(L_rul, L_hs)``, 0-dim with their graph; ρ is inside ``L_rul``."""
        rul = 0.5 * rho * (self.theta - RUL_OPTIMUM) ** 2
        health = 0.5 * (self.theta - HEALTH_OPTIMUM) ** 2
        return rul, health


def run(
    rho: float,
    opt_name: str,
    n_steps: int = LISTING_STEPS,
    lr: float = LISTING_LEARNING_RATE,
    *,
    weight_decay: float = 0.0,
    theta_0: float = 0.0,
    dtype: torch.dtype = torch.float32,
) -> History:
    """Train ``TinyShared`` with a PyTorch optimiser (§12.4, second listing).

    Departures: AdamW, weight decay, the start and the number format can be chosen, and the global
    seed is left alone, because nothing here is random.

    Returns:
        ``theta`` after each step, and ``L_rul`` (with ρ) and ``L_hs`` as the listing records
        them: *before* the step, so that they lag ``theta`` by one.

    Raises:
        UsageError: ``opt_name`` is not one of ``OPTIMISERS``.

    """
    model = TinyShared(theta_0, dtype)
    optimiser = _optimiser(opt_name, list(model.parameters()), lr, weight_decay)
    history: History = {"theta": [], "L_rul": [], "L_hs": []}
    for _ in range(n_steps):
        rul, health = model.losses(rho)
        optimiser.zero_grad()
        (rul + health).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        history["theta"].append(model.theta.item())
        history["L_rul"].append(rul.item())
        history["L_hs"].append(health.item())
    return history


def descend(
    curvatures: ArrayLike,
    optima: ArrayLike,
    opt_name: str,
    n_steps: int,
    lr: float,
    *,
    weight_decay: float = 0.0,
) -> Floats:
    """Train a vector θ from zero on a sum of quadratics, in float64.

    Args:
        curvatures: ``(tasks, d, d)`` symmetric matrices.
        optima: ``(tasks, d)``.
        opt_name: one of ``OPTIMISERS``.
        n_steps: number of full-gradient steps.
        lr: learning rate.
        weight_decay: as the optimiser understands it.

    Returns:
        θ after each step, ``(n_steps, d)``.

    Raises:
        UsageError: ``opt_name`` is not one of ``OPTIMISERS``.

    """
    matrices = torch.as_tensor(np.asarray(curvatures, dtype=np.float64))
    points = torch.as_tensor(np.asarray(optima, dtype=np.float64))
    theta = nn.Parameter(torch.zeros(points.shape[1], dtype=torch.float64))
    optimiser = _optimiser(opt_name, [theta], lr, weight_decay)
    path = np.empty((n_steps, points.shape[1]))
    for step in range(n_steps):
        residuals = theta - points
        total = 0.5 * torch.einsum("ti,tij,tj->", residuals, matrices, residuals)
        optimiser.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        path[step] = theta.detach().numpy()
    return path


def settling_step(theta: ArrayLike, target: float, tolerance: float, hold: int = 100) -> int | None:
    """Return the number of steps after which θ is within ``tolerance`` for ``hold`` steps in a row.

    ``theta`` is ``(n_steps,)``, taken after each step; the answer counts from 1. It is ``None``
    where θ never stays that long within the tolerance. Holding matters for Adam, which passes
    through its target several times before it rests there.
    """
    inside = np.abs(np.asarray(theta, dtype=np.float64) - target) <= tolerance
    if inside.size < hold:
        return None
    windows = np.lib.stride_tricks.sliding_window_view(inside, hold).all(axis=1)
    return int(np.argmax(windows)) + 1 if windows.any() else None


def _optimiser(
    name: str, parameters: Sequence[nn.Parameter], lr: float, weight_decay: float
) -> torch.optim.Optimizer:
    if name not in OPTIMISERS:
        raise unknown_name("optimiser", name, OPTIMISERS)
    optimiser: torch.optim.Optimizer = OPTIMISERS[name](  # type: ignore[index]
        parameters, lr=lr, weight_decay=weight_decay
    )
    return optimiser


# Toy Pareto fronts -------------------------------------------------------------------------------


def convex_front(n_points: int = 201) -> Floats:
    """Return ``(L_rul, L_hs)`` of the toy for θ from −1 to 1, shape ``(n_points, 2)``.

    Every point is the minimiser of one weighted sum: weight w on the RUL loss gives θ = 2w − 1.
    """
    theta = np.linspace(HEALTH_OPTIMUM, RUL_OPTIMUM, n_points)
    return np.stack([rul_loss(theta), hs_loss(theta)], axis=1)


def concave_front(n_points: int = 201) -> Floats:
    """Return a quarter circle ``(cos φ, sin φ)``, a front that bulges away from the origin.

    Shape ``(n_points, 2)``. Every point is Pareto optimal, and no positive weighted sum has its
    minimum anywhere but at the two ends (the shape of the DTLZ2 test problem).
    """
    angle = np.linspace(0.0, np.pi / 2.0, n_points)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def weighted_sum_minimisers(front: ArrayLike, weights: ArrayLike) -> NDArray[np.intp]:
    """Return, for each weight w on the first loss, the index of the best point of the front.

    Best means the smallest ``w·f₁ + (1 − w)·f₂``; the first such point on a tie.

    Args:
        front: ``(points, 2)`` losses.
        weights: ``(m,)`` numbers from 0 to 1.

    Returns:
        ``(m,)`` indices into the front.

    """
    losses = np.asarray(front, dtype=np.float64)
    w = np.asarray(weights, dtype=np.float64)[:, None]
    best: NDArray[np.intp] = np.argmin(w * losses[:, 0] + (1.0 - w) * losses[:, 1], axis=1)
    return best


def non_dominated(losses: ArrayLike) -> NDArray[np.bool_]:
    """Return which points are Pareto optimal among ``losses``, ``(points, tasks)``; ``(points,)``.

    A point is dominated when another one is at least as low in every loss and lower in one.
    """
    points = np.asarray(losses, dtype=np.float64)
    no_worse = (points[:, None] <= points[None]).all(axis=-1)
    lower = (points[:, None] < points[None]).any(axis=-1)
    dominated: NDArray[np.bool_] = np.any(no_worse & lower, axis=0)
    return np.logical_not(dominated)
