import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from queue import Empty

import pytest
import zmq
import zmq.asyncio
from jupyter_client.channels import AsyncZMQSocketChannel
from jupyter_client.session import Session

from rulbook.publishing.kernels import LookingChannel, LookingKernelManager

ENOUGH_SECONDS = 8


def run_apart(function, *arguments, **options):
    """Run a coroutine function in its own thread: a browser may have a loop running in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(function(*arguments, **options))).result()


@pytest.fixture
def session():
    return Session(key=b"secret")


@pytest.fixture
def sockets():
    """The client's end of a connection, which is asyncio's, and the kernel's."""
    context = zmq.Context()
    kernel = context.socket(zmq.DEALER)
    port = kernel.bind_to_random_port("tcp://127.0.0.1")
    client = zmq.asyncio.Context(context).socket(zmq.DEALER)
    client.connect(f"tcp://127.0.0.1:{port}")
    yield client, kernel
    client.close(linger=0)
    kernel.close(linger=0)
    context.term()


async def _reply_that_comes_while_much_is_sent(channel, session, kernel):
    """Wait for a message whose notice is taken away by messages that are sent past asyncio."""
    reply = asyncio.create_task(channel.get_msg(timeout=None))
    await asyncio.sleep(0.3)
    for _ in range(200):
        session.send(channel.socket, "comm_msg", {})
    session.send(kernel, "execute_reply", {"status": "ok"})
    time.sleep(0.3)  # the reply is here, and asyncio does not look at it yet
    for _ in range(200):
        session.send(channel.socket, "comm_msg", {})
    return (await asyncio.wait_for(reply, ENOUGH_SECONDS))["msg_type"]


def test_a_reply_is_found_although_its_notice_is_lost(sockets, session):
    client, kernel = sockets
    channel = LookingChannel(client, session)
    found = run_apart(_reply_that_comes_while_much_is_sent, channel, session, kernel)
    assert found == "execute_reply"


@pytest.mark.slow
def test_the_library_still_loses_it_so_that_our_channel_is_needed(sockets, session):
    client, kernel = sockets
    channel = AsyncZMQSocketChannel(client, session)
    with pytest.raises(TimeoutError):
        run_apart(_reply_that_comes_while_much_is_sent, channel, session, kernel)


@pytest.mark.parametrize("timeout", [0, 0.1, 1.2])
def test_a_wait_for_nothing_ends(sockets, session, timeout):
    with pytest.raises(Empty):
        run_apart(LookingChannel(sockets[0], session).get_msg, timeout=timeout)


def test_a_wait_is_tested_beside_a_running_event_loop_too(sockets, session):
    async def beside():
        with pytest.raises(Empty):
            run_apart(LookingChannel(sockets[0], session).get_msg, timeout=0)

    run_apart(beside)


def test_clients_of_our_manager_look():
    assert LookingKernelManager().client().shell_channel_class is LookingChannel
