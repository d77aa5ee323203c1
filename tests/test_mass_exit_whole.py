"""Two thousand clients leave at once, while workers, Temporal and whoever operates them come and go."""

import asyncio
import csv
import io
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest
from temporalio.service import RPCError

import starter
from contracts.commands import Command
from contracts.mass import MassStatus
from contracts.stages import End, Stage
from ejects.mass_exit import mass_status, pause_mass_exit, resume_mass_exit
from runtime.development import process
from serving.budgets import Budget
from tests.harness.ground import Ground, ground
from tests.harness.portal import Customer
from tests.harness.processes import environment, run
from tests.harness.world import World
from tests.test_mass_eject import PUBLISHED, budgets, fullest_minutes
from tests.test_mass_exit_bounds import MOST_EVENTS, lengths

CLIENTS = int(os.environ.get("CLIENTS", "2000"))
# This Portal's minute is less than four of our seconds; see test_mass_eject.py. Its clock is hours ahead at
# the end: nobody cancels here, because a window is closed by the workflow's own clock.
FAST = 16
BY = 61 / (60 / FAST + 1)
NAME = "closing-down"
# The troubles that are put in, and how many owners come.
UNDEPOSITED, GONE, STUCK, PROVING = 5, 5, 3, 20
# Only a hang reaches it.
WITHIN = 1500
OPS = Command(by="ops", why="to see that it stops")


class Exit:
    """The mass exit under test, and what it stands on."""

    def __init__(self, on: Ground, stack: AsyncExitStack) -> None:
        self.on, self.world, self._stack = on, on.world, stack
        self._workers: list[asyncio.subprocess.Process] = []
        self._began = time.monotonic()

    async def serve(self) -> None:
        """Two workers with budgets that fit the clock."""
        more = {"EJECT_CLIENT_CREDENTIAL": "strict", "EJECT_LOG_LEVEL": "WARNING", **budgets(BY)}
        env = environment(**(self.world.environment() | more))
        command = (sys.executable, "worker.py", "--role", "all")
        for number in range(2):
            log = self.on.folder / f"worker-{number}.log"
            self._workers.append(await self._stack.enter_async_context(process(*command, env=env, log=log)))

    async def kill_workers(self) -> None:
        """SIGKILL, both."""
        for worker in self._workers:
            worker.kill()
            await worker.wait()
        self._workers.clear()

    async def until(self, so: Callable[[MassStatus], bool], what: str) -> MassStatus:
        """Wait until the mass exit is so; whoever does not answer meanwhile is asked again."""
        status = None
        try:
            async with asyncio.timeout(WITHIN):
                while True:
                    with suppress(starter.EjectError, RPCError):
                        status = await mass_status(self.world.client, NAME)
                        if so(status):
                            self.tell(what, status)
                            return status
                    await asyncio.sleep(1)
        except TimeoutError:
            raise AssertionError(f"never {what}: {status}") from None

    def tell(self, what: str, status: MassStatus) -> None:
        """A line for whoever waits for this test."""
        at = time.monotonic() - self._began
        print(f"{at:.0f} s, {what}: {status.count - status.not_started} had their turn, {status.stages}")  # noqa: T201


async def deposited(world: World) -> list[Customer]:
    """Everybody, with deposits but for the first few, and the troubles of the next."""
    customers = [world.sandbox.seed() for _ in range(CLIENTS)]
    for customer in customers[UNDEPOSITED:]:
        await world.deposit(customer)
        await world.deposit_api_key(customer)
    now = world.sandbox.now().isoformat()
    for customer in customers[UNDEPOSITED : UNDEPOSITED + GONE]:
        world.sandbox.change(customer.client_id, ejected_at=now)
    for customer in customers[UNDEPOSITED + GONE : UNDEPOSITED + GONE + STUCK]:
        world.sandbox.fault(
            "read_client", "status", times=1_000_000, status=503, client_id=customer.client_id
        )
    return customers


async def starter_of(world: World, *words: str) -> str:
    """What a command of `starter.py` printed."""
    own = world.environment()
    env = environment(**{name: own[name] for name in own if name.startswith(("TEMPORAL_", "EJECT_VAULT"))})
    code, out, error = await run("starter.py", *words, env=env)
    assert code == 0, error
    return out


