"""Ten thousand ejects whose window closes in the same second: none missed, and how late the last.

    python -m bench.closes [--count 10000] [--bare 3000] [--cached 1000]

Beside it, on the same server with as many workflows kept in memory, a bare workflow of one timer and two
activities that do nothing.
"""

import argparse
import asyncio
import sys
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from bench.bare_close import QUEUE, BareClose
from bench.opened import example, open_windows
from bench.scaling import PATIENCE, Ground, NotReadyError, Program, Server, ground, keep, main, say
from contracts.chain import ReceiptFile
from contracts.names import WORKFLOW
from contracts.stages import End
from custody.audit import Audit
from custody.signing import Trust
from runtime.development import line_of

# The windows are opened as fast as a first part of them was, or slower by this, before the moment comes.
_SLOWER = 1.3
# Between the last window's opening and the close, to put the worker that is measured in its place.
_BEFORE = 15.0


def chosen(count: int, rate: float) -> datetime:
    """The second in which all close: late enough to open so many before at this rate."""
    moment = datetime.now(UTC) + timedelta(seconds=count / rate * _SLOWER + _BEFORE)
    return moment.replace(microsecond=0)


async def until(moment: datetime) -> None:
    """Sleep until a moment."""
    await asyncio.sleep(max((moment - datetime.now(UTC)).total_seconds(), 0))


async def all_closed(client: Client, query: str, count: int) -> None:
    """Wait until none of so many runs any more; an error once nothing moves."""
    left, heard, told = count, time.monotonic(), time.monotonic()
    while left:
        await asyncio.sleep(0.5)
        now = (await client.count_workflows(f"{query} AND ExecutionStatus = 'Running'")).count
        heard = time.monotonic() if now < left else heard
        left = now
        if time.monotonic() - heard > PATIENCE:
            raise NotReadyError(f"{left} of {count} do not close: see what the worker says")
        if time.monotonic() - told > 20:
            told = time.monotonic()
            say(f"  {count - left} of {count} have closed")


async def lateness(client: Client, query: str, moment: datetime) -> list[float]:
    """By how many seconds after the moment each of them closed, in order."""
    closed = f"{query} AND ExecutionStatus = 'Completed'"
    found = [run.close_time async for run in client.list_workflows(closed)]
    return sorted((at - moment).total_seconds() for at in found if at)


def figures(late: Sequence[float], cpu: Sequence[float], memory: dict[str, float]) -> dict[str, Any]:
    """What is kept of one kind: the CPU is the server's and the worker's, in seconds."""
    server, worker = (round(1000 * seconds / len(late), 1) for seconds in cpu)
    return {
        "closed": len(late),
        "first_late_s": round(late[0], 2),
        "median_late_s": round(median(late), 2),
        "last_late_s": round(late[-1], 2),
        "per_s": round(len(late) / late[-1], 1),
        "server_cpu_ms": server,
        "worker_cpu_ms": worker,
        "worker": memory,
    }


async def close(client: Client, server: Server, worker: Program, query: str, moment: datetime) -> Any:
    """Let the moment come with this worker in its place, and measure until the last has closed."""
    running = f"{query} AND ExecutionStatus = 'Running'"
    count = (await client.count_workflows(running)).count
    await until(moment - timedelta(seconds=1))
    cpu = [server.program.cpu_seconds(), worker.cpu_seconds()]
    await all_closed(client, query, count)
    used = [server.program.cpu_seconds() - cpu[0], worker.cpu_seconds() - cpu[1]]
    return figures(await lateness(client, query, moment), used, worker.memory())


async def bare(ground: Ground, server: Server, client: Client, count: int, cached: int) -> Any:
    """The bare workflow's closes."""
    command = (sys.executable, "-m", "bench.bare_close", "--address", server.address, "--cached", str(cached))

    async def serving() -> Program:
        worker = ground.own(Program(command, ground.folder / "bare.log"))
        await worker.start()
        assert worker.running is not None, "it was started"  # noqa: S101
        await line_of(worker.running)
        return worker

    query = "WorkflowType = 'BareClose'"
    # A timer's workflow starts at far more than so many a second.
    moment, worker = chosen(count, 60), await serving()
    for at in range(0, count, 100):
        await asyncio.gather(
            *(
                client.start_workflow(BareClose.run, moment.isoformat(), id=f"bare-{n}", task_queue=QUEUE)
                for n in range(at, min(at + 100, count))
            )
        )
    await _all_wait(client)
    await worker.end()
    if datetime.now(UTC) > moment - timedelta(seconds=2):
        raise NotReadyError("the bare workflows were not all waiting in time: run it where nobody else works")
    return await close(client, server, await serving(), query, moment)


