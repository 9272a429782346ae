"""The two programs of §12.4, and what the section says of them, claim by claim.

The functions that end in ``_claims`` return the values that decide claims, by the claim's id; a
value of ``None`` stands for a claim that the text settles. Everything here is dimensionless.
"""

import inspect
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from torch.nn import functional

from rulbook import toy
from rulbook.errors import UsageError
from rulbook.gradients import PRINTED_IMBALANCE
from rulbook.randomness import seeded
from rulbook.toy import History
from rulbook.training.config import RunConfig
from rulbook.typing import Floats

TABLE_RATIOS = (1, 10, 100, 500, 2000)
"""ρ of the rows of the section's table, and of the slider beside it."""

THREE_DECIMALS = 5e-4
"""Half a unit of the third decimal: two numbers closer than this print alike, give or take one."""

FOUR_DECIMALS = 5e-5
"""Half a unit of the fourth decimal."""

STABLE_RATE = 0.0005
"""A learning rate well inside the stability limit at ``PRINTED_IMBALANCE``."""

_LISTING_1_LINES = 40
_LISTING_1_EXPLAINED = (1, 4, 13, 14, 16, 17, 18, 19, 21, 23, 24, 25, 27, *range(31, 37))
"""Lines that the page explains, by the numbers that it gives them."""
_LISTING_1_STANDS_ON = (1, 4, 15, 16, *range(18, 22), 23, 25, 26, 27, 29, *range(33, 39))
"""Where the lines that it means really stand."""
_LISTING_2_LINES = 50
_LISTING_2_EXPLAINED = (
    *(1, 2, 3, 6, *range(8, 11), *range(12, 16), 18, 20, 21, *range(23, 27), 28, 29),
    *(*range(31, 38), *range(39, 43), *range(46, 49)),
)

StepRule = Literal["sgd", "adam", "sign"]


def stable_run(opt_name: str, n_steps: int = toy.LISTING_STEPS) -> History:
    """Return the second program in double precision, SGD at ``STABLE_RATE``, others as printed."""
    rate = STABLE_RATE if opt_name == "sgd" else toy.LISTING_LEARNING_RATE
    return toy.run(PRINTED_IMBALANCE, opt_name, n_steps, rate, dtype=torch.float64)


def fixed_point_claims(opposed: ArrayLike, agreeing: ArrayLike) -> dict[str, object]:
    """Return what decides the formula of the fixed point, and what happens when tasks agree.

    Args:
        opposed: fixed points of tasks that want +1 and −1, at ``TABLE_RATIOS``.
        agreeing: those of tasks that both want +1.

    """
    star = toy.fixed_point(PRINTED_IMBALANCE)
    formula = [toy.fixed_point(rho) for rho in TABLE_RATIOS]
    return {
        "n12.4-fixed-point-rho": np.allclose(formula, opposed),
        "n12.4-agreeing-tasks-hide-imbalance": np.allclose(agreeing, 1),
        "n12.4-gradient-zero-at-fixed-point": PRINTED_IMBALANCE * (star - 1) + star + 1,
        "n12.4-slight-disagreement-sacrifices": None,
    }


def table_claims() -> dict[str, object]:
    """Return what decides the table of the fixed point and of both losses at it."""
    claims: dict[str, object] = {}
    for rho in TABLE_RATIOS:
        theta_star = toy.fixed_point(rho)
        claims |= {
            f"n12.4-table-rho{rho}-theta": theta_star,
            f"n12.4-table-rho{rho}-rul": toy.rul_loss(theta_star),
            f"n12.4-table-rho{rho}-hs": toy.hs_loss(theta_star),
        }
    return claims


