"""Time the plain training step of a network: as it was first written, as it is, and in bfloat16."""

import time
from collections.abc import Callable
from typing import Literal

import torch
from step_cost import FEATURES, RUL_CAP, WINDOW
from torch import Tensor, nn

from rulbook.losses import health_cross_entropy, rul_mse
from rulbook.models import DualTaskModel, Size
from rulbook.training.packing import PackedParameters

Way = Literal["before", "now", "now, bfloat16"]
WAYS: tuple[Way, ...] = ("before", "now", "now, bfloat16")


class LayersOwnAttention(DualTaskModel):
    """The network with PyTorch's attention: every cycle is projected to a key and a value."""

    def features(self, x: Tensor) -> Tensor:
        sequence = self.convolutions(x.transpose(1, 2)).transpose(1, 2)
        sequence, _ = self.recurrent(sequence)
        last = sequence[:, -1:]
        attended, _ = self.attention(last, sequence, sequence, need_weights=False)
        z: Tensor = self.funnel(self.attention_norm(last + self.attention_dropout(attended))[:, 0])
        return z


def stepper(way: Way, size: Size, batch: int) -> Callable[[], None]:
    """Return a training step on one random batch: equal weights, clipping, AdamW."""
    torch.manual_seed(0)
    model = (LayersOwnAttention if way == "before" else DualTaskModel).of_size(size)
    model.start_rul_at(RUL_CAP / 2)
    packed = None if way == "before" else PackedParameters(model.parameters())
    trained = packed.tensors if packed else list(model.parameters())
    optimiser = torch.optim.AdamW(trained, lr=1e-3, fused=packed is not None)
    x = torch.randn(batch, WINDOW, FEATURES)
    rul = torch.rand(batch) * RUL_CAP
    health = torch.randint(0, 3, (batch,))

    def step() -> None:
        optimiser.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=way == "now, bfloat16"):
            predicted, logits = model(x)
        (0.5 * rul_mse(predicted, rul) + 0.5 * health_cross_entropy(logits, health)).backward()
        if packed:
            packed.collect_gradients()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()

    return step


def measure(size: Size, batch: int, rounds: int) -> dict[str, list[float]]:
    """Return the processor seconds of single steps in each way, taken in turns."""
    torch.set_num_threads(1)
    steps = {way: stepper(way, size, batch) for way in WAYS}
    taken: dict[str, list[float]] = {way: [] for way in WAYS}
    for turn in range(rounds + 2):
        for way, step in steps.items():
            start = time.process_time()
            step()
            if turn >= 2:
                taken[way].append(time.process_time() - start)
    return taken
