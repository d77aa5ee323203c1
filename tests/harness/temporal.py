"""One real Temporal server for all tests, also where several processes run them."""

import asyncio
import os
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from temporalio.client import Client

from runtime.development import SERVER_SETTINGS, free_port, temporal_cli
from runtime.temporal import DATA_CONVERTER
from workflows import attributes

ADDRESS = "EJECT_TESTS_TEMPORAL"
_STARTS_WITHIN = 60

# Each process that runs tests has namespaces of its own, because every worker serves the same task queues.
_PROCESS = os.environ.get("PYTEST_XDIST_WORKER", "main")
TESTS = f"tests-{_PROCESS}"
# Workers that are processes of their own serve this namespace, so that no other worker takes their tasks.
PROCESSES = f"processes-{_PROCESS}"
# Whoever asks through Nexus lives here, and no worker of ours does.
ELSEWHERE = f"elsewhere-{_PROCESS}"


def start_server(processes: int) -> tuple[str, Callable[[], None]]:
    """Start the development server, its time skipping on, for so many processes of tests beside this one.

    Returns its address, and how to end it.
    """
    port = free_port()
    command = server_command(port)
    for process in ("main", *(f"gw{number}" for number in range(processes))):
        for kind in ("tests", "processes", "elsewhere"):
            command += ["--namespace", f"{kind}-{process}"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def end() -> None:
        server.terminate()
        server.wait(30)

    return f"127.0.0.1:{port}", end


def server_command(port: int, state: Path | None = None) -> list[str]:
    """The development server, its time skipping on; with a state file it can be killed and started again."""
    command = [temporal_cli(), "server", "start-dev", "--headless", "--log-level", "error"]
    command += ["--port", str(port)]
    if state is not None:
        command += ["--db-filename", str(state)]
        command += ["--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=NORMAL"]
    for setting in (
        "frontend.WorkflowTimeSkippingEnabled=true",
        "frontend.WorkflowPauseEnabled=true",
        *SERVER_SETTINGS,
    ):
        command += ["--dynamic-config-value", setting]
    for key in attributes.ALL:
        command += ["--search-attribute", f"{key.name}={key.indexed_value_type.name.capitalize()}"]
    return command


async def connected(namespace: str, address: str | None = None) -> Client:
    """A client of the tests' server, or of another, in one namespace, once it answers."""
    async with asyncio.timeout(_STARTS_WITHIN):
        while True:
            with suppress(RuntimeError):
                return await Client.connect(
                    address or os.environ[ADDRESS], namespace=namespace, data_converter=DATA_CONVERTER
                )
            await asyncio.sleep(0.05)