def losses_at_rest_claims() -> dict[str, object]:
    """Return what decides the remarks on the losses and gradients where training rests."""
    theta_star = np.array([toy.fixed_point(rho) for rho in TABLE_RATIOS])
    rul, health = toy.rul_loss(theta_star), toy.hs_loss(theta_star)
    at = dict(zip(TABLE_RATIOS, health, strict=True))
    start_and_rest = (0.0, toy.fixed_point(PRINTED_IMBALANCE))
    return {
        "n12.4-table-rho10-ratio": at[10] / at[1],
        "n12.4-table-rho500-ratio": at[500] / toy.hs_loss(0.0),
        "n12.4-output-rul-monotone": bool((np.diff(rul) < 0).all()),
        "n12.4-output-hs-monotone": bool((np.diff(health) > 0).all()),
        "n12.4-rul-loss-two-definitions": None,
        "n12.4-sum-is-rul-gradient": all(
            np.isclose(rul_pull + health_pull, rul_pull, rtol=0.01)
            for rul_pull, health_pull in map(_pulls, start_and_rest)
        ),
        "n12.4-sum-is-rul-loss": all(
            toy.rul_loss(theta, PRINTED_IMBALANCE) > toy.hs_loss(theta) for theta in start_and_rest
        ),
    }


def _pulls(theta: float) -> tuple[float, float]:
    """Return the gradients of the RUL loss and of the health loss at ``PRINTED_IMBALANCE``."""
    return PRINTED_IMBALANCE * (theta - toy.RUL_OPTIMUM), theta - toy.HEALTH_OPTIMUM


def first_output_claims(histories: Mapping[int, History]) -> dict[str, object]:
    """Return what decides the printed output of the first program, four figures a ρ.

    Args:
        histories: what the program returns, by ρ.

    """
    claims: dict[str, object] = {}
    for rho, history in histories.items():
        claims |= {
            f"n12.4-output-rho{rho}-theta": history["theta"][-1],
            f"n12.4-output-rho{rho}-rul": history["rul_loss"][-1],
            f"n12.4-output-rho{rho}-hs": history["hs_loss"][-1],
            f"n12.4-output-rho{rho}-closed-form": toy.fixed_point(rho),
        }
    return claims


def first_program_claims(histories: Mapping[int, History]) -> dict[str, object]:
    """Return what decides the section's remarks on the first program.

    Args:
        histories: what the program returns, by ρ; 500 is one of them.

    """
    ends_at_rest = [
        abs(history["theta"][-1] - toy.fixed_point(rho)) < THREE_DECIMALS
        for rho, history in histories.items()
    ]
    first_theta = {rho: history["theta"][0] for rho, history in histories.items()}
    steep = histories[int(PRINTED_IMBALANCE)]["theta"]
    distance = np.abs(np.array(steep) - toy.fixed_point(PRINTED_IMBALANCE))
    arrives_at_a_fiftieth = [
        abs(toy.simulate_two_task(rho, lr=0.001)["theta"][-1] - toy.fixed_point(rho))
        < THREE_DECIMALS
        for rho in histories
    ]
    rate = toy.LISTING_LEARNING_RATE
    return {
        "n12.4-listing1-sixty-steps": all(ends_at_rest),
        "n12.4-output-matches-closed-form": all(ends_at_rest),
        "n12.4-listing1-stable-at-500": _converges(PRINTED_IMBALANCE, rate),
        "n12.4-listing1-stable-or-overshooting": None,
        "n12.4-listing1-step0-theta": first_theta[int(PRINTED_IMBALANCE)],
        "n12.4-listing1-step1-theta": all(
            np.isclose(theta, rate * (rho - 1)) for rho, theta in first_theta.items()
        ),
        "n12.4-listing1-oscillates-down": bool(distance[-1] < distance[0]),
        "n12.4-listing1-step59-theta": steep[_index_of_step(59)],
        "n12.4-listing1-lr-0-1": toy.contraction(PRINTED_IMBALANCE, 0.1) < 0,
        "n12.4-listing1-lr-0-001": not all(arrives_at_a_fiftieth),
        "n12.4-listing1-rul-at-rounded-theta": toy.rul_loss(0.996),
        "n12.4-listing1-hs-at-rounded-theta": toy.hs_loss(0.996),
        "n12.4-listing1-hs-rho10": toy.hs_loss(0.818),
        "n12.4-listing1-hs-rho100": toy.hs_loss(toy.fixed_point(100)),
    }


