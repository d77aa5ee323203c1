"""A Temporal server, a sandbox and a worker of one test's own, to be killed and started again."""

import asyncio
import json
import secrets
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

from runtime.development import line_of, process
from tests.harness.portal import Sandbox
from tests.harness.processes import environment
from tests.harness.temporal import connected, server_command
from tests.harness.world import World, make_world


class Ground:
    """What an eject stands on; `world` is made once server and sandbox run."""

    world: World

    def __init__(self, folder: Path, closing: AsyncExitStack) -> None:
        self.folder = folder
        self.more: dict[str, str] = {}
        self._closing = closing
        self._ports = kept_port(), kept_port()
        self._server: Process | None = None
        self._sandbox: Process | None = None
        self.worker: Process | None = None

    async def start_server(self) -> None:
        """Start the Temporal server on its port and its database file."""
        state = ("--db-filename", str(self.folder / "temporal.db"))
        quick = ("--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=NORMAL")
        more = ("--log-level", "error", *state, *quick)
        self._server = await self._run(*server_command(self._ports[0], (), *more))

    async def start_sandbox(self) -> dict[str, str]:
        """Start the sandbox on its port and its state file; what it says once it serves."""
        command = ["--port", str(self._ports[1]), "--state", str(self.folder / "sandbox.sqlite")]
        self._sandbox = await self._run(
            sys.executable, "-m", "sandbox", "--log-level", "error", *command, log="sandbox"
        )
        ready: dict[str, str] = json.loads(await line_of(self._sandbox))
        return ready

    async def start_worker(self, *program: str) -> Process:
        """Start a worker of both roles; it takes a moment until it serves."""
        program = program or ("worker.py", "--role", "all")
        env = environment(**self.world.environment(), **self.more)
        self.worker = await self._run(sys.executable, *program, env=env, log="worker")
        return self.worker

    async def kill_server(self) -> None:
        """SIGKILL."""
        await _kill(self._server)

    async def kill_sandbox(self) -> None:
        """SIGKILL."""
        await _kill(self._sandbox)

    async def kill_worker(self) -> None:
        """SIGKILL."""
        await _kill(self.worker)

    async def make_world(self) -> World:
        """Start server and sandbox; the world on them has no worker yet."""
        await self.start_server()
        ready = await self.start_sandbox()
        sandbox = Sandbox(ready["url"], ready["custodian_api_key"])
        self._closing.callback(sandbox.close)
        client = await connected("default", address=f"127.0.0.1:{self._ports[0]}")
        self.world = make_world(client, sandbox, self.folder)
        return self.world

    async def _run(self, *command: str, env: dict[str, str] | None = None, log: str = "server") -> Process:
        running = process(*command, env=env, log=self.folder / f"{log}.log")
        return await self._closing.enter_async_context(running)


def kept_port() -> int:
    """A free port below those of outgoing connections, which could take it while its server is away."""
    for _ in range(100):
        port = 20_000 + secrets.randbelow(12_000)
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


async def _kill(running: Process | None) -> None:
    assert running is not None, "it was not started"
    running.kill()
    await asyncio.wait_for(running.wait(), 30)


@asynccontextmanager
async def ground(folder: Path) -> AsyncIterator[Ground]:
    """Everything but a worker; all of it ends with the block, the worker first."""
    async with AsyncExitStack() as closing:
        made = Ground(folder, closing)
        await made.make_world()
        yield made
