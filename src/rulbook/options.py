"""The choices that the command line and the chapters offer, each by its names."""

from typing import Literal

Profile = Literal["quick", "full"]
"""How much a chapter computes: minutes on two CPU cores, or more repetitions."""

RequestedSource = Literal["auto", "simulated", "cmapss"]
"""The data that chapters load; see ``rulbook.data.load``."""

RequestedDevice = Literal["auto", "cpu", "cuda", "mps"]
"""Where chapters compute; see ``rulbook.training.device.choose_device``."""