def _index_of_step(step: int) -> int:
    """Return where a history has θ at a step of the source's traces, which begin with θ = 0.

    The first entry of a history is θ after the first update.
    """
    return step - 1


def second_program_claims(
    as_printed: Mapping[str, History], in_time: Mapping[str, ArrayLike]
) -> dict[str, object]:
    """Return what decides the section's remarks on the second program.

    Args:
        as_printed: what the program returns, for ``"sgd"`` and ``"adam"``.
        in_time: θ after each step of runs that are long enough to arrive, by optimiser: ``"adam"``
            at the printed rate, ``"sgd"`` and any others.

    """
    printed_sgd, printed_adam = (
        np.asarray(as_printed[name]["theta"], dtype=np.float64) for name in ("sgd", "adam")
    )
    star = toy.fixed_point(PRINTED_IMBALANCE)
    paths = {name: np.asarray(path, dtype=np.float64) for name, path in in_time.items()}
    adam = paths["adam"]
    defaults = inspect.signature(torch.optim.Adam).parameters
    return {
        "n12.4-listing2-step30-adam": as_printed["adam"]["theta"][_index_of_step(30)],
        "n12.4-listing2-step30-sgd": as_printed["sgd"]["theta"][_index_of_step(30)],
        "n12.4-listing2-adam-from-below": bool(adam.max() <= star),
        "n12.4-listing2-adam-smoother": turns(printed_adam) < turns(printed_sgd),
        "n12.4-adam-buys-smoother": turns(adam) < turns(paths["sgd"]),
        "n12.4-listing2-sgd-thirty-steps": bool(
            abs(as_printed["sgd"]["theta"][29] - star) < THREE_DECIMALS
        ),
        "n12.4-adam-fixed-point": bool(abs(adam[-1] - star) < FOUR_DECIMALS),
        "n12.4-theta-independent-of-optimiser": bool(
            np.ptp([path[-1] for path in paths.values()]) < FOUR_DECIMALS
        ),
        "n12.4-adam-defaults": defaults["betas"].default == (0.9, 0.999)
        and defaults["eps"].default == 1e-8,
        "n12.4-adam-first-step-eps": not np.isfinite(adam_without_epsilon_first_step()),
    }


def adam_claims(two_tasks: ArrayLike, one_task: ArrayLike) -> dict[str, object]:
    """Return what decides what Adam divides by, and whether it can tell two tasks from one.

    Args:
        two_tasks: θ after each step of Adam on the sum of two tasks.
        one_task: the same on one task of their summed curvature.

    """
    return {
        "n12.4-adam-sees-only-the-sum": np.allclose(two_tasks, one_task),
        "n12.4-adam-update": bool(
            np.allclose(
                path_of("adam", np.full(10, PRINTED_IMBALANCE), toy.LISTING_LEARNING_RATE),
                toy.run(PRINTED_IMBALANCE, "adam", 10, dtype=torch.float64)["theta"],
            )
        ),
        "n12.4-adam-own-variance": bool(
            np.isclose(adam_second_moment([2.0] * 5), np.var([2.0] * 5))
        ),
    }


def second_output_claims(as_printed: Mapping[str, History]) -> dict[str, object]:
    """Return what decides the printed output of the second program, three figures an optimiser.

    Args:
        as_printed: what the program returns, by optimiser.

    """
    star = toy.fixed_point(PRINTED_IMBALANCE)
    claims: dict[str, object] = {}
    for name, history in as_printed.items():
        claims |= {
            f"n12.4-output-{name}-theta": history["theta"][-1],
            f"n12.4-output-{name}-rul": history["L_rul"][-1],
            f"n12.4-output-{name}-hs": history["L_hs"][-1],
        }
    return claims | {
        "n12.4-output-rul-at-fixed-point": toy.rul_loss(star, PRINTED_IMBALANCE),
        "n12.4-output-same-point-as-printed": all(
            abs(history["theta"][-1] - star) < FOUR_DECIMALS for history in as_printed.values()
        ),
        "n12.4-listing2-step59-rul-trace": None,
    }


