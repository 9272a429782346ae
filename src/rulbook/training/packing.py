"""The parameters of a network as one vector: one update, one norm and one average a step."""

from collections.abc import Iterable

import torch
from torch import nn


class PackedParameters:
    """Parameters laid side by side in one vector, for everything that treats them alike.

    The parameters stay what they are, with their names, shapes and values; their memory is that
    of the vector from then on, so that an update of the vector updates each of them. A rule that
    works element by element (SGD, Adam, AdamW, a running average) does the same arithmetic in one
    pass instead of dozens.

    On a GPU the parameters are left as they are: cuDNN keeps the weights of a recurrent layer in
    an order of its own, and PyTorch's updates there take all parameters at once anyway.

    Args:
        parameters: the parameters of one network, on one device and of one dtype.

    Attributes:
        tensors: what an optimiser should hold: the vector alone, or on a GPU the parameters.

    """

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        self._parameters = list(parameters)
        self._is_packed = all(piece.device.type == "cpu" for piece in self._parameters)
        self.tensors = self._parameters
        if self._is_packed:
            vector = torch.cat([piece.detach().reshape(-1) for piece in self._parameters])
            sizes = [piece.numel() for piece in self._parameters]
            for piece, values in zip(self._parameters, torch.split(vector, sizes), strict=True):
                piece.data = values.view_as(piece)
            self.tensors = [nn.Parameter(vector)]

    def collect_gradients(self) -> None:
        """Move ``.grad`` of every parameter to ``tensors``; zero where a parameter has none."""
        if not self._is_packed:
            return
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in self._parameters]
        self.tensors[0].grad = torch.cat([gradient.reshape(-1) for gradient in gradients])
        for parameter in self._parameters:
            parameter.grad = None

    @torch.no_grad()
    def move_towards(self, other: "PackedParameters", share: float) -> None:
        """Move every value by ``share`` of its distance to the same one of ``other``."""
        torch._foreach_lerp_(list(self.tensors), list(other.tensors), share)