async def started(world: World, customers: list[Customer], file: Path) -> None:
    """The list as a file, and the command."""
    rows = [f"{customer.client_id},{world.owner.identity.recipient}" for customer in customers]
    await asyncio.to_thread(file.write_text, "\n".join(["client,recipient", *rows]))
    few = ("--at-once", str(CLIENTS // 4)) if CLIENTS < 1000 else ()
    words = (*few, "--window", "P7D", "--requested-by", "ada", "--reason", "the custodian closes down")
    told = await starter_of(world, "mass-exit", str(file), "--name", NAME, *words)
    assert told.startswith(f"{CLIENTS} clients are to leave")


@pytest.mark.mass
async def test_two_thousand_clients_leave_through_pause_and_kills(tmp_path: Path) -> None:
    """No minute exceeds Portal's budgets; everybody waits for the owner, has an end, or a planted trouble."""
    async with ground(tmp_path) as on, AsyncExitStack() as stack:
        world, exit_ = on.world, Exit(on, stack)
        customers = await deposited(world)
        world.sandbox.budget(**{budget.value: calls for budget, calls in PUBLISHED.items()})
        world.sandbox.run_clock(FAST)
        await exit_.serve()
        await started(world, customers, tmp_path / "clients.csv")

        await exit_.until(lambda told: told.not_started < CLIENTS * 0.8, "ready to be paused")
        paused = await pause_mass_exit(world.client, NAME, OPS)
        standing = UNDEPOSITED + STUCK
        assert paused.paused is not None
        at, all_but = paused.paused.since, standing + GONE
        quiet = await exit_.until(
            lambda told: bool(told.looked and told.looked > at) and told.waiting == told.started - all_but,
            "paused, all at their owners",
        )
        assert quiet.not_started == paused.not_started > 0
        await resume_mass_exit(world.client, NAME, OPS)
        await exit_.until(lambda told: told.not_started < CLIENTS * 0.5, "ready for the death of workers")
        await exit_.kill_workers()
        await exit_.serve()
        await exit_.until(lambda told: told.not_started < CLIENTS * 0.3, "ready for the death of Temporal")
        await on.kill_server()
        await on.start_server()
        await exit_.until(lambda told: told.not_started < CLIENTS * 0.15, "ready for the death of all")
        await asyncio.gather(on.kill_server(), exit_.kill_workers())
        await on.start_server()
        await exit_.serve()
        awaited = CLIENTS - standing - GONE
        status = await exit_.until(lambda told: told.waiting == awaited, "all at their owners")
        assert (status.not_started, status.joined, status.differing) == (0, 0, 0)

        for customer in customers[-PROVING:]:
            await world.prove(customer, world.proofs(await world.claim(customer)))
        await exit_.until(lambda told: told.waiting == awaited - PROVING, "some have left")
        for customer in customers[-PROVING:]:
            await starter.handle_of(world.client, customer.client_id).result()

        lines = [*csv.DictReader(io.StringIO(await starter_of(world, "mass-exit-report", "--name", NAME)))]
        events = await lengths(world.client, NAME)
        journal = world.sandbox.journal()
    assert [line["client"] for line in lines] == [customer.client_id for customer in customers]
    assert Counter(line["state"] for line in lines) == {
        Stage.AWAITING_CLAIM: awaited - PROVING,
        Stage.PARKED: UNDEPOSITED,
        Stage.CHECKING: STUCK,
        End.ALREADY_EJECTED: GONE,
        End.EJECTED: PROVING,
    }
    assert [line["client"] for line in lines if line["command"]] == [
        customer.client_id for customer in customers[:UNDEPOSITED]
    ]
    assert all(bool(line["receipt"]) is (line["state"] in tuple(End)) for line in lines)
    assert [call for call in journal if call["status"] == 429] == []
    fullest = fullest_minutes(journal)
    print(f"fullest minutes {fullest}, events of each run {events}")  # noqa: T201
    assert all(fullest[budget] <= calls for budget, calls in PUBLISHED.items()), fullest
    assert fullest[Budget.CLIENT] > PUBLISHED[Budget.CLIENT] / 2, "the machine is too busy to show anything"
    assert max(events) < MOST_EVENTS
