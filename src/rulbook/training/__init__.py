"""One training loop for every weighting method: a ``RunConfig`` in, a ``RunRecord`` out."""

from rulbook.training.config import PROTOCOL, RunConfig
from rulbook.training.loop import train
from rulbook.training.record import EpochRecord, RunRecord

__all__ = ["PROTOCOL", "EpochRecord", "RunConfig", "RunRecord", "train"]
