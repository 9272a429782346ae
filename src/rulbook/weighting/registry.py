"""Every weighting method by name, with the facts that a reader compares them by."""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any, Literal

from rulbook.errors import UsageError, unknown_name
from rulbook.weighting import surgery
from rulbook.weighting.base import BaseMTLLoss
from rulbook.weighting.dwa import DWALoss
from rulbook.weighting.fixed import ABLATION_CONFIGS, FixedWeightLoss
from rulbook.weighting.gaba import GABALoss
from rulbook.weighting.gradnorm import Edition, GradNormLoss
from rulbook.weighting.magnitude import AMNLFixedLoss, InverseMagnitudeLoss, LegacyAMNLLoss
from rulbook.weighting.uncertainty import UncertaintyLoss

Needs = Literal["nothing", "losses", "epoch means", "task gradients"]


@dataclass(frozen=True)
class Method:
    """What a reader compares two weighting methods by.

    Attributes:
        title: name in prose and tables.
        build: constructor; its keyword arguments are the options of ``get_loss``.
        formula: the trunk weights in LaTeX, without dollar signs; :math:`g_k` is the norm of the
            gradient of :math:`L_k` on the shared parameters, :math:`c` their cosine.
        source: section of the book, or paper.
        citation: key in the bibliography, or ``None`` for the book's own methods.
        needs: what the weights are computed from at a step.
        state: what a checkpoint must carry.
        backward_passes: passes through the trunk at one training step.
        weight_sum: what the two trunk weights add up to.
        heads: what the heads' gradients are multiplied with.

    """

    title: str
    build: Callable[..., BaseMTLLoss]
    formula: str
    source: str
    citation: str | None
    needs: Needs
    state: str
    backward_passes: int
    weight_sum: str
    heads: str


_fixed = partial(
    Method,
    formula=r"\lambda_k = \text{const}",
    citation=None,
    needs="nothing",
    state="none",
    backward_passes=1,
    heads="weighted",
)
_from_losses = partial(
    Method, needs="losses", backward_passes=1, heads="weighted", citation=None, state="none"
)
_from_gradients = partial(
    Method, needs="task gradients", backward_passes=2, citation=None, heads="weighted"
)
_surgery = partial(
    Method, needs="task gradients", state="none", backward_passes=2, heads="unweighted"
)


def _gaba(title: str, formula: str, **settings: Any) -> Method:
    return _from_gradients(
        title=title,
        build=partial(GABALoss, **settings),
        formula=formula,
        source="§17.1, §18.1–18.5",
        state="average of the weights, step count",
        weight_sum="1",
    )


def _gradnorm(title: str, edition: Edition, formula: str, source: str) -> Method:
    return _from_gradients(
        title=title,
        build=partial(GradNormLoss, edition=edition),
        formula=formula,
        source=source,
        citation="chen2018",
        state="weights, first losses",
        weight_sum="2",
    )


