"""Networks of one's own: what they must have, and that the trained one is given back."""

import pytest
import torch
from torch import nn

from rulbook.errors import UsageError
from rulbook.metrics import rmse
from rulbook.training import add_network, networks, train, train_network
from rulbook.training.evaluation import Evaluator


class Small(nn.Module):
    """A GRU with two linear heads."""

    def __init__(self, in_features):
        super().__init__()
        self.recurrent = nn.GRU(in_features, 8, batch_first=True)
        self.head_rul, self.head_health = nn.Linear(8, 1), nn.Linear(8, 3)

    def features(self, x):
        return self.recurrent(x)[0][:, -1]

    def forward(self, x):
        z = self.features(x)
        return self.head_rul(z).squeeze(-1), self.head_health(z)


class Starting(Small):
    """One that can start at the mean RUL."""

    def start_rul_at(self, mean):
        nn.init.constant_(self.head_rul.bias, mean)


@pytest.fixture(autouse=True)
def _own_networks(monkeypatch):
    monkeypatch.setattr(networks, "_OWN", {})


def test_a_network_of_ones_own_is_trained_recorded_and_given_back(simulated, short_run):
    add_network("small", Starting)
    config = short_run.with_changes(network="small")
    trained = train_network(config, simulated)
    assert trained.record.config.network == "small"
    assert type(trained.network) is Starting
    assert not trained.network.training
    evaluator = Evaluator(config, torch.device("cpu"))
    predicted, _ = evaluator.predict(trained.network, simulated.validation)
    chosen = trained.record.epochs[trained.record.selected_epoch].validation.rmse
    assert rmse(predicted, simulated.validation.rul) == pytest.approx(chosen, rel=1e-5)


class PartlyTrained(Starting):
    """One with a frozen layer in use, and a trained layer that no loss reaches."""

    def __init__(self, in_features):
        super().__init__(in_features)
        self.frozen, self.unused = nn.Linear(8, 8), nn.Linear(8, 8)
        self.frozen.requires_grad_(False)
        self.at_start = {
            name: value.clone()
            for name, value in self.state_dict().items()
            if name.startswith(("frozen", "unused"))
        }

    def features(self, x):
        return self.frozen(super().features(x))


@pytest.mark.parametrize("optimiser", ["adamw", "adam", "sgd"])
@pytest.mark.parametrize("weighting", ["fixed_050", "gaba"])
def test_what_is_frozen_or_not_reached_stays_as_it_was(simulated, short_run, optimiser, weighting):
    add_network("partly", PartlyTrained)
    changes = {"optimiser": optimiser, "weighting": weighting, "weight_decay": 0.1}
    trained = train_network(short_run.with_changes(network="partly", **changes), simulated).network
    for name, value in trained.at_start.items():
        assert torch.equal(trained.state_dict()[name], value), name


def test_train_returns_the_record_of_train_network(simulated, short_run, trained):
    theirs = train_network(short_run, simulated).record
    unlike = {"wall_seconds"}
    assert trained.model_dump(exclude=unlike) == theirs.model_dump(exclude=unlike)


def test_the_mean_rul_is_where_such_a_network_starts_if_it_can(simulated, short_run):
    add_network("small", Small)
    with pytest.raises(UsageError, match="start_rul_at"):
        train(short_run.with_changes(network="small"), simulated)
    train(short_run.with_changes(network="small", rul_bias="default", max_epochs=1), simulated)


def test_a_name_is_known_once_it_is_added(short_run):
    with pytest.raises(UsageError, match="Unknown network 'small'"):
        short_run.with_changes(network="small")
    add_network("small", Small)
    assert short_run.with_changes(network="small").key() != short_run.key()
    for taken in ("compact", "constant"):
        with pytest.raises(UsageError, match="choose another name"):
            add_network(taken, Small)


def test_an_architecture_is_of_the_networks_of_the_book(short_run):
    from rulbook.models import ARCHITECTURES

    add_network("small", Small)
    with pytest.raises(UsageError, match="architecture"):
        short_run.with_changes(network="small", architecture=ARCHITECTURES["compact"])


class WithoutFeatures(Small):
    features = None

    def forward(self, x):
        return x[:, 0, 0], x[:, 0, :3]


class WithoutHead(Small):
    def __init__(self, in_features):
        super().__init__(in_features)
        self.head_health = nn.Identity()


class WithColumn(Small):
    def forward(self, x):
        z = self.features(x)
        return self.head_rul(z), self.head_health(z)


class WithSequence(Small):
    def features(self, x):
        return self.recurrent(x)[0]


@pytest.mark.parametrize(
    ("build", "fault"),
    [
        (WithoutFeatures, "no method features"),
        (WithoutHead, "no parameters under the name head_health"),
        (WithColumn, r"does not return RUL, \(B,\)"),
        (WithSequence, "features of shape"),
    ],
)
def test_a_network_that_lacks_a_part_is_refused_in_a_sentence(simulated, short_run, build, fault):
    add_network("small", build)
    with pytest.raises(UsageError, match=fault):
        train(short_run.with_changes(network="small", rul_bias="default"), simulated)


def test_the_check_moves_neither_batch_statistics_nor_random_numbers():
    class Normalised(Small):
        def __init__(self, in_features):
            super().__init__(in_features)
            self.normalise = nn.BatchNorm1d(8)

        def features(self, x):
            return self.normalise(super().features(x))

    add_network("small", Normalised)
    torch.manual_seed(3)
    checked = networks.build_own("small", 5, 7)
    after = torch.rand(1)
    torch.manual_seed(3)
    plain = Normalised(5)
    assert torch.equal(after, torch.rand(1))
    for ours, theirs in zip(
        checked.state_dict().values(), plain.state_dict().values(), strict=True
    ):
        assert torch.equal(ours, theirs)
