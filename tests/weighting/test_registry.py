import math
import re
from fractions import Fraction

import numpy as np
import pytest
import torch

from rulbook.errors import UsageError
from rulbook.paths import checkout
from rulbook.publishing.mathml import without_scripts
from rulbook.weighting import registry
from rulbook.weighting.base import TASKS
from rulbook.weighting.fixed import FixedWeightLoss
from rulbook.weighting.registry import WEIGHTING_METHODS, get_loss, method_options, names


@pytest.mark.parametrize("name", names())
def test_every_name_builds_a_method_that_trains(name, network):
    loss = get_loss(name).double()
    optimiser = torch.optim.SGD([*network.parameters, *loss.parameters()], lr=1e-4)
    before = sum(network.losses())
    for _ in range(5):
        network.step(loss)
        optimiser.step()
    weights = loss.get_weights()
    assert weights.keys() == {"rul_weight", "health_weight"}
    assert all(type(w) is float and math.isfinite(w) for w in weights.values())
    assert sum(network.losses()) < before


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("single_task", (1.0, 0.0)),
        ("fixed_050", (0.5, 0.5)),
        ("fixed_075", (0.75, 0.25)),
        ("fixed_0002", (0.002, 0.998)),
        ("fixed_0999", (0.999, 0.001)),
        ("fixed_070_070", (0.7, 0.7)),
        ("fixed_0001_100", (0.001, 1.0)),
        ("fixed_70_30", (0.7, 0.3)),
        ("fixed_90_10", (0.9, 0.1)),
        ("fixed_legacy", (0.7, 0.3)),
    ],
)
def test_fixed_names_spell_their_weights(name, weights):
    loss = get_loss(name)
    assert isinstance(loss, FixedWeightLoss)
    assert tuple(loss.get_weights().values()) == weights


@pytest.mark.parametrize("name", ["nope", "fixed_5", "fixed_150", "fixed_200", "fixed_050_", ""])
def test_an_unknown_name_lists_every_known_one(name):
    with pytest.raises(UsageError) as raised:
        get_loss(name)
    assert all(known in str(raised.value) for known in names())


def test_options_reach_the_constructor():
    assert get_loss("gaba", min_weight=0.1).get_name() == "GABA(beta=0.99, warmup=100, floor=0.1)"
    assert get_loss("fixed", rul_weight=0.2).get_weights()["rul_weight"] == 0.2


def test_an_unknown_option_names_the_known_ones():
    with pytest.raises(UsageError, match="'dwa' has no option 'T'; it has: temperature"):
        get_loss("dwa", T=1.0)


NO_OPTION_CAN_BE = [
    *(math.nan, math.inf, -math.inf, 10**400, 1j, torch.tensor(math.nan), np.array([math.nan])),
    *("0.5", "x", b"x", [], ["x"], [math.nan, math.nan], ["x", "y", "z"], {"third": 1.0}, {3}),
    *({"rul": math.nan, "health": 1.0}, {"rul": "1", "health": 1.0}, object),
]
"""Values that mean nothing, or that no arithmetic can be done with."""


@pytest.mark.parametrize(
    ("name", "option"),
    [(name, option) for name in names() for option in method_options(name)],
    ids=str,
)
def test_no_method_takes_what_no_option_can_be(name, option):
    for value in NO_OPTION_CAN_BE:
        if can_be(option, value):
            get_loss(name, **{option: value})
            continue
        with pytest.raises(UsageError):
            pytest.fail(f"{value!r} was taken: {get_loss(name, **{option: value})}")


def can_be(option, value):
    """Return whether the option is one of the few that such a value means something for."""
    if option == "seed":
        return isinstance(value, int)
    return option == "classification" and isinstance(value, list) and set(value) <= set(TASKS)


def test_weights_of_no_task_are_refused():
    """They were taken for none given, and gave 0.5/0.5."""
    for weights in ({}, {"rul": 1.0}):
        for tasks in (None, ("depth", "edges")):
            with pytest.raises(UsageError, match="weights"):
                get_loss("fixed", weights=weights, tasks=tasks)


@pytest.mark.parametrize("kind", [int, float, np.float32, np.float64, np.int64, Fraction])
@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("fixed", "rul_weight"),
        ("gaba", "warmup_steps"),
        ("gradnorm", "weight_lr"),
        ("cagrad", "c"),
        ("uncertainty", "initial_log_var"),
    ],
)
def test_every_kind_of_number_is_one(name, option, kind, network):
    loss, plain = get_loss(name, **{option: kind(1)}), get_loss(name, **{option: 1})
    for method in (loss, plain):
        network.step(method)
    assert loss.get_weights() == plain.get_weights()
    assert loss.get_name() == plain.get_name()


