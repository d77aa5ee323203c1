"""The engines beside each other: how each is brought up, and how the driver leads an eject through it."""

import asyncio
import sys
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import ClassVar

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle

from bench.bare import QUEUE, BareEject
from bench.serving import Orders
from bench.stack import Portal, Seeded, deposit_plainly, plain_environment, temporal
from runtime.development import line_of, process


class Engine(ABC):
    """One engine that runs, on a sandbox of its own.

    `processes` are those whose CPU time is told apart, by name, of `worker`, `server` and `sandbox`.
    """

    name: ClassVar[str]

    def __init__(self, portal: Portal, folder: Path) -> None:
        self.portal, self.folder = portal, folder
        self.processes: dict[str, int] = {"sandbox": portal.running.pid}

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


Opening = AbstractAsyncContextManager[Engine]


async def connected(address: str) -> Client:
    """A client once the server answers."""
    async with asyncio.timeout(60):
        while True:
            with suppress(RuntimeError):
                return await Client.connect(address)
            await asyncio.sleep(0.1)


class Bare(Engine):
    """Twenty lines of Temporal."""

    def __init__(self, portal: Portal, folder: Path, client: Client) -> None:
        super().__init__(portal, folder)
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
        """As Temporal describes it."""
        described = await self._handles[client.client_id].describe()
        info = described.raw_description.workflow_execution_info
        return info.history_length, info.history_size_bytes


# read, back up, two cipher texts, mark, two windows, two fetches
ACTIVITIES_BEFORE_THE_OWNER = 9


@asynccontextmanager
async def bare(portal: Portal, folder: Path, *, tuned: bool) -> AsyncIterator[Engine]:
    """Bare Temporal on a server of its own."""
    async with temporal(folder, tuned=tuned) as (server, address):
        client = await connected(address)
        env = plain_environment(portal, folder) | {"TEMPORAL_ADDRESS": address}
        async with process(sys.executable, "-m", "bench.bare", env=env, log=folder / "worker.log") as worker:
            engine = Bare(portal, folder, client)
            engine.processes |= {"worker": worker.pid, "server": server.pid}
            yield engine


class Ordered(Engine):
    """An engine that lives in its worker's process, which the driver gives orders."""

    def __init__(self, portal: Portal, folder: Path, orders: Orders) -> None:
        super().__init__(portal, folder)
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
        engine = Ordered(portal, folder, orders)
        engine.processes["worker"] = worker.pid
        try:
            yield engine
        finally:
            orders.close()
