"""Methods at K tasks of any names, against TorchJD, closed forms, and K equal tasks."""

import copy
import itertools
import math
from enum import Enum

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torchjd.aggregation import IMTLG, MGDA, AlignedMTL, CAGrad, FairGrad, PCGrad, UPGrad
from torchjd.scalarization import DWA, IMTLL, UW, GeometricMean, Random

from rulbook.errors import UsageError
from rulbook.gradients import task_gradients
from rulbook.weighting.gaba import complement_weights
from rulbook.weighting.registry import WEIGHTING_METHODS, get_loss, names

ANY_NUMBER = [name for name, method in WEIGHTING_METHODS.items() if not method.two_tasks_only]
FROM_LOSSES = [name for name in ANY_NUMBER if WEIGHTING_METHODS[name].needs != "task gradients"]
NAMES = ("depth", "edges", "normals", "segments", "keypoints")
EVERY_K = pytest.mark.parametrize("tasks", [NAMES[:k] for k in (2, 3, 5)], ids=len)


class ManyHeads(nn.Module):
    """A trunk and one linear head a task; float64."""

    def __init__(self, tasks):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 6), nn.Tanh())
        self.heads = nn.ModuleDict({task: nn.Linear(6, 2) for task in tasks})
        self.double()

    def losses(self):
        x = torch.linspace(-1, 1, 40, dtype=torch.float64).reshape(8, 5)
        z = self.trunk(x)
        return {
            task: 10.0**k * (head(z) - k).square().mean()
            for k, (task, head) in enumerate(self.heads.items())
        }

    def step(self, loss, **settings):
        self.zero_grad()
        heads = {task: head.parameters() for task, head in self.heads.items()}
        return loss.backward(
            self.losses(), shared_params=self.trunk.parameters(), task_params=heads, **settings
        )

    def jacobian(self):
        shared = list(self.trunk.parameters())
        rows = [task_gradients(x, shared, retain_graph=True) for x in self.losses().values()]
        return torch.stack([torch.cat([part.reshape(-1) for part in row]) for row in rows])

    def trunk_gradient(self):
        return torch.cat([p.grad.reshape(-1) for p in self.trunk.parameters()])


def least_norm(jacobian):
    """Return the norm of the shortest convex combination of the rows, from all faces of the hull.

    On each face the shortest affine combination is a linear system; the shortest of those that
    are convex is the answer.
    """
    norms = []
    for size in range(1, len(jacobian) + 1):
        for face in itertools.combinations(jacobian, size):
            rows = torch.stack(face)
            system = torch.ones(size + 1, size + 1, dtype=torch.float64)
            system[:size, :size], system[size, size] = rows @ rows.T, 0
            right = torch.eye(size + 1, dtype=torch.float64)[size]
            weights = torch.linalg.solve(system, right)[:size]
            if (weights >= 0).all():
                norms.append(float(torch.linalg.vector_norm(weights @ rows)))
    return min(norms)


@pytest.mark.parametrize(("k", "most"), [(2, 1 + 1e-9), (3, 1.02), (4, 1.08), (5, 1.15)])
def test_mgda_is_as_near_the_least_norm_as_its_docstring_says(k, most):
    rule = get_loss("mgda", tasks=NAMES[:k]).trunk_weights
    generator = torch.Generator().manual_seed(0)
    ratios = []
    for _ in range(100):
        jacobian = torch.randn(k, 8, generator=generator, dtype=torch.float64)
        jacobian *= 100 ** torch.rand(k, 1, generator=generator, dtype=torch.float64)
        norms = torch.linalg.vector_norm(jacobian, dim=1)
        unit = jacobian / norms.unsqueeze(1)
        weights = rule(norms, unit @ unit.T)
        assert (weights >= 0).all()
        assert float(weights.sum()) == pytest.approx(1)
        ratios.append(float(torch.linalg.vector_norm(weights @ jacobian)) / least_norm(jacobian))
    assert min(ratios) >= 1 - 1e-9
    assert sorted(ratios)[90] <= most


@pytest.fixture
def network(tasks):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return ManyHeads(tasks)


@EVERY_K
@pytest.mark.parametrize("name", ANY_NUMBER)
def test_the_trunk_gets_the_weights_and_the_heads_what_the_registry_says(name, tasks, network):
    loss = get_loss(name, tasks=tasks).double()
    for _ in range(3):
        info = network.step(loss, observe=True)
    weights = loss.get_weights()
    assert list(weights) == [f"{task}_weight" for task in tasks]
    update = torch.tensor(list(weights.values()), dtype=torch.float64) @ network.jacobian()
    error = torch.linalg.vector_norm(network.trunk_gradient() - update)
    assert error <= 1e-6 * torch.linalg.vector_norm(update)
    norms = torch.linalg.vector_norm(network.jacobian(), dim=1)
    torch.testing.assert_close(info.geometry.norms, norms)
    for task, task_loss in network.losses().items():
        factor = 1.0 if WEIGHTING_METHODS[name].heads == "unweighted" else weights[f"{task}_weight"]
        parameters = list(network.heads[task].parameters())
        for parameter, own in zip(parameters, task_gradients(task_loss, parameters), strict=False):
            torch.testing.assert_close(parameter.grad, factor * own, rtol=1e-6, atol=1e-12)


