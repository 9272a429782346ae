"""Where GABA's floor pins its weights: by formula at a constant ratio, and step by step."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from rulbook.data.cmapss import Fleet
from rulbook.data.prepare import prepare
from rulbook.options import RequestedDevice
from rulbook.training.config import RunConfig
from rulbook.training.device import choose_device
from rulbook.training.loop import watch_first_steps
from rulbook.weighting.base import BaseMTLLoss
from rulbook.weighting.gaba import GABALoss, floor_binding_step


def floor_by_ratio(ratios: Sequence[float]) -> pd.DataFrame:
    """Return where GABA's RUL weight goes at constant ratios of the two gradient norms.

    Returns:
        One row a ratio: ``ratio``; ``wanted_weight``, the RUL weight that balances it;
        ``binding_step``, the averaging step at which the floor binds, NaN if it never does;
        ``final_weight``, the RUL weight in the end; and ``weighted_ratio``, the ratio that it
        leaves.

    """
    floor = GABALoss().min_weight
    rows = pd.DataFrame({"ratio": ratios})
    wanted = rows["wanted_weight"] = 1 / (1 + rows["ratio"])
    rows["binding_step"] = np.array([floor_binding_step(ratio) for ratio in ratios], float)
    rows["final_weight"] = wanted.where(wanted >= floor, floor / (floor + 1 - wanted))
    rows["weighted_ratio"] = rows["ratio"] * rows["final_weight"] / (1 - rows["final_weight"])
    return rows


def trace_gaba(
    fleet: Fleet, steps: int, *, batch_size: int, seed: int, device: RequestedDevice = "auto"
) -> pd.DataFrame:
    """Train the compact network with GABA for a number of steps; return its weight at each.

    Returns:
        The rows of ``watch_first_steps`` with ``weight``, the RUL weight that was used;
        ``average``, the moving average before the floor; ``wanted``, the RUL weight that the
        step's own gradients ask for; and ``bound``, whether the average is below the floor.

    """
    prepared = prepare(fleet)
    config = RunConfig(
        subset=fleet.subset,
        data_digest=prepared.digest,
        weighting="gaba",
        seed=seed,
        batch_size=batch_size,
    )
    trace, _ = watch_first_steps(
        config, prepared, steps, device=choose_device(device), read=_weight_and_average
    )
    trace["wanted"] = 1 / (1 + trace["ratio"])
    trace["bound"] = trace["average"] < GABALoss().min_weight
    return trace


def first_bound_step(trace: pd.DataFrame) -> int | None:
    """Return the first step of a trace at which the floor binds, ``None`` if there is none."""
    bound = trace.loc[trace["bound"], "step"]
    return None if bound.empty else int(bound.min())


def _weight_and_average(method: BaseMTLLoss) -> dict[str, float]:
    if not isinstance(method, GABALoss):
        raise TypeError(f"a trace of GABA needs GABA, not {method.get_name()}")
    return {
        "weight": method.get_weights()["rul_weight"],
        "average": float(method.ema_weights[0]),
    }
