"""A Temporal server and other processes on this machine, for the demo, the tests and the benchmarks."""

import asyncio
import os
import secrets
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from temporalio.common import SearchAttributeKey

ROOT = Path(__file__).parents[1]

SERVER_SETTINGS = (
    # The development server has one shard, whose default of 20 polls a second makes each hop take 50 ms.
    "history.transferProcessorMaxPollRPS=5000",
    "history.timerProcessorMaxPollRPS=5000",
    "history.visibilityProcessorMaxPollRPS=5000",
    # By default timers fire up to a second late.
    'history.timerProcessorMaxTimeShift="0.02s"',
    # Each partition keeps a part of a queue's rate and an order of its own (docs/operating.md, Budgets).
    "matching.numTaskqueueReadPartitions=1",
    "matching.numTaskqueueWritePartitions=1",
)

# Below what Linux and others take for outgoing connections, which would come between choice and use.
_PORTS = range(15_000, 32_000)

# A process that was asked to end gets as long as a worker drains.
_ENDS_WITHIN = 30.0


def temporal_cli() -> str:
    """The server that is installed beside this Python; nothing is ever downloaded."""
    return str(Path(sys.executable).parent / "temporal")


def server_command(
    port: int, keys: Iterable[SearchAttributeKey[Any]], *more: str, settings: Iterable[str] = SERVER_SETTINGS
) -> list[str]:
    """How the development server is started with these search attributes and dynamic settings."""
    command = [temporal_cli(), "server", "start-dev", "--port", str(port), *more]
    for key in keys:
        command += ["--search-attribute", f"{key.name}={key.indexed_value_type.name.capitalize()}"]
    for setting in settings:
        command += ["--dynamic-config-value", setting]
    return command


def free_port() -> int:
    """A port of the loopback address that nobody listens on, outside what systems give out by themselves.

    Whoever else asks a moment later, before the port is used, will hardly be told the same.
    """
    for _ in range(100):
        port = _PORTS.start + secrets.randbelow(len(_PORTS))
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError(
        f"no port from {_PORTS.start} to {_PORTS.stop} is free on this machine: end what holds them"
    )


@asynccontextmanager
async def process(
    *command: str, log: Path | None = None, env: Mapping[str, str] | None = None
) -> AsyncIterator[Process]:
    """A process in the project's folder, ended by its own id with the block.

    Standard output is a pipe, standard error goes to `log`. It has a session of its own, so that Ctrl-C
    reaches it in the order in which its starter takes things down.
    """
    with (log or Path(os.devnull)).open("ab") as errors:
        started = await asyncio.create_subprocess_exec(
            *command,
            cwd=ROOT,
            env=None if env is None else dict(env),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=errors,
            start_new_session=True,
        )
    try:
        yield started
    finally:
        with suppress(ProcessLookupError):
            started.terminate()
        try:
            await asyncio.wait_for(started.wait(), _ENDS_WITHIN)
        except TimeoutError:
            started.kill()
            await started.wait()


async def line_of(running: Process, seconds: float = 60) -> str:
    """The next line that a process writes to standard output; RuntimeError when it ends without one."""
    assert running.stdout is not None, "every process here has a pipe"  # noqa: S101
    line = await asyncio.wait_for(running.stdout.readline(), seconds)
    if not line:
        raise RuntimeError(f"a process ended with exit code {await running.wait()} before it was ready")
    return line.decode().strip()