@EVERY_K
@pytest.mark.parametrize("name", ANY_NUMBER)
def test_state_is_one_number_a_task_and_survives_a_checkpoint(name, tasks, network):
    loss = get_loss(name, tasks=tasks).double()
    network.step(loss)
    other = get_loss(name, tasks=tasks).double()
    other.load_state_dict(copy.deepcopy(loss.state_dict()))
    torch.manual_seed(0)  # PCGrad draws the order of more than two tasks.
    network.step(loss)
    expected = network.trunk_gradient()
    torch.manual_seed(0)
    network.step(other)
    assert torch.equal(network.trunk_gradient(), expected)


@pytest.mark.parametrize("name", [n for n in names() if n not in ANY_NUMBER])
def test_a_method_without_a_form_for_more_tasks_says_why(name):
    with pytest.raises(UsageError, match="form for rul and health alone"):
        get_loss(name, tasks=NAMES[:3])


@pytest.mark.parametrize("tasks", [("one",), ("a", "a"), ("a", "b c"), "ab", ("a.b", "c"), ()])
def test_tasks_that_cannot_be_names_are_an_error(tasks):
    for name in ("gaba", "fixed", "single_task"):
        with pytest.raises(UsageError, match="two or more distinct names"):
            get_loss(name, tasks=tasks)


LOSSES = st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=8)


def stacked(values):
    tensor = torch.tensor(values, dtype=torch.float64, requires_grad=True)
    return tensor, NAMES_OF[len(values)]


NAMES_OF = {k: tuple(f"task_{i}" for i in range(k)) for k in range(2, 9)}


def value_and_slope(function, values):
    tensor, tasks = stacked(values)
    total = function(tensor, tasks)
    return total.detach(), torch.autograd.grad(total, tensor)[0]


@given(values=LOSSES, start=st.floats(-3, 3))
@settings(max_examples=30, deadline=None)
def test_uncertainty_is_torchjds(values, start):
    """Every task regressed: the health task's factor is an option."""

    def ours(tensor, tasks):
        loss = get_loss("uncertainty", tasks=tasks, initial_log_var=start).double()
        return loss(*tensor)

    def theirs(tensor, tasks):
        scalarizer = UW(len(tasks)).double()
        torch.nn.init.constant_(scalarizer.log_var, float(torch.tensor(start)))
        return scalarizer(tensor)

    torch.testing.assert_close(value_and_slope(ours, values), value_and_slope(theirs, values))


@given(
    epochs=st.integers(2, 8).flatmap(
        lambda k: st.lists(
            st.lists(st.floats(1e-2, 1e2), min_size=k, max_size=k), min_size=1, max_size=4
        )
    )
)
@settings(max_examples=30, deadline=None)
def test_dwa_is_torchjds(epochs):
    """Epochs of one batch each, whose means are their losses."""
    tasks = NAMES_OF[len(epochs[0])]
    ours, theirs = get_loss("dwa", tasks=tasks).double(), DWA()
    for values in epochs:
        tensor = torch.tensor(values, dtype=torch.float64)
        torch.testing.assert_close(ours(*tensor), theirs(tensor))
        theirs.step()
        ours.end_epoch(dict(zip(tasks, values, strict=True)))


@pytest.mark.parametrize(
    ("name", "scalarizer"), [("geometric_mean", GeometricMean), ("imtl_l", None)]
)
@given(values=LOSSES)
@settings(max_examples=20, deadline=None)
def test_baselines_are_torchjds(name, scalarizer, values):
    def ours(tensor, tasks):
        return get_loss(name, tasks=tasks).double()(*tensor)

    def theirs(tensor, tasks):
        return (scalarizer() if scalarizer else IMTLL(len(tasks)).double())(tensor)

    torch.testing.assert_close(value_and_slope(ours, values), value_and_slope(theirs, values))


@pytest.mark.parametrize("k", [2, 3, 8])
def test_random_weights_are_torchjds_of_the_same_draw(k):
    loss = get_loss("random", tasks=NAMES_OF[k], seed=5)
    values = torch.arange(1.0, k + 1, dtype=torch.float64)
    for step in range(3):
        before = torch.get_rng_state()
        total = loss(*values)
        assert torch.equal(torch.get_rng_state(), before)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(5 + step)
            torch.testing.assert_close(total, Random()(values))