def test_names_are_distinct():
    assert len(set(names())) == len(names())
    built = [get_loss(name).get_name() for name in WEIGHTING_METHODS]
    assert len(set(built) - {"Fixed(0.50/0.50)"}) == len(built) - 1


def test_every_method_is_of_a_section_or_of_the_paper_that_it_cites():
    text = (checkout() / "book" / "references.bib").read_text(encoding="utf-8")
    papers = dict(re.findall(r"^@\w+\{(\w+),(.*?)^\}", text, re.MULTILINE | re.DOTALL))
    for method in WEIGHTING_METHODS.values():
        assert method.citation is None or method.citation in papers, method.title
        if not re.match(r"(legacy )?§\d+\.\d", method.source):
            first_author, *_, year = method.source.split()
            paper = papers[method.citation]
            assert re.search(rf"author\s*=\s*\{{{first_author}\b", paper), method.title
            assert re.search(rf"year\s*=\s*\{{{year}\}}", paper), method.title


def test_a_formula_is_latex_that_the_pages_can_show():
    """It stands between dollars; what the converter does not know it leaves as it is."""
    for method in WEIGHTING_METHODS.values():
        assert "$" not in method.formula
        assert method.formula.count("{") == method.formula.count("}"), method.title
        written = f'<span class="math notranslate nohighlight">\\({method.formula}\\)</span>'
        shown = without_scripts(written)[0].removeprefix(written)
        assert "<math" in shown, method.title
        assert "\\" not in shown, method.title


def test_a_method_has_a_form_for_three_tasks_or_says_why_not():
    for name, method in WEIGHTING_METHODS.items():
        if method.two_tasks_only:
            with pytest.raises(UsageError, match=re.escape(method.two_tasks_only)):
                get_loss(name, tasks=("depth", "edges", "normals"))
        else:
            assert len(get_loss(name, tasks=("depth", "edges", "normals")).get_weights()) == 3


def test_titles_are_distinct():
    titles = [method.title for method in WEIGHTING_METHODS.values()]
    assert len(set(titles)) == len(titles)


def test_a_method_of_ones_own_is_built_by_its_name(monkeypatch):
    monkeypatch.setattr(registry, "_OWN", {})
    registry.add_method("thirds", lambda rul_weight=1 / 3: FixedWeightLoss(rul_weight, 2 / 3))
    assert get_loss("thirds").get_weights()["rul_weight"] == 1 / 3
    assert get_loss("thirds", rul_weight=0.4).get_weights()["rul_weight"] == 0.4
    assert names()[-1] == "thirds"
    with pytest.raises(UsageError, match="no option 'beta'"):
        get_loss("thirds", beta=1)


@pytest.mark.parametrize("name", ["gaba", "fixed_030", "fixed_70_30", "fixed"])
def test_a_method_of_the_package_is_not_replaced(name):
    with pytest.raises(UsageError, match="choose another name"):
        registry.add_method(name, FixedWeightLoss)


@pytest.mark.parametrize("tasks", [3, "rul", ("rul",)])
def test_what_are_no_tasks_is_refused(tasks):
    with pytest.raises(UsageError, match="tasks must be two or more distinct names"):
        get_loss("gaba", tasks=tasks)


@pytest.mark.parametrize("name", [None, 3, ["gaba"]])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(UsageError, match="called by its name"):
        get_loss(name)


def test_losses_by_number_name_the_tasks():
    with pytest.raises(UsageError, match=r"takes 2 losses \(rul, health\); given: 0, 1"):
        get_loss("fixed_050")({0: torch.ones(()), 1: torch.ones(())})


@pytest.mark.parametrize("tasks", [None, ("depth", "edges")])
def test_a_function_of_ones_own_that_gives_no_method_is_refused(monkeypatch, tasks):
    monkeypatch.setattr("rulbook.weighting.registry._OWN", {})
    registry.add_method("own", lambda tasks=TASKS: len(tasks))
    with pytest.raises(UsageError, match="gives a int"):
        get_loss("own", tasks=tasks)


def test_a_method_of_ones_own_without_tasks_is_for_the_sources_two(monkeypatch):
    monkeypatch.setattr("rulbook.weighting.registry._OWN", {})
    registry.add_method("own", FixedWeightLoss.legacy)
    with pytest.raises(UsageError, match="takes no tasks"):
        get_loss("own", tasks=("depth", "edges"))


def test_a_method_of_ones_own_may_take_its_tasks_among_all_options(monkeypatch):
    monkeypatch.setattr("rulbook.weighting.registry._OWN", {})

    def build(**options):
        return FixedWeightLoss.equal(**options)

    registry.add_method("own", build)
    assert get_loss("own", tasks=("depth", "edges")).tasks == ("depth", "edges")