def learning_rate_claims(ends: ArrayLike) -> dict[str, object]:
    """Return what decides whether the learning rate moves the fixed point, and what else it does.

    Args:
        ends: where runs at ``PRINTED_IMBALANCE`` and different stable rates end.

    """
    printed = toy.LISTING_LEARNING_RATE
    return {
        "n12.4-theta-independent-of-lr": bool(np.ptp(ends) < 1e-9),
        "n12.4-structural-lr": np.allclose(ends, toy.fixed_point(PRINTED_IMBALANCE)),
        "n12.4-listing1-any-rho": all(_converges(rho, printed) for rho in TABLE_RATIOS),
        "n12.4-listing1-smaller-lr-unchanged": (
            _converges(PRINTED_IMBALANCE, printed) == _converges(PRINTED_IMBALANCE, STABLE_RATE)
        ),
    }


def _converges(rho: float, learning_rate: float) -> bool:
    return abs(toy.contraction(rho, learning_rate)) < 1


def explorer_claims(histories: Mapping[int, History]) -> dict[str, object]:
    """Return what decides the figures of the section's interactive figure.

    Args:
        histories: what the first program returns, by ρ; 1 is one of them.

    """
    end = histories[1]["theta"][-1]
    return {
        "n12.4-explorer-losses-rho1": max(
            (float(loss(end)) for loss in (toy.rul_loss, toy.hs_loss)), key=lambda x: abs(x - 0.5)
        ),
        "n12.4-explorer-accuracy-rho1": None,
        "n12.4-explorer-accuracy-rho500": None,
    }


def unasked_claims() -> dict[str, object]:
    """Name the remarks that a model without data cannot answer."""
    return dict.fromkeys(
        ("n12.4-theta-independent-of-batch-size", "n12.4-amnl-rebalances-gradients")
    )


def turns(path: ArrayLike) -> int:
    """Return how often a trajectory, (n_steps,), changes direction; a halt is no change.

    It counts as far as the trajectory is finite.
    """
    places = np.asarray(path, dtype=np.float64)
    directions = np.sign(np.diff(places[np.isfinite(places)]))
    directions = directions[directions != 0]
    return int((np.diff(directions) != 0).sum())


def adam_without_epsilon_first_step(gradient: float = 1.0 - PRINTED_IMBALANCE) -> float:
    """Return where Adam's first step with ε = 0 leads from zero, in single precision."""
    weight = torch.nn.Parameter(torch.tensor(0.0))
    optimiser = torch.optim.Adam([weight], lr=toy.LISTING_LEARNING_RATE, eps=0.0)
    weight.grad = torch.tensor(gradient)
    optimiser.step()
    return weight.item()


def adam_second_moment(gradients: Sequence[float]) -> float:
    """Return the v̂ whose root Adam divides by, after steps with these gradients."""
    weight = torch.nn.Parameter(torch.tensor(0.0, dtype=torch.float64))
    optimiser = torch.optim.Adam([weight])
    for gradient in gradients:
        weight.grad = torch.tensor(gradient, dtype=torch.float64)
        optimiser.step()
    _, beta2 = optimiser.defaults["betas"]
    return float(optimiser.state[weight]["exp_avg_sq"] / (1 - beta2 ** len(gradients)))


def weight_decay_shifts(decays: Sequence[float]) -> pd.DataFrame:
    """Return how far weight decay moves θ from (ρ − 1)/(ρ + 1), at ρ = 500.

    Returns:
        One row a strength λ: ``λ``; ``SGD, derived`` by the closed form; and by running the second
        program, SGD at ``STABLE_RATE``, ``SGD, step 100``, ``AdamW, step 240`` and
        ``AdamW, step 2000``.

    """
    star = toy.fixed_point(PRINTED_IMBALANCE)
    rows = []
    for decay in decays:
        sgd = toy.run(
            PRINTED_IMBALANCE, "sgd", 100, STABLE_RATE, weight_decay=decay, dtype=torch.float64
        )["theta"]
        adamw = toy.run(PRINTED_IMBALANCE, "adamw", 2000, weight_decay=decay, dtype=torch.float64)[
            "theta"
        ]
        rows.append(
            {
                "λ": decay,
                "SGD, derived": toy.fixed_point(PRINTED_IMBALANCE, decay) - star,
                "SGD, step 100": sgd[-1] - star,
                "AdamW, step 240": adamw[239] - star,
                "AdamW, step 2000": adamw[-1] - star,
            }
        )
    return pd.DataFrame(rows)