@EVERY_K
@pytest.mark.parametrize(
    ("name", "aggregator"),
    [
        ("imtl_g", IMTLG()),
        ("mgda", MGDA()),
        ("aligned_mtl", AlignedMTL()),
        ("cagrad", CAGrad(c=0.5, norm_eps=1e-12)),
        ("pcgrad", PCGrad()),
        ("upgrad", UPGrad()),
        ("nash_mtl", FairGrad(alpha=1.0)),
    ],
)
def test_surgery_is_torchjds_on_the_whole_jacobian(name, aggregator, tasks):
    generator = torch.Generator().manual_seed(3)
    rows = torch.randn(len(tasks), 7, generator=generator, dtype=torch.float64)
    norms = torch.linalg.vector_norm(rows, dim=1)
    rows = rows / norms.unsqueeze(1) * torch.linspace(1, 1.5, len(tasks)).unsqueeze(1)
    norms = torch.linalg.vector_norm(rows, dim=1)
    loss = get_loss(name, tasks=tasks, **({"max_norm": 0} if name == "nash_mtl" else {}))
    torch.manual_seed(0)
    found = loss.trunk_weights(norms, rows @ rows.T / norms.outer(norms))
    torch.manual_seed(0)
    # TorchJD's UPGrad adds 1e-4 of the Gramian's trace to its diagonal.
    rtol = 1e-3 if name == "upgrad" else 1e-5
    expected = aggregator.weighting(rows).double()
    torch.testing.assert_close(found @ rows, expected @ rows, rtol=rtol, atol=rtol)


@EVERY_K
def test_gabas_closed_form_is_its_weight_at_k_tasks(tasks, network):
    loss = get_loss("gaba_closed_form", tasks=tasks).double()
    network.step(loss)
    expected = complement_weights(torch.linalg.vector_norm(network.jacobian(), dim=1))
    assert list(loss.get_weights().values()) == pytest.approx(expected.tolist(), rel=1e-9)


@pytest.mark.parametrize("k", [2, 3, 5, 8])
@pytest.mark.parametrize("name", ANY_NUMBER)
def test_equal_tasks_have_equal_weights(name, k):
    """K copies of one task: no method has a reason to prefer one."""
    if name in ("single_task", "random"):
        pytest.skip("unequal on purpose")
    parameter = nn.Parameter(torch.tensor([[1.0, 2.0]], dtype=torch.float64))
    loss = get_loss(name, tasks=NAMES_OF[k]).double()
    for _ in range(3):
        loss.backward(
            *(parameter.square().sum() for _ in range(k)),
            shared_params=[parameter],
            task_params=dict.fromkeys(NAMES_OF[k], ()),
        )
    weights = list(loss.get_weights().values())
    assert all(math.isfinite(w) for w in weights)
    if name != "mgda":  # any share of equal gradients has the least norm
        assert weights == pytest.approx([weights[0]] * k, rel=1e-5)


@pytest.mark.parametrize("name", FROM_LOSSES)
def test_the_order_of_the_tasks_does_not_matter(name):
    if name in ("single_task", "random"):
        pytest.skip("by order on purpose")
    values = dict(zip(NAMES[:3], torch.tensor([4.0, 1.0, 9.0], dtype=torch.float64), strict=True))
    there = get_loss(name, tasks=NAMES[:3]).double()
    back = get_loss(name, tasks=NAMES[2::-1]).double()
    assert there(values).item() == pytest.approx(back(values).item(), rel=1e-12)
    assert there.get_weights() == pytest.approx(back.get_weights(), rel=1e-12)


@pytest.mark.parametrize("steps_before", [0, 2])
def test_random_weights_after_a_checkpoint_are_those_of_its_last_step(steps_before):
    trained, resumed = get_loss("random", seed=3), get_loss("random", seed=8)
    losses = torch.tensor(5.0), torch.tensor(1.0)
    for _ in range(3):
        trained(*losses)
    for _ in range(steps_before):
        resumed(*losses)
    resumed.load_state_dict(trained.state_dict())
    assert resumed.get_weights() == trained.get_weights()
    assert resumed.eval()(*losses) == trained.eval()(*losses)
    assert resumed.train()(*losses) == trained.train()(*losses)
    resumed.load_state_dict(get_loss("random", seed=3).state_dict())
    assert all(math.isnan(weight) for weight in resumed.get_weights().values())


def test_tasks_may_be_members_of_an_enumeration():
    class Task(str, Enum):  # noqa: UP042 - a member's str is not its value, unlike StrEnum's
        RUL = "rul"
        HEALTH = "health"

    for name in ("gaba", "uncertainty", "fixed"):
        loss = get_loss(name, tasks=tuple(Task))
        assert list(loss.get_weights()) == ["rul_weight", "health_weight"]
        assert all(type(task) is str for task in loss.tasks)