METHODS: Mapping[str, Method] = {
    "single_task": _fixed(
        title="Single task (RUL only)",
        build=partial(FixedWeightLoss, 1.0, 0.0),
        formula=r"\lambda_{rul} = 1,\ \lambda_{health} = 0",
        source="§4.1, §24.1",
        weight_sum="1",
    ),
    "fixed": _fixed(
        title="Fixed weights",
        build=FixedWeightLoss,
        source="§24.1",
        weight_sum="any",
    ),
    "fixed_legacy": _fixed(
        title="Fixed weights (legacy form)",
        build=FixedWeightLoss.legacy,
        source="legacy §9.1",
        weight_sum="any",
    ),
    "inverse_magnitude": _from_losses(
        title="Inverse magnitude",
        build=InverseMagnitudeLoss,
        formula=r"\lambda_k = \frac{1/L_k}{\sum_j 1/L_j}",
        source="§4.3",
        weight_sum="1",
    ),
    "amnl_fixed": _from_losses(
        title="AMNL-fixed",
        build=AMNLFixedLoss,
        formula=r"\lambda_k = \frac{1/2}{\max(L_k, s_k)}",
        source="§24.1",
        weight_sum="any",
    ),
    "amnl_legacy": _from_losses(
        title="AMNL normaliser (legacy, batch)",
        build=LegacyAMNLLoss,
        formula=r"\lambda_k = \frac{1/2}{L_k}",
        source="legacy §10.2",
        weight_sum="any",
    ),
    "amnl_legacy_ema": _from_losses(
        title="AMNL normaliser (legacy, running average)",
        build=partial(LegacyAMNLLoss, "ema"),
        formula=r"\lambda_k = \frac{1/2}{\mathrm{EMA}(L_k)}",
        source="legacy §10.6",
        state="averages of the losses, step count",
        weight_sum="any",
    ),
    "uncertainty": _from_losses(
        title="Uncertainty",
        build=UncertaintyLoss,
        formula=r"\lambda_k = \tfrac12 e^{-s_k},\ s_k \text{ learned}",
        source="§4.3, §24.1",
        citation="kendall2018",
        state="two learned log-variances",
        weight_sum="any",
    ),
    "dwa": Method(
        title="DWA",
        build=DWALoss,
        formula=r"\lambda_k = K\,\frac{e^{r_k/T}}{\sum_j e^{r_j/T}},\ "
        r"r_k = \frac{L_k(t-1)}{L_k(t-2)}",
        source="legacy §9.4",
        citation="liu2019",
        needs="epoch means",
        state="weights, two epochs of mean losses",
        backward_passes=1,
        weight_sum="2",
        heads="weighted",
    ),
    "gradnorm": _gradnorm(
        "GradNorm (new edition)",
        "new",
        r"w_k g_k \to \bar g\,\Bigl(\frac{L_k}{L_k(0)}\Bigr)^{\alpha}",
        "§17.4",
    ),
    "gradnorm_legacy": _gradnorm(
        "GradNorm (legacy edition)",
        "legacy",
        r"w_k g_k \to \overline{w g}\,\Bigl(\frac{L_k}{L_k(0)}\Bigr)^{\alpha}",
        "legacy §9.3",
    ),
    "gradnorm_original": _gradnorm(
        "GradNorm (original)",
        "original",
        r"w_k g_k \to \overline{w g}\,\Bigl(\frac{r_k}{\bar r}\Bigr)^{\alpha},\ "
        r"r_k = \frac{L_k}{L_k(0)}",
        "Chen et al. 2018",
    ),
    "gaba": _gaba(
        "GABA",
        r"\lambda_k \propto \max\bigl(\mathrm{EMA}\tfrac{S-g_k}{(K-1)S},\, 0.05\bigr)",
    ),
    "gaba_no_floor": _gaba(
        "GABA without floor",
        r"\lambda_k = \mathrm{EMA}\tfrac{S-g_k}{(K-1)S}",
        min_weight=None,
    ),
    "gaba_closed_form": _gaba(
        "GABA without average, floor and warm-up",
        r"\lambda_k = \frac{S-g_k}{(K-1)S}",
        beta=None,
        warmup_steps=None,
        min_weight=None,
    ),
    "imtl_g": _surgery(
        title="IMTL-G",
        build=surgery.imtl_g,
        formula=r"w_k = \frac{1/g_k}{\sum_j 1/g_j}",
        source="Liu et al. 2021",
        citation="liu2021imtl",
        weight_sum="1",
    ),
    "nash_mtl": _surgery(
        title="Nash-MTL",
        build=surgery.nash_mtl,
        formula=r"w_k = \frac{1}{g_k\sqrt{1+c}}, \text{ norm capped}",
        source="Navon et al. 2022",
        citation="navon2022",
        weight_sum="any",
    ),
    "pcgrad": _surgery(
        title="PCGrad",
        build=surgery.pcgrad,
        formula=r"w_k = 1 - \frac{\min(c, 0)\, g_i g_j}{g_k^2}",
        source="Yu et al. 2020",
        citation="yu2020",
        weight_sum="at least 2",
    ),
    "upgrad": _surgery(
        title="UPGrad",
        build=surgery.upgrad,
        formula=r"w_k = \tfrac12\Bigl(1 - \frac{\min(c, 0)\, g_i g_j}{g_k^2}\Bigr)",
        source="Quinton and Rey 2024",
        citation="quinton2024",
        weight_sum="at least 1",
    ),
    "cagrad": _surgery(
        title="CAGrad",
        build=surgery.cagrad,
        formula=r"d = \arg\max_d \min_k \langle \nabla L_k, d\rangle,\ "
        r"\lVert d - \bar\nabla\rVert \le c_0 \lVert\bar\nabla\rVert",
        source="Liu et al. 2021",
        citation="liu2021cagrad",
        weight_sum="any",
    ),
    "mgda": _surgery(
        title="MGDA",
        build=surgery.mgda,
        formula=r"w = \arg\min_{w \ge 0,\, \sum w = 1} \lVert \sum_k w_k \nabla L_k \rVert",
        source="Sener and Koltun 2018",
        citation="sener2018",
        weight_sum="1",
    ),
    "aligned_mtl": _surgery(
        title="Aligned-MTL",
        build=surgery.aligned_mtl,
        formula=r"w = \tfrac12\,\sigma_{\min}\,(J J^\top)^{-1/2}\,\mathbf{1}",
        source="Senushkin et al. 2023",
        citation="senushkin2023",
        weight_sum="any",
    ),
}
"""Every method by its registry name; ``fixed_…`` names are a rule, see ``get_loss``.

:meta hide-value:
"""

