"""The kernel in which a chapter runs, and the client that executes its cells there.

The kernel is this very Python, whatever kernels are installed: one that another environment offers
under the name ``python3`` would run the chapter with another package than the page names.

What a cell puts out is kept up to a bound, printed or shown: a page has no use for more, and the
notebook would be too large to open.

ZeroMQ tells a waiting program only once that something happened on a socket, and whoever uses the
socket next takes that notice away. While a cell with an ``Output`` widget runs, nbclient answers
its messages on the socket on which the reply of the cell comes in, past asyncio, which may then
wait for a notice that never comes: the cell is finished, and papermill waits until the cell's time
is up. This client therefore looks again now and then.
"""

import queue
import sys
from time import monotonic
from typing import Any

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.channels import AsyncZMQSocketChannel
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from traitlets import Type

LOOK_SECONDS = 1.0
"""How often the socket is looked at while nothing is said to have happened."""

OUTPUT_CHARACTERS = 1_000_000
"""How much of what one cell puts out is kept, several times what any chapter needs."""

CUT_NOTE = f"\n… cut here: of what a cell puts out, {OUTPUT_CHARACTERS:,} characters are kept.\n"

_SHOWN = ("display_data", "execute_result", "update_display_data")
"""Messages with an output by MIME type, which is kept whole or not at all."""


class LookingChannel(AsyncZMQSocketChannel):
    """A channel whose wait for a message is cut into short ones."""

    async def get_msg(  # type: ignore[override]  # as in the class above it
        self, timeout: float | None = None
    ) -> dict[str, Any]:
        """Return the next message.

        Args:
            timeout: how many seconds to wait for it; without end by default.

        Raises:
            queue.Empty: none came.
        """
        deadline = float("inf") if timeout is None else monotonic() + timeout
        while True:
            left = deadline - monotonic()
            try:
                return await super().get_msg(max(0.0, min(left, LOOK_SECONDS)))
            except queue.Empty:
                if left <= LOOK_SECONDS:
                    raise


class BoundedChannel(AsyncZMQSocketChannel):
    """The channel of outputs, which passes on a bounded part of what each cell puts out."""

    _cell = ""
    _room = OUTPUT_CHARACTERS
    _noted = False

    async def get_msg(  # type: ignore[override]  # as in the class above it
        self, timeout: float | None = None
    ) -> dict[str, Any]:
        """Return the next message, its output cut at the bound and empty beyond it.

        Args:
            timeout: how many seconds to wait for it; without end by default.

        Raises:
            queue.Empty: none came.
        """
        message = await super().get_msg(timeout)
        cell = message["parent_header"].get("msg_id", "")
        if cell != self._cell:
            self._cell, self._room, self._noted = cell, OUTPUT_CHARACTERS, False
        content = message["content"]
        if message["msg_type"] == "stream":
            content["text"] = self._kept(content["text"])
        elif message["msg_type"] in _SHOWN:
            size = sum(len(str(shown)) for shown in content["data"].values())
            if size > self._room:
                message["msg_type"] = message["header"]["msg_type"] = "stream"
                self._room = 0
                message["content"] = {"name": "stdout", "text": self._kept(" ")}
            else:
                self._room -= size
        elif message["msg_type"] == "error":
            content["evalue"] = self._kept(content["evalue"])
            content["traceback"] = [self._kept(line) for line in content["traceback"]]
        return message

    def _kept(self, text: str) -> str:
        """Return what there is room for, with the note where the first piece is cut off."""
        kept, self._room = text[: self._room], max(self._room - len(text), 0)
        if len(kept) < len(text) and not self._noted:
            self._noted = True
            return kept + CUT_NOTE
        return kept


class LookingClient(AsyncKernelClient):
    """A client that looks for the replies of cells, and takes bounded outputs."""

    shell_channel_class = Type(LookingChannel)
    iopub_channel_class = Type(BoundedChannel)


class LookingKernelManager(AsyncKernelManager):
    """A manager that starts this Python, and whose clients look for the replies of cells."""

    client_factory = Type(LookingClient)

    @property
    def kernel_spec(self) -> KernelSpec:
        """The kernel to start: IPython's, in the Python that runs this."""
        return KernelSpec(
            argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            display_name="Python 3",
            language="python",
        )
