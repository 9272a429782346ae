"""Time one plain training step of each network in single and in mixed precision.

The two precisions take turns within one run, and medians are compared.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median

import torch
from rich.console import Console
from rich.table import Table
from step_cost import BATCH_SIZES, FEATURES, RUL_CAP, WINDOW

from rulbook.losses import health_cross_entropy, rul_mse
from rulbook.models import DualTaskModel
from rulbook.training.device import choose_device


def stepper(size: str, device: torch.device) -> Callable[[bool], None]:
    """Return a training step of one network on one random batch; its argument: mixed or not."""
    torch.manual_seed(0)
    model = DualTaskModel.of_size(size).to(device)
    model.start_rul_at(RUL_CAP / 2)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
    batch = BATCH_SIZES[size]
    x = torch.randn(batch, WINDOW, FEATURES, device=device)
    rul = torch.rand(batch, device=device) * RUL_CAP
    health = torch.randint(0, 3, (batch,), device=device)

    def step(mixed: bool) -> None:
        optimiser.zero_grad()
        with torch.autocast(device.type, torch.bfloat16, enabled=mixed):
            predicted, logits = model(x)
        (rul_mse(predicted, rul) + health_cross_entropy(logits, health)).backward()
        optimiser.step()
        if device.type == "cuda":
            torch.cuda.synchronize()

    return step


def measure(
    size: str, device: torch.device, rounds: int, clock: Callable[[], float]
) -> tuple[float, float]:
    """Return the median seconds of a step in single and in mixed precision."""
    step = stepper(size, device)
    taken: dict[bool, list[float]] = {False: [], True: []}
    for turn in range(rounds + 3):
        for mixed, times in taken.items():
            start = clock()
            step(mixed)
            if turn >= 3:
                times.append(clock() - start)
    return median(taken[False]), median(taken[True])


def main() -> None:
    parser = argparse.ArgumentParser(description="Time single against mixed precision.")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or auto")
    parser.add_argument("--rounds", type=int, default=20, help="steps a precision")
    parser.add_argument("--cpu-time", action="store_true", help="one thread, processor time")
    arguments = parser.parse_args()
    if arguments.cpu_time:
        torch.set_num_threads(1)
    clock = time.process_time if arguments.cpu_time else time.perf_counter
    device = choose_device(arguments.device)
    table = Table(title=f"Median ms of one training step on {device.type}")
    for column in ("network", "single", "mixed", "single : mixed"):
        table.add_column(column, justify="right")
    for size in BATCH_SIZES:
        single, mixed = measure(size, device, arguments.rounds, clock)
        table.add_row(size, f"{1e3 * single:.1f}", f"{1e3 * mixed:.1f}", f"{single / mixed:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
