"""A client of kernels that does not miss the reply of a cell with widgets.

ZeroMQ tells a waiting program only once that something happened on a socket, and whoever uses the
socket next takes that notice away. While a cell with an ``Output`` widget runs, nbclient answers
its messages on the socket on which the reply of the cell comes in, past asyncio, which may then
wait for a notice that never comes: the cell is finished, and papermill waits until the cell's time
is up. This client therefore looks again now and then.
"""

import queue
from time import monotonic
from typing import Any

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.channels import AsyncZMQSocketChannel
from jupyter_client.manager import AsyncKernelManager
from traitlets import Type

LOOK_SECONDS = 1.0
"""How often the socket is looked at while nothing is said to have happened."""


class LookingChannel(AsyncZMQSocketChannel):
    """A channel whose wait for a message is cut into short ones."""

    async def get_msg(  # type: ignore[override]  # as in the class above it
        self, timeout: float | None = None
    ) -> dict[str, Any]:
        """Return the next message.

        Args:
            timeout: How many seconds to wait for it; without end by default.

        Raises:
            queue.Empty: None came.
        """
        deadline = float("inf") if timeout is None else monotonic() + timeout
        while True:
            left = deadline - monotonic()
            try:
                return await super().get_msg(max(0.0, min(left, LOOK_SECONDS)))
            except queue.Empty:
                if left <= LOOK_SECONDS:
                    raise


class LookingClient(AsyncKernelClient):
    """A client that looks for the replies of cells."""

    shell_channel_class = Type(LookingChannel)


class LookingKernelManager(AsyncKernelManager):
    """A manager whose clients look for the replies of cells."""

    client_factory = Type(LookingClient)
