"""Where all scenarios happen: a server with a file, sandbox and workers as processes, every log kept."""

import asyncio
import json
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from custody.keys import make_key
from runtime.development import free_port, line_of, process
from tests.harness import otlp
from tests.harness.portal import Sandbox
from tests.harness.processes import environment
from tests.harness.receiver import Receiver
from tests.harness.temporal import connected, server_command
from tests.harness.world import World, make_world

APPROVERS = ("grace", "linus")
# How often a port may be taken by somebody else between its choice and its use.
_PORTS = 5
# Only worth losing on a crash, and the processor is what the scenarios need.
_PRAGMAS = ("--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=OFF")


@dataclass(frozen=True)
class Room:
    """A namespace with a vault of its own, and the settings of the workers that serve it."""

    world: World
    env: dict[str, str]
    log: Path


@dataclass
class Place:
    """What runs, where its files lie, and what has been gathered of it so far."""

    folder: Path
    address: str
    sandbox: Sandbox
    receiver: Receiver
    spans: otlp.Receiver
    rooms: dict[str, Room] = field(default_factory=dict)
    told: list[bytes] = field(default_factory=list)
    scraped: list[bytes] = field(default_factory=list)
    lying: list[bytes] = field(default_factory=list)
    described: list[bytes] = field(default_factory=list)
    workflows: set[tuple[str, str]] = field(default_factory=set)

    @property
    def database(self) -> Path:
        """The server's file."""
        return self.folder / "temporal.sqlite"

    @property
    def state(self) -> Path:
        """The sandbox's file, which is Portal itself."""
        return self.folder / "portal.sqlite"

    @property
    def server_log(self) -> Path:
        """What the server says at debug level."""
        return self.folder / "temporal.log"

    @property
    def sandbox_log(self) -> Path:
        """What the sandbox says at debug level."""
        return self.folder / "sandbox.log"

    async def room(self, name: str, **settings: str) -> Room:
        """A room whose workers tell all receivers, show metrics, log at debug level; nobody serves it yet."""
        folder = self.folder / name
        folder.mkdir()
        world = make_world(await connected(name, address=self.address), self.sandbox, folder)
        own = {
            "EJECT_LOG_LEVEL": "DEBUG",
            "EJECT_NOTIFY_URL": self.receiver.url,
            "EJECT_NOTIFY_SECRET": self.receiver.secret,
        }
        env = environment(**(world.environment() | own | self.spans.environment | settings))
        self.rooms[name] = Room(world, env, folder / "worker.log")
        return self.rooms[name]

    @asynccontextmanager
    async def worker(self, room: Room, *command: str) -> AsyncIterator[Process]:
        """A worker of a room; its metrics are read before it ends, unless it was killed."""
        chosen = command or ("worker.py", "--role", "all")
        async with AsyncExitStack() as stack:
            for _ in range(_PORTS):
                room.env["EJECT_METRICS_ADDRESS"] = f"127.0.0.1:{free_port()}"
                started = process(sys.executable, *chosen, env=room.env, log=room.log)
                running = await stack.enter_async_context(started)
                if await _shows_metrics(room, running):
                    break
            else:
                raise AssertionError(f"no worker came up: see {room.log}")
            yield running
            if running.returncode is None:
                self.scraped.append(await metrics(room))


async def _shows_metrics(room: Room, running: Process) -> bool:
    """Wait until a worker shows its metrics; False where it ended instead, its port being taken meanwhile.

    Whoever took the port may be another room's worker, which answers there.
    """
    own = f'namespace="{room.world.client.namespace}"'.encode()
    while running.returncode is None:
        with suppress(httpx.TransportError):
            if own in await metrics(room):
                return True
        await asyncio.sleep(0.05)
    return False


async def metrics(room: Room) -> bytes:
    """Read what Prometheus would read."""
    async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
        shown = await http.get(f"http://{room.env['EJECT_METRICS_ADDRESS']}/metrics")
    return shown.raise_for_status().content


@asynccontextmanager
async def bring_up(folder: Path, namespaces: Iterable[str]) -> AsyncIterator[Place]:
    """The server, the sandbox and the receiver, each logging all it can; what they wrote stays."""
    port = await asyncio.to_thread(free_port)
    more = ("--db-filename", str(folder / "temporal.sqlite"), *_PRAGMAS, "--log-level", "debug")
    command = server_command(port, namespaces, *more)
    # Its standard output too, and not into a pipe that nobody reads.
    log = ("/bin/sh", "-c", 'log="$1"; shift; exec "$@" >>"$log" 2>&1', "sh", str(folder / "temporal.log"))
    sandbox = (
        sys.executable,
        "-m",
        "sandbox",
        "--state",
        str(folder / "portal.sqlite"),
        "--log-level",
        "debug",
    )
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(process(*log, *command))
        portal = await stack.enter_async_context(process(*sandbox, log=folder / "sandbox.log"))
        receiver = await stack.enter_async_context(Receiver().listening())
        spans = await stack.enter_async_context(otlp.Receiver().listening())
        ready = json.loads(await line_of(portal))
        speaking = Sandbox(ready["url"], ready["custodian_api_key"], ready["gateway_api_key"])
        stack.callback(speaking.close)
        yield Place(folder, f"127.0.0.1:{port}", speaking, receiver, spans)


def approvers_of(folder: Path) -> dict[str, str]:
    """Key files of the approvers, and their public keys by name."""
    return {name: make_key(folder / f"{name}.pem") for name in APPROVERS}
