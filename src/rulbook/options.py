"""The choices that the command line and the chapters offer, each by its names."""

from typing import Literal, get_args

from rulbook.errors import UsageError, unknown_name

Profile = Literal["quick", "full"]
"""How much a chapter computes: minutes on two CPU cores, or more repetitions."""

RequestedSource = Literal["auto", "simulated", "cmapss"]
"""The data that chapters load; see ``rulbook.data.load``."""

RequestedDevice = Literal["auto", "cpu", "cuda", "mps"]
"""Where chapters compute; see ``rulbook.training.device.choose_device``."""

EngineName = Literal["loky", "dask"]
"""What computes the runs of a sweep: processes of this machine, or a Dask cluster."""

LARGEST_RANDOM_STATE = 2**32 - 1
"""Largest seed that scikit-learn takes."""

LARGEST_SEED = 2**31 - 1
"""Largest seed of a chapter, which counts up from it: half of ``LARGEST_RANDOM_STATE``."""


def check_parameters(
    profile: Profile, data: RequestedSource, device: RequestedDevice, seed: int
) -> None:
    """Check the parameters of a chapter, which papermill passes on whatever they are.

    Raises:
        UsageError: a name is unknown, or the seed is no whole number from 0 to ``LARGEST_SEED``.
    """
    for kind, name, known in (
        ("profile", profile, get_args(Profile)),
        ("data source", data, get_args(RequestedSource)),
        ("device", device, get_args(RequestedDevice)),
    ):
        if name not in known:
            raise unknown_name(kind, name, known)
    if type(seed) is not int or not 0 <= seed <= LARGEST_SEED:
        raise UsageError(f"Unknown seed '{seed}'; give a whole number from 0 to {LARGEST_SEED}.")
