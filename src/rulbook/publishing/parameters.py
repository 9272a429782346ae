"""What a build may be asked for; the defaults are those of the published book."""

from dataclasses import dataclass

from rulbook.errors import RulbookError
from rulbook.options import Profile, RequestedDevice, RequestedSource, check_parameters

_ALWAYS_THERE = ("auto", "cpu")
"""The devices for which PyTorch need not be asked."""


@dataclass(frozen=True)
class ChapterParameters:
    """What papermill puts into the ``parameters`` cell of every chapter.

    Attributes:
        profile: how much a chapter computes.
        data: the data that chapters load; see ``rulbook.data.load``.
        device: where chapters compute; see ``rulbook.training.device.choose_device``.
        seed: the seed of everything random in a chapter.
    """

    profile: Profile = "quick"
    data: RequestedSource = "auto"
    device: RequestedDevice = "auto"
    seed: int = 42

    def check(self) -> None:
        """Raise the error that every chapter would meet, before any starts.

        Raises:
            UsageError: a name is unknown, or the seed is no such number.
            RulbookError: the device is not there, or real data is named and is not complete.
        """
        from rulbook import data

        check_parameters(self.profile, self.data, self.device, self.seed)
        if self.device not in _ALWAYS_THERE:
            from rulbook.training.device import choose_device

            choose_device(self.device)
        if data.resolve_source(self.data) == "cmapss":
            for file in data.status().files:
                if file.problem:
                    raise RulbookError(file.problem)
