from dataclasses import replace

import pytest
import torch

from rulbook.errors import UsageError
from rulbook.models import (
    ARCHITECTURES,
    DualTaskMLP,
    DualTaskModel,
    attend_from,
    count_parameters,
    shared_parameters,
    task_parameters,
)

SIZES = tuple(ARCHITECTURES)


def count(module: torch.nn.Module) -> int:
    return count_parameters(list(module.parameters()))


@pytest.fixture(scope="module")
def paper() -> DualTaskModel:
    return DualTaskModel.of_size("paper")


def test_mlp_has_the_parameters_that_its_layers_add_up_to():
    assert count(DualTaskMLP()) == (17 * 32 + 32) + (32 + 1) + (32 * 3 + 3)


@pytest.mark.parametrize(
    ("part", "parameters"),
    [
        ("convolutions", 52_928),
        ("recurrent", 2_236_416),
        ("funnel", 149_856),
        ("head_rul", 4_737),
        ("head_health", 1_635),
    ],
)
def test_paper_network_has_the_sizes_of_its_blocks(paper, part, parameters):
    assert count(getattr(paper, part)) == parameters


def test_paper_attention_block_with_its_norm_has_the_printed_size(paper):
    assert count(paper.attention) + count(paper.attention_norm) == 1_051_648


@pytest.mark.parametrize("size", SIZES)
def test_trunk_and_heads_partition_the_parameters(size):
    model = DualTaskModel.of_size(size)
    heads = task_parameters(model)
    parts = [*shared_parameters(model), *heads["rul"], *heads["health"]]
    assert {id(p) for p in parts} == {id(p) for p in model.parameters()}
    assert len(parts) == len(list(model.parameters()))
    assert all(heads.values())


def test_mlp_trunk_and_heads_partition_too():
    model = DualTaskMLP()
    heads = task_parameters(model)
    assert count_parameters(shared_parameters(model)) == count(model.shared)
    assert count_parameters(heads["rul"]) == count(model.head_rul)
    assert count_parameters(heads["health"]) == count(model.head_health)


@pytest.mark.parametrize("features", [17, 14])
def test_outputs_have_the_documented_shapes_and_rul_is_never_negative(features):
    model = DualTaskModel.of_size("compact", in_features=features)
    rul, logits = model(torch.randn(5, 30, features))
    assert rul.shape == (5,)
    assert logits.shape == (5, 3)
    assert (rul >= 0).all()
    assert model.features(torch.randn(5, 30, features)).shape == (5, 32)


def test_attending_from_the_last_cycle_alone_gives_the_z_of_attending_from_all():
    model = DualTaskModel.of_size("compact").eval()
    x = torch.randn(4, 30, 17)
    sequence = model.convolutions(x.transpose(1, 2)).transpose(1, 2)
    sequence, _ = model.recurrent(sequence)
    attended, _ = model.attention(sequence, sequence, sequence)
    whole = model.funnel(model.attention_norm(sequence + attended)[:, -1])
    torch.testing.assert_close(model.features(x), whole)


def test_each_head_is_reached_by_its_own_loss_only():
    model = DualTaskModel.of_size("compact")
    model.start_rul_at(60.0)
    rul, _ = model(torch.randn(8, 30, 17))
    rul.sum().backward()
    heads = task_parameters(model)
    assert all(p.grad is None for p in heads["health"])
    assert all(p.grad is not None for p in heads["rul"])
    assert all(p.grad is not None for p in shared_parameters(model))


def test_starting_bias_is_the_prediction_of_a_network_without_weights():
    model = DualTaskModel.of_size("compact")
    model.start_rul_at(70.0)
    with torch.no_grad():
        model.head_rul[-2].weight.zero_()
    rul, _ = model(torch.randn(3, 30, 17))
    torch.testing.assert_close(rul, torch.full((3,), 70.0))


