"""The engines beside each other: how each is brought up, and how the driver leads an eject through it."""

import asyncio
import sys
from abc import ABC, abstractmethod
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle

from bench.bare import QUEUE, BareEject
from bench.database import database
from bench.serving import Orders
from bench.stack import Portal, Seeded, deposit_plainly, plain_environment, temporal
from runtime.codec import EjectCodec
from runtime.converter import data_converter
from runtime.development import ROOT, line_of, process


class Engine(ABC):
    """One engine that runs, on a sandbox of its own.

    `processes` are those whose CPU time is told apart, by name, of `worker`, `server` and `sandbox`.
    """

    def __init__(self, portal: Portal, folder: Path, worker: Process) -> None:
        self.folder, self.worker = folder, worker
        self.processes = {"sandbox": portal.running.pid, "worker": worker.pid}

    async def deposit(self, clients: list[Seeded]) -> None:
        """What there must be before an eject starts; not measured."""
        deposit_plainly(self.folder, clients)

    @abstractmethod
    async def begin(self, client: Seeded) -> None:
        """Start, and wait until the owner's part has come."""

    async def claim(self, client: Seeded) -> None:  # noqa: B027 (most have none)
        """The owner asks for the bundle, where an engine hands one over."""

    async def prove(self, client: Seeded) -> None:  # noqa: B027 (most have none)
        """What the owner's device does: no engine's work, not measured."""

    @abstractmethod
    async def finish(self, client: Seeded) -> None:
        """The owner has the keys: wait until the client is marked and the eject has ended."""

    async def history(self, client: Seeded) -> tuple[int | None, int | None]:
        """Events and bytes of an ended eject, where there is a history."""
        return None, None


async def described(handle: WorkflowHandle[Any, Any]) -> tuple[int, int]:
    """Events and bytes of a history as Temporal counts them."""
    info = (await handle.describe()).raw_description.workflow_execution_info
    return info.history_length, info.history_size_bytes


async def connected(address: str) -> Client:
    """A client once the server answers."""
    async with asyncio.timeout(60):
        while True:
            with suppress(RuntimeError):
                return await Client.connect(address, data_converter=data_converter(EjectCodec({})))
            await asyncio.sleep(0.1)


class Bare(Engine):
    """Twenty lines of Temporal."""

    def __init__(self, client: Client, portal: Portal, folder: Path, worker: Process) -> None:
        super().__init__(portal, folder, worker)
        self._client = client
        self._handles: dict[str, WorkflowHandle[BareEject, None]] = {}

    async def begin(self, client: Seeded) -> None:
        """Followed as ours is: by the events of its history, as they come."""
        handle = await self._client.start_workflow(
            BareEject.run, client.client_id, id=f"bare-{client.client_id}", task_queue=QUEUE
        )
        self._handles[client.client_id] = handle
        left = ACTIVITIES_BEFORE_THE_OWNER
        async for event in handle.fetch_history_events(wait_new_event=True):
            left -= event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED
            if left <= 0 and event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
                return
        raise RuntimeError("it ended before the owner's part")

    async def finish(self, client: Seeded) -> None:
        """One signal says that the owner has the keys."""
        handle = self._handles[client.client_id]
        await handle.signal(BareEject.proven)
        await handle.result()

    async def history(self, client: Seeded) -> tuple[int | None, int | None]:
        """As Temporal counts them."""
        return await described(self._handles[client.client_id])


# read, back up, two cipher texts, mark, two windows, two fetches
ACTIVITIES_BEFORE_THE_OWNER = 9


@asynccontextmanager
async def bare(portal: Portal, folder: Path, *, tuned: bool) -> AsyncIterator[Engine]:
    """Bare Temporal on a server of its own."""
    async with temporal(folder, tuned=tuned) as (server, address):
        client = await connected(address)
        env = plain_environment(portal, folder) | {"TEMPORAL_ADDRESS": address}
        async with process(sys.executable, "-m", "bench.bare", env=env, log=folder / "worker.log") as worker:
            engine = Bare(client, portal, folder, worker)
            engine.processes["server"] = server.pid
            yield engine


class Ordered(Engine):
    """An engine that lives in its worker's process, which the driver gives orders."""

    def __init__(self, orders: Orders, portal: Portal, folder: Path, worker: Process) -> None:
        super().__init__(portal, folder, worker)
        self._orders = orders

    async def begin(self, client: Seeded) -> None:
        """The worker answers once it waits for the owner."""
        await self._orders.give("begin", client.client_id)

    async def finish(self, client: Seeded) -> None:
        """The worker answers at the end."""
        await self._orders.give("finish", client.client_id)


@asynccontextmanager
async def plain(portal: Portal, folder: Path) -> AsyncIterator[Engine]:
    """asyncio alone."""
    env = plain_environment(portal, folder)
    async with process(sys.executable, "-m", "bench.plain", env=env, log=folder / "worker.log") as worker:
        orders = await Orders.connected(int(await line_of(worker)))
        try:
            yield Ordered(orders, portal, folder, worker)
        finally:
            orders.close()


DBOS_PYTHON = ROOT / ".venv-bench" / "bin" / "python"


@asynccontextmanager
async def dbos(portal: Portal, folder: Path) -> AsyncIterator[Engine]:
    """DBOS on a PostgreSQL of its own."""
    async with database() as postgres:
        env = plain_environment(portal, folder) | {"BENCH_DATABASE": postgres.url}
        async with process(
            str(DBOS_PYTHON), "-m", "bench.durable", env=env, log=folder / "worker.log"
        ) as worker:
            orders = await Orders.connected(int(await line_of(worker)))
            engine = Ordered(orders, portal, folder, worker)
            engine.processes["server"] = postgres.pid
            try:
                yield engine
            finally:
                orders.close()
