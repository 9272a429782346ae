"""The two networks of the source: the one-layer skeleton of §4.1 and the full one of §11.4."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal, Self

import torch
from torch import Tensor, nn

from rulbook.data.prepare import HEALTH_STATES
from rulbook.errors import UsageError, unknown_name

Size = Literal["paper", "compact"]

_HEADS = {"rul": "head_rul", "health": "head_health"}


class DualTaskMLP(nn.Module):
    """One shared hidden layer and two linear heads (§4.1, listing 2).

    Input (B, in_dim) float32, one row of features an engine; output the RUL in cycles, (B,), and
    the health logits, (B, n_classes).
    """

    def __init__(
        self, in_dim: int = 17, hidden: int = 32, n_classes: int = len(HEALTH_STATES)
    ) -> None:
        super().__init__()
        self.shared = nn.Sequential(nn.Linear(in_dim, hidden), nn.ReLU())
        self.head_rul = nn.Linear(hidden, 1)
        self.head_health = nn.Linear(hidden, n_classes)

    def features(self, x: Tensor) -> Tensor:
        """Return the shared representation, (B, hidden)."""
        return self.shared(x)  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return RUL (B,) and logits (B, n_classes) from one pass through the shared trunk."""
        z = self.features(x)
        return self.head_rul(z).squeeze(-1), self.head_health(z)


@dataclass(frozen=True)
class Architecture:
    """Widths and dropout rates of a ``DualTaskModel``.

    Attributes:
        convolutions: output channels of the three convolution blocks (§8.4).
        recurrent_units: hidden units a direction of the two BiLSTM layers (§9.3).
        attention_heads: heads of the self-attention layer (§10.4).
        funnel: widths of the fully connected layers from the last cycle to z (§11.1).
        convolution_dropout: rate after each convolution block.
        recurrent_dropout: rate between the two BiLSTM layers.
        attention_dropout: rate on the attention output before the residual sum.
        funnel_dropout: rate after each layer of the funnel; the source does not state it.

    """

    convolutions: tuple[int, int, int]
    recurrent_units: int
    attention_heads: int
    funnel: tuple[int, ...]
    convolution_dropout: float
    recurrent_dropout: float
    attention_dropout: float
    funnel_dropout: float

    def __post_init__(self) -> None:
        """Check that such a network can be built.

        Raises:
            UsageError: a width is no whole number of 1 or more, there are not three convolutions,
                the funnel is empty, a rate is not between 0 and 1, or the attention heads do not
                share the hidden units of both directions evenly.

        """
        widths = (*self.convolutions, self.recurrent_units, self.attention_heads, *self.funnel)
        if not all(type(width) is int and width >= 1 for width in widths):
            raise UsageError(
                f"Widths and heads of an architecture are whole numbers of 1 or more, not {widths}."
            )
        if len(self.convolutions) != 3 or not self.funnel:
            raise UsageError(
                f"An architecture has three convolutions and a funnel of one layer or more, not "
                f"{len(self.convolutions)} and {len(self.funnel)}."
            )
        if 2 * self.recurrent_units % self.attention_heads:
            raise UsageError(
                f"{self.attention_heads} attention heads cannot share {2 * self.recurrent_units} "
                f"units evenly, two for each of recurrent_units: choose a divisor."
            )
        rates = (
            *(self.convolution_dropout, self.recurrent_dropout),
            *(self.attention_dropout, self.funnel_dropout),
        )
        if not all(0 <= rate <= 1 for rate in rates):
            raise UsageError(f"Dropout rates are between 0 and 1, not {rates}.")

    def with_dropout(self, rate: float) -> "Architecture":
        """Return it with the source's uniform ``rate``: half of it on convolutions."""
        return replace(
            self,
            convolution_dropout=rate / 2,
            recurrent_dropout=rate,
            funnel_dropout=rate,
        )