FIXED_NAMES = (
    "fixed_0002",
    "fixed_005",
    "fixed_025",
    "fixed_050",
    "fixed_060",
    "fixed_075",
    "fixed_090",
    "fixed_095",
    "fixed_099",
    "fixed_0999",
    "fixed_070_070",
    *ABLATION_CONFIGS,
)
"""The fixed weightings that the book or our studies name."""

_FIXED_RULE = re.compile(r"fixed_([01]\d{2,4})(?:_([01]\d{2,4}))?")


def names() -> tuple[str, ...]:
    """Return every registered name, the fixed weightings first."""
    return (*FIXED_NAMES, *METHODS)


def get_loss(name: str, **options: Any) -> BaseMTLLoss:
    """Build the weighting method called ``name``.

    Args:
        name: a key of ``METHODS``; a legacy key of ``ABLATION_CONFIGS``; or ``fixed_`` and a RUL
            weight without its point, the health weight being the rest to 1 (``fixed_050`` is
            0.50/0.50, ``fixed_0002`` 0.002/0.998) unless a second number gives it
            (``fixed_070_070``).
        options: keyword arguments of that method's constructor.

    Raises:
        UsageError: no such method, or it has no such option.

    """
    if name in ABLATION_CONFIGS:
        build: Callable[..., BaseMTLLoss] = FixedWeightLoss.legacy
        options = {**ABLATION_CONFIGS[name], **options}
    elif (weights := _fixed_weights(name)) is not None:
        build = FixedWeightLoss
        options = {**weights, **options}
    elif name in METHODS:
        build = METHODS[name].build
    else:
        raise unknown_name("weighting method", name, names())
    known = inspect.signature(build).parameters
    for option in options:
        if option not in known:
            listed = ", ".join(known) or "none"
            raise UsageError(f"'{name}' has no option '{option}'; it has: {listed}.")
    return build(**options)


def _fixed_weights(name: str) -> dict[str, float] | None:
    """Return the two weights that a ``fixed_…`` name spells, or ``None`` where it spells none."""
    rule = _FIXED_RULE.fullmatch(name)
    if rule is None:
        return None
    rul, health = (Decimal(f"{part[0]}.{part[1:]}") if part else None for part in rule.groups())
    if rul is None or (health is None and rul > 1):
        return None
    return {
        "rul_weight": float(rul),
        "health_weight": float(1 - rul if health is None else health),
    }
