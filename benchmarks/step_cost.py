"""Time one training step under five ways to combine two losses, or K of them.

The ways are interleaved in one run, so that a change in the machine's load meets all of them
alike, and medians are compared. README.md in this folder says what each way does.
"""

import argparse
import copy
import json
import os
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torchjd.aggregation import IMTLG
from torchjd.autojac import jac_to_grad, mtl_backward

from rulbook.gradients import norm, task_gradients
from rulbook.losses import health_cross_entropy, rul_mse
from rulbook.models import DualTaskModel, shared_parameters, task_parameters
from rulbook.weighting.base import TASKS, BaseMTLLoss
from rulbook.weighting.fixed import FixedWeightLoss
from rulbook.weighting.gaba import GABALoss, complement_weights

BATCH_SIZES = {"compact": 256, "paper": 64}
"""Windows a step, those of the locked protocol."""

WINDOW, FEATURES, RUL_CAP = 30, 17, 125.0


@dataclass(frozen=True)
class Parameters:
    """The parameters of one network, listed once."""

    shared: list[nn.Parameter]
    tasks: dict[str, list[nn.Parameter]]


Backward = Callable[[Parameters, Tensor, Sequence[Tensor]], None]
"""From the parameters, the shared representation z and the losses to ``.grad``."""


def contract(method: BaseMTLLoss) -> Backward:
    """Return the backward of one of our methods: ``plain`` and ``rulbook``."""

    def backward(parameters: Parameters, z: Tensor, losses: Sequence[Tensor]) -> None:  # noqa: ARG001
        method.backward(*losses, shared_params=parameters.shared, task_params=parameters.tasks)

    return backward


def one_more_backward(parameters: Parameters, z: Tensor, losses: Sequence[Tensor]) -> None:  # noqa: ARG001
    """Measure every norm with the graph kept, then go back through the weighted sum (§18.1)."""
    norms = [norm(task_gradients(loss, parameters.shared, retain_graph=True)) for loss in losses]
    weights = complement_weights(torch.stack(norms))
    (weights * torch.stack(list(losses))).sum().backward()


def torchjd(parallel_chunk_size: int | None) -> Backward:
    """Return TorchJD's backward under IMTL-G, which is GABA's rule before average and floor."""

    def backward(parameters: Parameters, z: Tensor, losses: Sequence[Tensor]) -> None:
        mtl_backward(
            list(losses),
            features=z,
            tasks_params=list(parameters.tasks.values()),
            shared_params=parameters.shared,
            parallel_chunk_size=parallel_chunk_size,
        )
        jac_to_grad(parameters.shared, IMTLG())

    return backward


def ways(tasks: Sequence[str] = TASKS) -> dict[str, Backward]:
    return {
        "plain": contract(FixedWeightLoss.equal(tasks)),
        "rulbook": contract(GABALoss(tasks=tasks)),
        "three_backward" if len(tasks) == 2 else "one more backward": one_more_backward,
        "torchjd": torchjd(None),
        "torchjd, row by row": torchjd(1),
    }


IN_JSON = ("plain", "rulbook", "three_backward", "torchjd")


@dataclass(frozen=True)
class Seconds:
    """Time of the three parts of one training step."""

    forward: float
    backward: float
    update: float

    @property
    def total(self) -> float:
        return self.forward + self.backward + self.update


class Stepper:
    """One network with its batch, its optimiser and its way to do the backward pass.

    Tasks beside the book's two are further health heads on the same trunk.
    """

    def __init__(
        self, size: str, backward: Backward, clock: Callable[[], float], tasks: Sequence[str]
    ) -> None:
        self.clock = clock
        torch.manual_seed(0)
        self.model = DualTaskModel.of_size(size)
        self.model.start_rul_at(RUL_CAP / 2)
        self.further = nn.ModuleList(copy.deepcopy(self.model.head_health) for _ in tasks[2:])
        heads = [
            *task_parameters(self.model).values(),
            *(list(h.parameters()) for h in self.further),
        ]
        self.parameters = Parameters(
            shared_parameters(self.model), dict(zip(tasks, heads, strict=True))
        )
        self.trained = [*self.model.parameters(), *self.further.parameters()]
        self.optimiser = torch.optim.AdamW(self.trained, lr=1e-3)
        self.backward = backward
        batch = BATCH_SIZES[size]
        self.x = torch.randn(batch, WINDOW, FEATURES)
        self.rul = torch.rand(batch) * RUL_CAP
        self.health = torch.randint(0, 3, (batch,))

    def step(self) -> Seconds:
        self.optimiser.zero_grad()
        times = [self.clock()]
        z = self.model.features(self.x)
        rul = rul_mse(self.model.head_rul(z).squeeze(-1), self.rul)
        states = [
            health_cross_entropy(head(z), self.health)
            for head in (self.model.head_health, *self.further)
        ]
        times.append(self.clock())
        self.backward(self.parameters, z, [rul, *states])
        times.append(self.clock())
        nn.utils.clip_grad_norm_(self.trained, 1.0)
        self.optimiser.step()
        times.append(self.clock())
        return Seconds(*(end - start for start, end in pairwise(times)))