SOURCES_DECAY: float = RunConfig.model_fields["weight_decay"].default
"""Weight decay of the source's networks (§15.2), and of the protocol."""


def weight_decay_claims(shifts: pd.DataFrame) -> dict[str, object]:
    """Return what decides the section's remarks on weight decay.

    Args:
        shifts: what ``weight_decay_shifts`` returns, ``SOURCES_DECAY`` among the decays.

    """
    at_the_sources_decay = shifts.loc[shifts["λ"] == SOURCES_DECAY, "AdamW, step 2000"]
    by_adamw = toy.fixed_point(PRINTED_IMBALANCE) + shifts["AdamW, step 2000"]
    return {
        "n12.4-theta-under-weight-decay": bool(
            len(at_the_sources_decay) and (at_the_sources_decay.abs() < FOUR_DECIMALS).all()
        ),
        "n12.4-pitfall-adamw-no-fix": bool((by_adamw > 0.95).all()),
    }


def end_under_cosine_schedule() -> float:
    """Return θ after SGD whose learning rate falls along a cosine to zero, at ρ = 500."""
    n_steps = 200
    model = toy.TinyShared(dtype=torch.float64)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.003)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, n_steps)
    for _ in range(n_steps):
        optimiser.zero_grad()
        sum(model.losses(PRINTED_IMBALANCE)).backward()  # type: ignore[union-attr]
        optimiser.step()
        schedule.step()
    return float(model.theta.item())


def steepest_cross_entropy_gradient(seed: int) -> float:
    """Return the largest norm of the cross-entropy's gradient at random logits of three classes."""
    n_samples = 10_000
    random = np.random.default_rng(seed)
    logits = torch.from_numpy(random.normal(scale=50, size=(n_samples, 3))).requires_grad_()
    states = torch.from_numpy(random.integers(3, size=n_samples))
    (gradient,) = torch.autograd.grad(
        functional.cross_entropy(logits, states, reduction="sum"), logits
    )
    return float(gradient.norm(dim=1).max())


def pitfall_claims(stable: History, theta_under_schedule: float, seed: int) -> dict[str, object]:
    """Return what decides the section's three warnings.

    Args:
        stable: a run of the second program inside the stability limit.
        theta_under_schedule: where a run with a schedule of the learning rate ends.
        seed: of the logits that the gradient of the cross-entropy is measured at.

    """
    total = np.add(stable["L_rul"], stable["L_hs"])
    return {
        "n12.4-pitfall-total-loss-drops": bool((np.diff(total) <= 0).all())
        and stable["L_hs"][-1] > stable["L_hs"][0],
        "n12.4-pitfall-schedule": abs(theta_under_schedule - toy.fixed_point(PRINTED_IMBALANCE))
        < 1e-6,
        "n12.4-no-single-weight-in-toy": not np.isclose(
            toy.general_fixed_point(
                [PRINTED_IMBALANCE, PRINTED_IMBALANCE], [toy.RUL_OPTIMUM, toy.HEALTH_OPTIMUM]
            )[0],
            toy.fixed_point(1.0),
        ),
        "n12.4-fixed-weight-fails-or-wins": None,
        "n12.4-pitfall-ce-bound": steepest_cross_entropy_gradient(seed) < 2**0.5 + 1e-9,
        "n12.4-field-sums-losses": None,
    }


