"""Lines that the source's programs are shown to print, above those that they print when run."""

from collections.abc import Mapping, Sequence
from itertools import starmap

from rulbook import toy
from rulbook.claims.printed import printed_value
from rulbook.toy import History

_TOO_LARGE = 1e6
"""From here on a number is written with a power of ten, which the printed formats do not."""


def beside(printed: Sequence[str], run: Sequence[str]) -> str:
    """Return pairs of lines, the source's above ours, with ✓ where they are the same, else ✗.

    Args:
        printed: lines of output as the source shows them.
        run: the lines that the same program prints, as many.

    """
    return "\n".join(
        f"  source  {theirs}\n{'✓' if theirs == ours else '✗'} run     {ours}"
        for theirs, ours in zip(printed, run, strict=True)
    )


def of_first_program(histories: Mapping[int, History]) -> str:
    """Return the lines of section 12.4's first program, printed and run.

    Args:
        histories: what ``toy.simulate_two_task`` returns, by ρ.

    """

    def line(rho: int, values: Sequence[float]) -> str:
        theta, rul, health, star = values
        return (
            f"rho={rho:4d}  theta={_figure(theta, '+.3f')}  L_rul={_figure(rul, '.3f')}  "
            f"L_hs={_figure(health, '.3f')}  theta*={_figure(star, '+.3f')}"
        )

    printed = {
        rho: [printed_value(f"n12.4-output-rho{rho}-{part}") for part in _FIRST_PARTS]
        for rho in histories
    }
    recorded = ("theta", "rul_loss", "hs_loss")
    run = {
        rho: [*(of_rho[part][-1] for part in recorded), toy.fixed_point(rho)]
        for rho, of_rho in histories.items()
    }
    return beside([*starmap(line, printed.items())], [*starmap(line, run.items())])


def of_second_program(histories: Mapping[str, History]) -> str:
    """Return the lines of section 12.4's second program, printed and run.

    Args:
        histories: what ``toy.run`` returns, by ``"sgd"`` and ``"adam"``.

    """

    def line(name: str, values: Sequence[float]) -> str:
        theta, rul, health = values
        return (
            f"{name:>4s}  theta={_figure(theta, '+.4f')}  L_rul={_figure(rul, '.5f')}  "
            f"L_hs={_figure(health, '.4f')}"
        )

    printed = {
        name: [printed_value(f"n12.4-output-{name}-{part}") for part in ("theta", "rul", "hs")]
        for name in histories
    }
    run = {
        name: [of_name[part][-1] for part in ("theta", "L_rul", "L_hs")]
        for name, of_name in histories.items()
    }
    return beside([*starmap(line, printed.items())], [*starmap(line, run.items())])


def of_loop(printed: Sequence[Sequence[float]], run: Sequence[Sequence[float]]) -> str:
    """Return the lines of section 4.3's training loop, printed and run.

    Args:
        printed: RUL loss, health loss and half their sum by step, as ``printed_losses`` returns.
        run: the same of the loop as it runs.

    """

    def line(step: int, losses: Sequence[float]) -> str:
        rul, health, both = losses
        return f"step {step}: L_rul={rul:.3f}  L_health={health:.3f}  L_total={both:.3f}"

    return beside([*starmap(line, enumerate(printed))], [*starmap(line, enumerate(run))])


_FIRST_PARTS = ("theta", "rul", "hs", "closed-form")
"""The figures of a line of the first program, by the ends of the ids of their claims."""


def _figure(value: float, specification: str) -> str:
    """Return a number in a printed format, or with a power of ten where that would be too long."""
    return f"{value:.1e}" if abs(value) >= _TOO_LARGE else f"{value + 0.0:{specification}}"