def measure(
    size: str,
    rounds: int,
    clock: Callable[[], float],
    tasks: Sequence[str] = TASKS,
) -> dict[str, list[Seconds]]:
    """Return the times of ``rounds`` steps under each way, taken in turns, some steps after start.

    One round only tries everything.
    """
    warm_up = min(2, rounds - 1)
    steppers = {way: Stepper(size, backward, clock, tasks) for way, backward in ways(tasks).items()}
    taken: dict[str, list[Seconds]] = {way: [] for way in steppers}
    order = list(steppers)
    for turn in range(warm_up + rounds):
        for way in order:
            seconds = steppers[way].step()
            if turn >= warm_up:
                taken[way].append(seconds)
        # No way always follows the same other.
        order = order[1:] + order[:1]
    return taken


def total(steps: Sequence[Seconds]) -> float:
    return median(step.total for step in steps)


def show(results: dict[str, dict[str, list[Seconds]]]) -> None:
    console = Console()
    for size, taken in results.items():
        table = Table(title=f"{size}, batch {BATCH_SIZES[size]}: median ms of one training step")
        for column in ("way", "forward", "backward", "update", "step", "against plain"):
            table.add_column(column, justify="left" if column == "way" else "right")
        plain = total(taken["plain"])
        for way, steps in taken.items():
            parts = [median(getattr(s, part) for s in steps) for part in Seconds.__annotations__]
            table.add_row(
                way,
                *(f"{1e3 * part:.1f}" for part in (*parts, total(steps))),
                f"{total(steps) / plain:.2f}×",
            )
        second = median(step.backward for step in taken["plain"])
        table.add_section()
        table.add_row("plain with a second backward", *[""] * 4, f"{1 + second / plain:.2f}×")
        console.print(table)
    load = f", load {os.getloadavg()[0]:.1f} at the end" if hasattr(os, "getloadavg") else ""
    console.print(f"{torch.get_num_threads()} threads, PyTorch {torch.__version__}{load}")


def show_tasks(rounds: int, clock: Callable[[], float], numbers: Sequence[int]) -> None:
    """Print the medians of the compact network with K tasks, against its plain step."""
    table = Table(title=f"compact, batch {BATCH_SIZES['compact']}: step against plain, by tasks")
    table.add_column("way")
    columns: dict[str, list[str]] = {}
    for number in numbers:
        table.add_column(f"K = {number}", justify="right")
        tasks = (*TASKS, *(f"health_{index}" for index in range(2, number)))
        taken = measure("compact", rounds, clock, tasks)
        for way, steps in taken.items():
            label = "one more backward" if way == "three_backward" else way
            ratio = total(steps) / total(taken["plain"])
            columns.setdefault(label, []).append(f"{ratio:.2f}×")
    for way, ratios in columns.items():
        table.add_row(way, *ratios)
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description="Time one training step.")
    parser.add_argument("--json", action="store_true", help="print the medians as JSON")
    parser.add_argument("--rounds", type=int, default=40, help="steps a way; a quarter on paper")
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help="count processor time, not wall time: steadier on a busy machine, on one thread",
    )
    parser.add_argument(
        "--tasks",
        type=int,
        nargs="+",
        metavar="K",
        help="time the compact network with K tasks, each 2 or more, instead of both with two",
    )
    arguments = parser.parse_args()
    if arguments.tasks and min(arguments.tasks) < 2:
        parser.error("--tasks takes numbers of 2 or more")
    if arguments.cpu_time:
        torch.set_num_threads(1)
    clock = time.process_time if arguments.cpu_time else time.perf_counter
    # TorchJD's default batches the two rows; PyTorch then warns that it loops over LSTM and
    # attention instead, which is part of what is measured.
    warnings.filterwarnings("ignore", message="There is a performance drop")
    if arguments.tasks:
        show_tasks(arguments.rounds, clock, arguments.tasks)
        return
    rounds = {"compact": arguments.rounds, "paper": max(1, arguments.rounds // 4)}
    results = {size: measure(size, rounds[size], clock) for size in BATCH_SIZES}
    if arguments.json:
        medians = {
            size: {way: total(taken[way]) for way in IN_JSON} for size, taken in results.items()
        }
        print(json.dumps(medians))
    else:
        show(results)


if __name__ == "__main__":
    main()
