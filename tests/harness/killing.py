"""One kill that meets several ejects, each at a point of its own."""

import asyncio
import signal
from asyncio.subprocess import Process as Running
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from contracts.receipt import Receipt
from contracts.wallets import Curve
from custody.keys import make_key
from tests.harness.ending import complaints
from tests.harness.ground import Ground, ground
from tests.harness.points import Cell, Process
from tests.harness.receiver import Receiver
from tests.harness.roads import Walker

# A local activity has no attempts in history.
_LOCAL = ("verify", "verify_approval")
# Within this all ejects of a batch come to their points; only a hang ever reaches it.
_STAND_WITHIN = 240


@dataclass
class Case:
    """One cell's eject, and who walks it."""

    cell: Cell
    walker: Walker
    walking: "asyncio.Task[Receipt]"

    @property
    def client_id(self) -> str:
        """Whose eject it is."""
        return self.walker.customer.client_id


class Standing:
    """Who stands at its point: the worker says it, and of replies that the sandbox holds its journal."""

    def __init__(self, on: Ground) -> None:
        self._on = on
        self._here: set[str] = set()
        self._gone: set[str] = set()

    async def listen(self, worker: Running) -> None:
        """Read what the worker says, until it ends."""
        assert worker.stdout, "it has a pipe"
        while line := (await worker.stdout.readline()).decode():
            said, client = line.split()
            (self._here if said == "here" else self._gone).add(client)

    async def until(self, cases: Sequence[Case]) -> None:
        """Wait until all of them stand; an error where one ended before, or was given up."""
        async with asyncio.timeout(_STAND_WITHIN):
            while missing := {case.client_id for case in cases} - self._here - self._held():
                for case in cases:
                    if case.client_id in missing and case.walking.done():
                        raise AssertionError(f"{case.cell} was never reached") from case.walking.exception()
                await asyncio.sleep(0.1)
        if given_up := [str(case.cell) for case in cases if case.client_id in self._gone]:
            raise AssertionError(f"given up before the kill: {given_up}")

    def _held(self) -> set[str]:
        return {line["client_id"] for line in self._on.world.sandbox.journal(fault="stall")}


async def killed_together(folder: Path, killed: Process, cells: Sequence[Cell]) -> Mapping[Cell, list[str]]:
    """Bring each cell's eject to its point, kill the process, start it again; what is wrong at each end."""
    receiver, approver = Receiver(), folder / "grace.pem"
    async with receiver.listening(), ground(folder) as on:
        on.more = {
            "EJECT_NOTIFY_URL": receiver.url,
            "EJECT_NOTIFY_SECRET": receiver.secret,
            "EJECT_APPROVERS": f'{{"grace": "{make_key(approver)}"}}',
        }
        walkers = {
            cell: Walker(on.world, on.world.sandbox.seed(), cell.point.step, approver) for cell in cells
        }
        worker = await on.start_worker("-m", "tests.harness.halting_worker", "all", *_halts(walkers))
        standing = Standing(on)
        listening = asyncio.create_task(standing.listen(worker))
        cases = [Case(cell, walker, asyncio.create_task(walker.walk())) for cell, walker in walkers.items()]
        try:
            await _all_stand(standing, cases)
            await _kill(on, killed, worker)
            wrong = {case.cell: await _wrong(case, receiver) for case in cases}
            audited = on.world.audit()  # of the vault as a whole, so it is every cell's
            return {cell: found + audited for cell, found in wrong.items()}
        finally:
            for task in (listening, *(case.walking for case in cases)):
                task.cancel()
            await asyncio.gather(listening, *(case.walking for case in cases), return_exceptions=True)


def _halts(walkers: Mapping[Cell, Walker]) -> list[str]:
    return [
        f"{'hold:' if cell.reply_is_lost else ''}{walker.customer.client_id}/{cell.point}"
        for cell, walker in walkers.items()
    ]


async def _all_stand(standing: Standing, cases: Sequence[Case]) -> None:
    gated = [case for case in cases if case.walker.waits_for_the_others]
    await standing.until([case for case in cases if case not in gated])
    async with asyncio.timeout(_STAND_WITHIN):
        for case in gated:
            await case.walker.at_gate.wait()
    for case in gated:
        case.walker.gate.set()
    await standing.until(cases)


async def _kill(on: Ground, killed: Process, worker: Running) -> None:
    """What stands goes on while the other process is away."""
    match killed:
        case Process.WORKER:
            await on.kill_worker()
            await on.start_worker()
        case Process.SERVER:
            await on.kill_server()
            worker.send_signal(signal.SIGUSR1)
            await on.start_server()
        case Process.SANDBOX:
            await on.kill_sandbox()
            worker.send_signal(signal.SIGUSR1)
            await on.start_sandbox()


async def _wrong(case: Case, receiver: Receiver) -> list[str]:
    try:
        receipt = await case.walking
    except Exception as error:  # the other cells have outcomes of their own
        return [f"{type(error).__name__}: {error}"]
    walker = case.walker
    found = await complaints(walker.world, walker.customer, receipt, walker.end)
    with suppress(TimeoutError):
        async with asyncio.timeout(60), receiver.changed:
            await receiver.changed.wait_for(lambda: len(_told(case, receiver)) >= len(walker.told))
    if not await _noticed(case):
        found.append("its step never ran again: the kill has missed it")
    if (told := _told(case, receiver)) != walker.told:
        found.append(f"it was told {told}")
    return found


async def _noticed(case: Case) -> bool:
    """Whether the step was tried again, where the death of this process means that it must be."""
    cell, handle = case.cell, case.walker.handle
    tried_again = cell.killed is Process.WORKER or cell.reply_is_lost
    if not tried_again or cell.point.step in (*_LOCAL, "send_notice"):  # whose history is not this one
        return True
    scheduled: list[int] = []
    async for event in handle.fetch_history_events():
        if event.activity_task_scheduled_event_attributes.activity_type.name == cell.point.step:
            scheduled.append(event.event_id)
        started = event.activity_task_started_event_attributes
        if started.scheduled_event_id in scheduled and started.attempt > 1:
            return True
    # What has one attempt is scheduled anew, and was once for each wallet.
    return cell.point.step == "fetch_shares_as_client" and len(scheduled) > len(Curve)


def _told(case: Case, receiver: Receiver) -> list[str]:
    """What a receiver that drops repeats has been told of one eject."""
    mine = {id_: told for id_, told in receiver.taken.items() if told["data"]["client_id"] == case.client_id}
    order = sorted(mine, key=lambda notice: int(notice.rpartition("-")[2]))
    return [mine[notice]["type"].removeprefix("eject.") for notice in order]