ARCHITECTURES: dict[Size, Architecture] = {
    "paper": Architecture(
        convolutions=(64, 128, 64),
        recurrent_units=256,
        attention_heads=8,
        funnel=(256, 64, 32),
        convolution_dropout=0.15,
        recurrent_dropout=0.3,
        attention_dropout=0.1,
        funnel_dropout=0.3,
    ),
    "compact": Architecture(
        convolutions=(16, 32, 16),
        recurrent_units=32,
        attention_heads=4,
        funnel=(48, 32),
        convolution_dropout=0.05,
        recurrent_dropout=0.0,
        attention_dropout=0.0,
        funnel_dropout=0.0,
    ),
}
"""``paper`` is the source's network; ``compact`` the same design narrowed for a CPU.

The width and the dropout of ``compact`` were chosen by the ``sizing`` study.
"""


class DualTaskModel(nn.Module):
    """CNN, BiLSTM, self-attention and funnel into z, then one head a task (§11.4).

    Input (B, window, in_features) float32; output the RUL in units of the training target, (B,),
    never negative because the RUL head ends in a ReLU, and raw health logits (B, 3). The head sizes
    are the source's in both sizes of the network.
    """

    def __init__(self, architecture: Architecture, in_features: int = 17) -> None:
        super().__init__()
        a = architecture
        channels = (in_features, *a.convolutions)
        width = 2 * a.recurrent_units
        self.convolutions = nn.Sequential(
            *(_convolution_block(i, o, a.convolution_dropout) for i, o in pairwise(channels))
        )
        self.recurrent = nn.LSTM(
            channels[-1],
            a.recurrent_units,
            num_layers=2,
            batch_first=True,
            bidirectional=True,
            dropout=a.recurrent_dropout,
        )
        self.attention = nn.MultiheadAttention(width, a.attention_heads, batch_first=True)
        self.attention_dropout = nn.Dropout(a.attention_dropout)
        self.attention_norm = nn.LayerNorm(width)
        self.funnel = _dense((width, *a.funnel), a.funnel_dropout)
        z = a.funnel[-1]
        self.head_rul = _dense((z, 64, 32, 16, 1))
        self.head_health = nn.Sequential(*_dense((z, 32, 16)), nn.Linear(16, len(HEALTH_STATES)))

    @classmethod
    def of_size(cls, size: Size, in_features: int = 17) -> Self:
        """Return a network of the named size.

        Args:
            size: ``"paper"`` or ``"compact"``.
            in_features: features a cycle, 17 or 14.

        Raises:
            UsageError: there is no such size.

        """
        if size not in ARCHITECTURES:
            raise unknown_name("network size", size, ARCHITECTURES)
        return cls(ARCHITECTURES[size], in_features)

    def features(self, x: Tensor) -> Tensor:
        """Return z, the shared representation of each window, (B, 32)."""
        sequence = self.convolutions(x.transpose(1, 2)).transpose(1, 2)
        sequence, _ = self.recurrent(sequence)
        # Only the last cycle goes on (§11.1), so only its query is computed: the same z as from
        # attending at all cycles, for a fraction of the work.
        last = sequence[:, -1]
        attended = attend_from(last, sequence, self.attention)
        pooled = self.attention_norm(last + self.attention_dropout(attended))
        return self.funnel(pooled)  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return RUL (B,) and health logits (B, 3), in the precision of the weights.

        Under ``torch.autocast`` only the trunk is computed in the lower precision: bfloat16 has
        eight significant bits, with which a RUL of 125 could be told to half a cycle only.
        """
        z = self.features(x)
        with torch.autocast(x.device.type, enabled=False):
            z = z.to(next(self.head_rul.parameters()).dtype)
            return self.head_rul(z).squeeze(-1), self.head_health(z)

    def start_rul_at(self, mean_rul: float) -> None:
        """Set the RUL head's output bias, in units of the target.

        With the default bias the final ReLU outputs zero for every window on a third to a half of
        the seeds, and a head that starts there has no gradient to leave it by.
        """
        last = self.head_rul[-2]
        assert isinstance(last, nn.Linear)
        with torch.no_grad():
            last.bias.fill_(mean_rul)


def attend_from(query: Tensor, sequence: Tensor, attention: nn.MultiheadAttention) -> Tensor:
    r"""Return the self-attention of one cycle over a whole window, (B, width).

    The same function of the same parameters as ``attention(query, sequence, sequence)``, for one
    query a window. With one query it is cheaper not to project every cycle to keys and values
    first. In each attention head, with :math:`q` the projected query, :math:`x_t` the cycles and
    :math:`a_t` the attention weights,

    .. math:: q^\top (W_k x_t + b_k) = (W_k^\top q)^\top x_t + q^\top b_k, \qquad
              \sum_t a_t (W_v x_t + b_v) = W_v \sum_t a_t x_t + b_v,

    since :math:`\sum_t a_t = 1`; and :math:`q^\top b_k`, the same for every cycle, leaves the
    softmax as it was. The results differ from the layer's own by rounding alone.

    Args:
        query: (B, width), the cycle that attends.
        sequence: (B, cycles, width), the cycles attended to.
        attention: the layer whose parameters are used; one without dropout of its own.

    """
    heads = attention.num_heads
    weight_q, weight_k, weight_v = attention.in_proj_weight.chunk(3)
    bias_q, _, bias_v = attention.in_proj_bias.chunk(3)
    by_head = (heads, attention.head_dim, attention.embed_dim)
    q = nn.functional.linear(query, weight_q, bias_q) / math.sqrt(attention.head_dim)
    q = q.view(-1, *by_head[:2])
    folded = torch.einsum("bhd,hdw->bhw", q, weight_k.view(by_head))
    attention_weights = (folded @ sequence.transpose(1, 2)).softmax(-1)
    context = attention_weights @ sequence
    values = torch.einsum("bhw,hdw->bhd", context, weight_v.view(by_head)).flatten(1) + bias_v
    return attention.out_proj(values)  # type: ignore[no-any-return]


def shared_parameters(model: nn.Module) -> list[nn.Parameter]:
    """Return the parameters before the two heads, in the order of ``named_parameters`` (§12.1).

    The network may be compiled or wrapped, as by ``torch.compile`` or ``DistributedDataParallel``.

    Raises:
        UsageError: it has no parameters named ``head_rul`` or none named ``head_health``.

    """
    heads = {id(p) for head in task_parameters(model).values() for p in head}
    return [p for p in model.parameters() if id(p) not in heads]


def task_parameters(model: nn.Module) -> dict[str, list[nn.Parameter]]:
    """Return the parameters of each head, under ``"rul"`` and ``"health"``.

    Raises:
        UsageError: as for ``shared_parameters``.

    """
    heads: dict[str, list[nn.Parameter]] = {task: [] for task in _HEADS}
    for name, parameter in model.named_parameters():
        for task, head in _HEADS.items():
            # Wrappers put names of their own before it.
            if head in name.split(".")[:-1]:
                heads[task].append(parameter)
    for task, parameters in heads.items():
        if not parameters:
            raise UsageError(
                f"The network has no parameters under the name {_HEADS[task]}, so that its trunk "
                "cannot be told from its heads: name its heads so, or list the parameters yourself."
            )
    return heads


def count_parameters(parameters: Sequence[nn.Parameter]) -> int:
    """Return how many numbers ``parameters`` hold."""
    return sum(parameter.numel() for parameter in parameters)


def _convolution_block(inputs: int, outputs: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(inputs, outputs, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm1d(outputs),
        nn.ReLU(),
        nn.Dropout(dropout),
    )


def _dense(widths: Sequence[int], dropout: float = 0.0) -> nn.Sequential:
    """Return Linear and ReLU (and dropout, where there is any) from each width to the next."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        if dropout:
            layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers)
