"""One training loop for every weighting method: a ``RunConfig`` in, a ``RunRecord`` out."""

from rulbook.training.config import PROTOCOL, RunConfig
from rulbook.training.loop import Trained, train, train_network
from rulbook.training.networks import add_network
from rulbook.training.record import EpochRecord, RunRecord

__all__ = [
    "PROTOCOL",
    "EpochRecord",
    "RunConfig",
    "RunRecord",
    "Trained",
    "add_network",
    "train",
    "train_network",
]
