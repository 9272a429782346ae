"""Pairs of task gradients with norms and angle that are known before anything is computed."""

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

SHAPES = ((7, 5), (5,), (3, 2, 2), (1,))
"""Parameter shapes that a sampled gradient is cut into."""


@dataclass(frozen=True)
class Pair:
    """Two gradients, each one tensor a parameter, with what they were made from."""

    rul: tuple[Tensor, ...]
    health: tuple[Tensor, ...]
    norm_rul: float
    norm_health: float
    cosine: float

    @property
    def jacobian(self) -> Tensor:
        """Return both as the rows of a (2, n) matrix."""
        return torch.stack([torch.cat([p.reshape(-1) for p in g]) for g in (self.rul, self.health)])

    def __str__(self) -> str:
        return f"{self.norm_rul:g}-{self.norm_health:g}-{self.cosine:g}"


def pair(norm_rul: float, norm_health: float, cosine: float, seed: int = 0) -> Pair:
    """Return a float64 pair with these norms and this cosine, in a random plane."""
    generator = torch.Generator().manual_seed(seed)
    size = sum(math.prod(shape) for shape in SHAPES)
    plane = torch.linalg.qr(torch.randn(size, 2, generator=generator, dtype=torch.float64)).Q
    sine = math.sqrt(1 - cosine**2)
    rul = norm_rul * plane[:, 0]
    health = norm_health * (cosine * plane[:, 0] + sine * plane[:, 1])
    return Pair(cut(rul), cut(health), norm_rul, norm_health, cosine)


def cut(flat: Tensor) -> tuple[Tensor, ...]:
    """Cut a flat gradient into the shapes of the parameters."""
    parts = flat.split([math.prod(shape) for shape in SHAPES])
    return tuple(part.reshape(shape) for part, shape in zip(parts, SHAPES, strict=True))


SCALES = (1e-12, 1e-6, 1.0, 1e6, 1e12)
RATIOS = (1 / 500, 1.0, 30.0, 1e4)
COSINES = (-0.99, -0.3, 0.0, 0.95)
PARALLEL = (-1.0, 1.0)
"""Cosines of pairs of rank 1."""


def pairs(scales: tuple[float, ...] = SCALES, *, rank_one: bool = True) -> list[Pair]:
    """Return pairs over all scales, ratios and angles; of rank 1 too unless told otherwise."""
    cosines = COSINES + (PARALLEL if rank_one else ())
    return [
        pair(scale * ratio, scale, cosine, seed)
        for seed, (scale, ratio, cosine) in enumerate(itertools.product(scales, RATIOS, cosines))
    ]