def small_print_claims() -> dict[str, object]:
    """Return what decides line counts, traces of the first step and remarks on PyTorch.

    The global random state is left as it was.
    """
    start = toy.TinyShared(0.0)
    rul_gradient, health_gradient = (
        torch.autograd.grad(loss, start.theta)[0].item() for loss in start.losses(PRINTED_IMBALANCE)
    )
    rul_loss, health_loss = (loss.item() for loss in start.losses(PRINTED_IMBALANCE))

    elsewhere = toy.TinyShared(0.3, torch.float64)
    (gradient_elsewhere,) = torch.autograd.grad(elsewhere.losses(7.0)[0], elsewhere.theta)
    sum(elsewhere.losses(7.0)).backward()  # type: ignore[union-attr]
    assert elsewhere.theta.grad is not None
    summed = elsewhere.theta.grad.item()
    torch.optim.SGD(elsewhere.parameters(), lr=0.1).zero_grad()
    return {
        "n12.4-listing1-unexplained-lines": _LISTING_1_LINES - len(_LISTING_1_EXPLAINED),
        "n12.4-listing1-line-numbers": _LISTING_1_EXPLAINED == _LISTING_1_STANDS_ON,
        "n12.4-listing1-initial-ratio": abs(rul_gradient / health_gradient),
        "n12.4-listing1-step0-gradient": rul_gradient + health_gradient,
        "n12.4-listing1-step0-rul-gradient": rul_gradient,
        "n12.4-listing1-step0-hs-gradient": health_gradient,
        "n12.4-listing1-int-format": f"{1:4d}".startswith("1"),
        "n12.4-listing2-unexplained-lines": _LISTING_2_LINES - len(_LISTING_2_EXPLAINED),
        "n12.4-listing2-one-parameter": [p.shape for p in start.parameters()] == [torch.Size()]
        and start.theta.item() == 0,
        "n12.4-listing2-rul-gradient": abs(abs(gradient_elsewhere.item()) - 7.0 * 0.7) < 1e-9,
        "n12.4-listing2-seed-unneeded": _adam_under_seed(0) == _adam_under_seed(1),
        "n12.4-listing2-unknown-optimiser": _refuses_unknown_optimiser(),
        "n12.4-listing2-backward": abs(summed - (7.0 * (0.3 - 1) + (0.3 + 1))) < 1e-9,
        "n12.4-listing2-zero-grad-sets-none": elsewhere.theta.grad is None,
        "n12.4-listing2-zero-grad-since": None,
        "n12.4-listing2-step0-rul": rul_loss,
        "n12.4-listing2-step0-hs": health_loss,
        "n12.4-listing2-step0-sum": rul_loss + health_loss,
        "n12.4-listing2-step0-loss-ratio": rul_loss / health_loss,
    }


def hovers_at(step_rule: StepRule, rho: Floats) -> float:
    """Return the mean of θ over the second half of ``path_of`` at a small learning rate, 0.002."""
    path = path_of(step_rule, rho, 0.002)
    return float(np.mean(path[len(path) // 2 :]))


def path_of(step_rule: StepRule, rho: Floats, learning_rate: float) -> Floats:
    """Return θ after each step of a run from 0 whose ρ differs from step to step, (n_steps,).

    Args:
        step_rule: ``"sgd"``, ``"adam"`` with PyTorch's constants, or ``"sign"``, a step of fixed
            length against the sign of the gradient.
        rho: ρ at each step, (n_steps,).
        learning_rate: of every step.

    """
    theta, mean, mean_square, path = 0.0, 0.0, 0.0, []
    for step, imbalance in enumerate(rho, start=1):
        gradient = imbalance * (theta - toy.RUL_OPTIMUM) + (theta - toy.HEALTH_OPTIMUM)
        if step_rule == "adam":
            mean = 0.9 * mean + 0.1 * gradient
            mean_square = 0.999 * mean_square + 0.001 * gradient**2
            root = np.sqrt(mean_square / (1 - 0.999**step))
            gradient = mean / (1 - 0.9**step) / (root + 1e-8)
        theta -= learning_rate * (np.sign(gradient) if step_rule == "sign" else gradient)
        path.append(theta)
    return np.array(path)


def _adam_under_seed(seed: int) -> list[float]:
    with seeded(seed):
        return toy.run(PRINTED_IMBALANCE, "adam")["theta"]


def _refuses_unknown_optimiser() -> bool:
    try:
        toy.run(PRINTED_IMBALANCE, "no such optimiser")
    except UsageError:
        return True
    return False
