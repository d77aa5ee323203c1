"""One real Temporal server for all tests, also where several processes run them."""

import asyncio
import os
import subprocess
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError
from temporalio.testing import TimeSkipper

from runtime import development
from runtime.codec import EjectCodec
from runtime.converter import data_converter
from runtime.development import SERVER_SETTINGS, free_port
from workflows import attributes

ADDRESS = "EJECT_TESTS_TEMPORAL"
_STARTS_WITHIN = 60

# Each process that runs tests has namespaces of its own, because every worker serves the same task queues.
_PROCESS = os.environ.get("PYTEST_XDIST_WORKER", "main")
TESTS = f"tests-{_PROCESS}"
# Workers that are processes of their own serve this namespace, so that no other worker takes their tasks.
PROCESSES = f"processes-{_PROCESS}"
# Versions of workers are deployed here: afterwards nobody without a version gets work in it.
VERSIONS = f"versions-{_PROCESS}"
# Whoever asks through Nexus lives here, and no worker of ours does.
ELSEWHERE = f"elsewhere-{_PROCESS}"


def start_server(processes: int) -> tuple[str, Callable[[], None]]:
    """Start the development server, its time skipping on, for so many processes of tests beside this one.

    Returns its address, and how to end it.
    """
    port = free_port()
    namespaces = [
        f"{kind}-{process}"
        for process in ("main", *(f"gw{number}" for number in range(processes)))
        for kind in ("tests", "processes", "versions", "elsewhere")
    ]
    command = server_command(port, namespaces, "--log-level", "error")
    # What it says while it ends would come after pytest's closing line.
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def end() -> None:
        server.terminate()
        server.wait(30)

    return f"127.0.0.1:{port}", end


def server_command(port: int, namespaces: Iterable[str], *more: str) -> list[str]:
    """How the development server is started with what every eject and test needs."""
    settings = (
        "frontend.WorkflowTimeSkippingEnabled=true",
        "frontend.WorkflowPauseEnabled=true",
        # Tests list again and again until the list has caught up.
        "frontend.namespaceRPS.visibility=5000",
        *SERVER_SETTINGS,
    )
    named = [word for namespace in namespaces for word in ("--namespace", namespace)]
    return development.server_command(port, attributes.ALL, "--headless", *named, *more, settings=settings)


async def connected(namespace: str, codec: EjectCodec | None = None, *, address: str | None = None) -> Client:
    """A client of a server, that of all tests unless named, in one namespace, once it answers.

    Without a codec it speaks plain JSON.
    """
    async with asyncio.timeout(_STARTS_WITHIN):
        while True:
            with suppress(RuntimeError):
                return await Client.connect(
                    address or os.environ[ADDRESS],
                    namespace=namespace,
                    data_converter=data_converter(codec or EjectCodec({})),
                )
            await asyncio.sleep(0.05)


async def skip_to_the_end(client: Client, handle: WorkflowHandle[Any, Any]) -> None:
    """Skip whatever time a workflow still waits for; it may be through already, with nothing left to skip."""
    with suppress(RPCError):
        await TimeSkipper(client).fast_forward(handle)