def test_book_dropout_halves_on_the_convolutions():
    architecture = ARCHITECTURES["compact"].with_dropout(0.3)
    assert architecture.convolution_dropout == 0.15
    assert architecture.recurrent_dropout == architecture.funnel_dropout == 0.3
    assert architecture.recurrent_units == ARCHITECTURES["compact"].recurrent_units


def test_unknown_size_lists_the_sizes():
    with pytest.raises(UsageError, match="compact"):
        DualTaskModel.of_size("tiny")


class Wrapper(torch.nn.Module):
    """As ``DistributedDataParallel`` names what it wraps."""

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self.module = module


def compiled(model: torch.nn.Module) -> torch.nn.Module:
    return torch.compile(model, backend="aot_eager")


@pytest.mark.parametrize("wrap", [compiled, Wrapper, torch.optim.swa_utils.AveragedModel])
def test_a_wrapped_network_has_the_parts_of_what_is_in_it(wrap):
    model = DualTaskMLP()
    wrapped = wrap(model)
    for part, own in {"trunk": shared_parameters, **dict.fromkeys(("rul", "health"))}.items():
        of = own or (lambda network, task=part: task_parameters(network)[task])
        shapes = [[p.shape for p in of(network)] for network in (model, wrapped)]
        assert shapes[0] == shapes[1]
        assert shapes[0]


def test_a_network_whose_heads_have_other_names_is_refused():
    network = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1))
    for part in (shared_parameters, task_parameters):
        with pytest.raises(UsageError, match="no parameters under the name head_rul"):
            part(network)


@pytest.mark.parametrize("size", SIZES)
def test_under_autocast_the_trunk_is_in_lower_precision_and_the_outputs_are_not(size):
    torch.manual_seed(0)
    model = DualTaskModel.of_size(size).eval()
    x = torch.randn(8, 30, 17)
    rul, logits = model(x)
    with torch.autocast("cpu", torch.bfloat16):
        z = model.features(x)
        mixed_rul, mixed_logits = model(x)
    assert z.dtype == torch.bfloat16
    assert mixed_rul.dtype == mixed_logits.dtype == torch.float32
    torch.testing.assert_close(mixed_logits, logits, atol=0.05, rtol=0.05)
    torch.testing.assert_close(mixed_rul, rul, atol=0.05, rtol=0.05)


@pytest.mark.parametrize("size", SIZES)
def test_folded_attention_is_the_layers_own(size):
    model = DualTaskModel.of_size(size).double()
    layer = model.attention
    torch.nn.init.normal_(layer.in_proj_bias)
    torch.nn.init.normal_(layer.out_proj.bias)
    sequence = torch.randn(3, 30, layer.embed_dim, dtype=torch.float64)
    query = sequence[:, -1:]

    def results(attended):
        output_gradients = torch.linspace(-1, 1, attended.numel(), dtype=torch.float64)
        gradients = torch.autograd.grad(
            attended, list(layer.parameters()), output_gradients.view_as(attended)
        )
        return attended, *gradients

    folded = results(attend_from(query.squeeze(1), sequence, layer))
    own = results(layer(query, sequence, sequence, need_weights=False)[0].squeeze(1))
    torch.testing.assert_close(folded, own, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"convolution_dropout": 2}, "between 0 and 1"),
        ({"funnel_dropout": float("nan")}, "between 0 and 1"),
        ({"recurrent_units": -1}, "1 or more"),
        ({"recurrent_units": True}, "1 or more"),
        ({"funnel": ()}, "funnel of one layer or more"),
        ({"funnel": (48, 0)}, "1 or more"),
        ({"convolutions": (16, 32)}, "three convolutions"),
        ({"attention_heads": 5}, "cannot share 64 units evenly"),
    ],
    ids=str,
)
def test_an_architecture_that_cannot_be_built_is_refused(change, says):
    with pytest.raises(UsageError, match=says):
        replace(ARCHITECTURES["compact"], **change)