async def _all_wait(client: Client) -> None:
    """Wait until the bare workflows that were started last have begun their timers."""
    last = [run.id async for run in client.list_workflows("WorkflowType = 'BareClose'", limit=20)]
    async with asyncio.timeout(PATIENCE):
        for name in last:
            async for event in client.get_workflow_handle(name).fetch_history_events(wait_new_event=True):
                if event.event_type == EventType.EVENT_TYPE_TIMER_STARTED:
                    break


async def ours(ground: Ground, server: Server, client: Client, count: int, cached: int) -> Any:
    """The closes of ejects."""
    await example(ground, server, client, "closes")
    first = [f"first-{n}" for n in range(min(max(count // 50, 50), count))]
    rate = await open_windows(ground, server, client, "closes", ids=first)
    for client_id in first:
        await client.get_workflow_handle(f"eject-{client_id}").terminate("only to see how fast")
    moment = chosen(count, rate)
    say(f"  {rate:.0f} windows are opened a second; all close at {moment:%H:%M:%S}")
    ids = [f"closing-{n}" for n in range(count)]
    opened = await open_windows(ground, server, client, "closes", ids=ids, closes=moment.isoformat())
    if datetime.now(UTC) > moment - timedelta(seconds=5):
        raise NotReadyError(
            "the windows were not all open in time: run it again on a machine that nobody else uses"
        )
    worker = ground.worker(server, "closes", EJECT_CACHED_EJECTS=str(cached))
    await worker.start()
    query = f"WorkflowType = '{WORKFLOW}' AND EjectClient STARTS_WITH 'closing-'"
    measured = await close(client, server, worker, query, moment)
    await worker.end()
    return measured | {"opened_per_s": round(opened, 1)} | verified(ground, ids)


def verified(ground: Ground, ids: Sequence[str]) -> dict[str, Any]:
    """What lies in the vault afterwards: a receipt for each, one whole chain, and no sealed file."""
    vault = ground.vault_folder("closes")
    audit = Audit(vault, Trust({ground.receipt_key}))
    wrong = list(audit.problems())
    receipts = [
        ReceiptFile.model_validate_json(path.read_bytes()).receipt
        for path in vault.glob("receipts/closing-*/*.json")
    ]
    ends = Counter(receipt.end for receipt in receipts)
    ejects = {receipt.eject_id for receipt in receipts}
    left = [path for path in vault.glob("held/*") if path.name in ejects]
    return {
        "missed": len(set(ids) - {receipt.client_id for receipt in receipts if receipt.end is End.EXPIRED}),
        "ends": dict(ends),
        "chain_problems": len(wrong),
        "chain_entries": audit.head.number if audit.head else 0,
        "purged": not left,
    }


async def bench() -> int:
    """Run both and keep the figures; 0 where none was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--bare", type=int, default=3000, help="how many of the bare workflow")
    parser.add_argument("--cached", type=int, default=1000, help="workflows that each worker keeps in memory")
    given = parser.parse_args()
    began = time.monotonic()
    async with ground() as here:
        server, client = await here.server("closes", on_disk=False)
        say(f"{given.bare} bare workflows")
        beside = await bare(here, server, client, given.bare, given.cached)
        say(f"  {beside}")
        say(f"{given.count} ejects")
        measured = await ours(here, server, client, given.count, given.cached)
        say(f"  {measured}")
        found = {
            "count": given.count,
            "cached": given.cached,
            "ours": measured,
            "bare": beside,
            "ratio": round(measured["per_s"] / beside["per_s"], 2),
            "server": server.program.memory(),
            "took_s": round(time.monotonic() - began),
        }
    keep("closes", found)
    say(f"ratio {found['ratio']}, {found['took_s']} s")
    return 0 if measured["missed"] == 0 and measured["chain_problems"] == 0 and measured["purged"] else 1


if __name__ == "__main__":
    main(bench)
