"""The parameters of a network as one vector: one update, one norm and one average a step."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn


class PackedParameters:
    """Parameters laid side by side in one vector, for everything that treats them alike.

    The parameters stay what they are, with their names, shapes and values; their memory is that
    of the vector from then on, so that an update of the vector updates each of them. A rule that
    works element by element (SGD, Adam, AdamW, a running average) does the same arithmetic in one
    pass instead of dozens.

    An optimiser leaves a parameter without gradient alone, decay and momentum included, and cannot
    do so with a part of a vector. From the first step at which a parameter has none, because it is
    frozen or no loss reaches it, they are therefore updated one by one.

    On a GPU the parameters are left as they are: cuDNN keeps the weights of a recurrent layer in
    an order of its own, and PyTorch's updates there take all parameters at once anyway.

    Args:
        parameters: the parameters of one network; those of several dtypes are left as they are.

    Attributes:
        tensors: what an optimiser should hold: the vector alone, or the parameters.

    """

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        self._parameters = list(parameters)
        self._is_packed = (
            all(piece.device.type == "cpu" for piece in self._parameters)
            and len({piece.dtype for piece in self._parameters}) == 1
        )
        self.tensors = self._parameters
        if self._is_packed:
            vector = torch.cat([piece.detach().reshape(-1) for piece in self._parameters])
            for piece, values in zip(self._parameters, self._pieces_of(vector), strict=True):
                piece.data = values
            self.tensors = [nn.Parameter(vector)]

    def collect_gradients(self, optimiser: torch.optim.Optimizer) -> None:
        """Move ``.grad`` of every parameter to ``tensors``, which ``optimiser`` holds.

        Where a parameter has none, ``tensors`` are the parameters themselves from now on, and the
        optimiser goes on with them where it stood.
        """
        if not self._is_packed:
            return
        gradients = [piece.grad for piece in self._parameters if piece.grad is not None]
        if len(gradients) < len(self._parameters):
            self._unpack(optimiser)
            return
        self.tensors[0].grad = torch.cat([gradient.reshape(-1) for gradient in gradients])
        for parameter in self._parameters:
            parameter.grad = None

    @torch.no_grad()
    def move_towards(self, other: "PackedParameters", share: float) -> None:
        """Move every value by ``share`` of its distance to the same one of ``other``."""
        mine, theirs = self._parameters, other._parameters
        if self._is_packed and other._is_packed:
            mine, theirs = self.tensors, other.tensors
        torch._foreach_lerp_(list(mine), list(theirs), share)

    def _unpack(self, optimiser: torch.optim.Optimizer) -> None:
        (vector,) = self.tensors
        for group in optimiser.param_groups:
            if any(held is vector for held in group["params"]):
                group["params"] = self._parameters
        state = optimiser.state.pop(vector, {})
        of_pieces = {name: self._pieces_of_state(value, vector) for name, value in state.items()}
        if of_pieces:
            for index, piece in enumerate(self._parameters):
                optimiser.state[piece] = {name: of_pieces[name][index] for name in of_pieces}
        self.tensors, self._is_packed = self._parameters, False

    def _pieces_of_state(self, value: Any, vector: Tensor) -> list[Any]:
        """Return what each parameter has of one entry of an optimiser's state."""
        if isinstance(value, Tensor) and value.shape == vector.shape:
            return self._pieces_of(value)
        # A count of the steps, a tensor that is counted up in place.
        return [value.clone() if isinstance(value, Tensor) else value for _ in self._parameters]

    def _pieces_of(self, vector: Tensor) -> list[Tensor]:
        """Return the parts of the vector that belong to each parameter, in its shape."""
        sizes = [piece.numel() for piece in self._parameters]
        parts = torch.split(vector, sizes)
        return [part.view_as(p) for part, p in zip(parts, self._parameters, strict=True)]
