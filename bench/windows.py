"""Ten thousand open windows: what they cost, and that none is lost when worker and server are killed.

    python -m bench.windows [--count 10000] [--cached 1000] [--new 60] [--repeats 3]

New ejects are real ones, against the sandbox, in turn on the server of the open windows and on an empty one.
"""

import argparse
import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from temporalio.client import Client, WorkflowQueryFailedError
from temporalio.service import RPCError

import starter
from bench.opened import example, open_windows
from bench.scaling import PATIENCE, Ground, NotReadyError, Program, Server, ground, keep, main, say
from contracts.commands import Cancel
from contracts.names import Attribute, released_prefix
from contracts.owner import Claim, ClaimAnswer
from contracts.receipt import Status
from contracts.stages import End, Stage
from custody.audit import Audit
from custody.signing import Trust
from device.bundle import read_bundle
from device.opening import open_bundle
from device.proving import prove

# So many new ejects, or questions, at once.
_AT_ONCE = 50
# How many of each kind are led to an end after the kill.
_LED = 10
_OPEN = f"{Attribute.STAGE} = '{Stage.AWAITING_CLAIM}' AND ExecutionStatus = 'Running'"


@dataclass
class Place:
    """A server with its worker and its vault."""

    ground: Ground
    name: str
    server: Server
    client: Client
    worker: Program

    async def opened(self, count: int) -> tuple[float, list[str]]:
        """New ejects from start to open window, 50 at a time: how many a second, and their ids."""
        ids = await self.ground.deposited(self.name, count)
        slots = asyncio.Semaphore(_AT_ONCE)

        async def one(client_id: str) -> None:
            async with slots, asyncio.timeout(PATIENCE * 2):
                handle = await starter.start(self.client, self.ground.request(client_id))
                async for stage in starter.stages(handle):
                    if stage is Stage.AWAITING_CLAIM:
                        return
            raise NotReadyError(f"the eject of {client_id} ended before its window was open")

        began = time.monotonic()
        await asyncio.gather(*map(one, ids))
        return count / (time.monotonic() - began), ids

    async def asked(self, ids: Sequence[str]) -> tuple[float, float]:
        """Ask each eject where it is, until all have answered; after how long the first did, and the last."""
        began, heard = time.monotonic(), [0.0]
        left = asyncio.Queue[str]()
        for client_id in ids:
            left.put_nowait(client_id)
        answered: list[float] = []

        async def some() -> None:
            while not left.empty():
                client_id = left.get_nowait()
                told = await self._told(client_id)
                if told is None:
                    left.put_nowait(client_id)
                    if time.monotonic() - heard[0] > PATIENCE and time.monotonic() - began > PATIENCE:
                        raise NotReadyError(f"{len(ids) - len(answered)} ejects do not answer")
                    continue
                if told.stage is not Stage.AWAITING_CLAIM:
                    raise NotReadyError(f"the eject of {client_id} is {told.stage}, not at its open window")
                heard[0] = time.monotonic()
                answered.append(heard[0] - began)
                if len(answered) % 2500 == 0:
                    say(f"  {len(answered)} of {len(ids)} have answered, {answered[-1]:.0f} s")

        await asyncio.gather(*(some() for _ in range(_AT_ONCE)))
        return min(answered), max(answered)

    async def _told(self, client_id: str) -> Status | None:
        try:
            async with asyncio.timeout(20):
                told: Status = await starter.handle_of(self.client, client_id).query(
                    "status", result_type=Status
                )
                return told
        except (RPCError, WorkflowQueryFailedError, TimeoutError):
            return None


async def place(ground: Ground, name: str, cached: int) -> Place:
    """A server and a worker that is not yet started."""
    server, client = await ground.server(name)
    return Place(ground, name, server, client, ground.worker(server, name, EJECT_CACHED_EJECTS=str(cached)))


async def beside(full: Place, empty: Place, new: int, repeats: int) -> tuple[dict[str, Any], list[str]]:
    """New ejects a second on both, in turn, and the ids of those on the server of the open windows."""
    rates: dict[str, list[float]] = {"full": [], "empty": []}
    ids = []
    await empty.opened(5)  # connections, and what is imported with the first eject
    for _ in range(repeats):
        rate, _ = await empty.opened(new)
        rates["empty"].append(rate)
        rate, made = await full.opened(new)
        rates["full"].append(rate)
        ids += made
    shown = {f"{name}_per_s": round(median(each), 1) for name, each in rates.items()}
    ratios = [one / other for one, other in zip(rates["full"], rates["empty"], strict=True)]
    return shown | {"ratio": round(median(ratios), 2), "ratios": [round(r, 2) for r in ratios]}, ids


async def killed(full: Place, ids: Sequence[str]) -> dict[str, Any]:
    """SIGKILL both, start both again: what is counted, and how long until each has answered."""
    await full.worker.kill()
    await full.server.program.kill()
    began = time.monotonic()
    full.client = await full.server.start()
    serves = time.monotonic() - began
    await full.worker.start()
    counted = 0
    async with asyncio.timeout(PATIENCE):
        while counted != len(ids) and time.monotonic() - began < PATIENCE / 2:
            counted = (await full.client.count_workflows(_OPEN)).count
    lost = (await full.client.count_workflows("ExecutionStatus != 'Running'")).count
    before = time.monotonic() - began
    first, last = await full.asked(ids)
    return {
        "server_answers_s": round(serves, 2),
        "counted": counted,
        "not_running": lost,
        "first_answers_s": round(before + first, 2),
        "answered": len(ids),
        "all_answered_s": round(before + last, 1),
    }


async def led(full: Place, stubbed: Sequence[str], real: Sequence[str]) -> dict[str, Any]:
    """A spread of them to an end: real ones proven and cancelled, the others claimed and read."""
    ground = full.ground
    vault = ground.vault_folder(full.name)

    async def claimed(client_id: str) -> tuple[ClaimAnswer, Path]:
        answer = await starter.claim(full.client, client_id, Claim(claimed_by="bench"))
        return answer, vault / released_prefix(answer.eject_id)

    async def read(client_id: str) -> int:
        # The copies open as the example's only: their digests are what this can see.
        return len(await asyncio.to_thread(read_bundle, *await claimed(client_id)))

    async def proven(client_id: str) -> End:
        answer, folder = await claimed(client_id)
        opened = await asyncio.to_thread(open_bundle, ground.owner, answer, folder)
        await starter.prove(full.client, client_id, prove(answer, opened))
        return (await starter.handle_of(full.client, client_id).result()).end

    async def cancelled(client_id: str) -> End:
        await starter.cancel(full.client, client_id, Cancel(by="bench", why="is measured"))
        return (await starter.handle_of(full.client, client_id).result()).end

    count = min(_LED, len(real) // 2)
    spread = stubbed[:: max(len(stubbed) // _LED, 1)][:_LED]
    async with asyncio.timeout(PATIENCE * 3):
        ends = await asyncio.gather(*map(proven, real[:count]), *map(cancelled, real[count : 2 * count]))
        wallets = await asyncio.gather(*map(read, spread))
    audit = Audit(vault, Trust({ground.receipt_key}))
    return {
        "ends": dict(Counter(ends)),
        "claimed_and_read": len(wallets),
        "receipt_problems": len(list(audit.problems())),
    }


async def measure(here: Ground, given: argparse.Namespace) -> dict[str, Any]:
    """The whole run."""
    began = time.monotonic()
    full, empty = await place(here, "full", given.cached), await place(here, "empty", given.cached)
    first = await example(here, full.server, full.client, "full")
    small = full.server.database_bytes()
    bare_server = full.server.program.memory()
    ids = [f"open-{n}" for n in range(given.count)]
    rate = await open_windows(here, full.server, full.client, "full", ids=ids)
    say(f"{given.count} windows are open, {rate:.0f} a second")
    await asyncio.gather(full.worker.start(), empty.worker.start())
    _, warm = await full.opened(5)  # what is imported with the first eject is no eject's
    memory = {"without": full.worker.memory()["rss_mb"]}
    # What a worker takes for its first few is no eject's: the second half of what it keeps tells.
    kept = min(given.count, given.cached)
    _, took = await full.asked(ids[: kept // 2])
    memory |= {"cache_half_full": full.worker.memory()["rss_mb"]}
    _, more = await full.asked(ids[kept // 2 : kept])
    memory |= {"cache_full": full.worker.memory()["rss_mb"]}
    each = (memory["cache_full"] - memory["cache_half_full"]) / (kept - kept // 2)
    say(f"  {memory}, {1000 * each:.0f} KB an eject; {kept} answered in {took + more:.1f} s")
    new, real = await beside(full, empty, given.new, given.repeats)
    say(f"  new ejects: {new}")
    figures = {
        "count": given.count,
        "cached": given.cached,
        "opened_per_s": round(rate, 1),
        "worker": memory | {"kb_per_cached": round(1000 * each), "peak_mb": full.worker.memory()["peak_mb"]},
        "answers_per_s": round(kept / (took + more), 1),
        "server": full.server.program.memory() | {"empty_mb": bare_server["rss_mb"]},
        "database_kb_per_eject": round((full.server.database_bytes() - small) / given.count / 1000, 1),
        "new": new,
    }
    running = (await full.client.count_workflows(_OPEN)).count
    say("  worker and server are killed")
    figures["after_kill"] = await killed(full, [*ids, first, *warm, *real]) | {"counted_before": running}
    say(f"  {figures['after_kill']}")
    figures["led"] = await led(full, ids, [*warm, *real])
    say(f"  {figures['led']}")
    figures["worker"]["peak_after_kill_mb"] = full.worker.memory()["peak_mb"]
    figures["server"]["peak_after_kill_mb"] = full.server.program.memory()["peak_mb"]
    return figures | {"took_s": round(time.monotonic() - began)}


async def bench() -> int:
    """Run it and keep the figures; 0 where none was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--cached", type=int, default=1000, help="ejects that the worker keeps in memory")
    parser.add_argument("--new", type=int, default=60, help="new ejects in each repeat")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    async with ground() as here:
        figures = await measure(here, given)
    keep("windows", figures)
    after = figures["after_kill"]
    lost = after["counted_before"] - min(after["counted"], after["answered"])
    say(f"lost {lost}; {figures['took_s']} s")
    return 1 if lost or figures["led"]["receipt_problems"] else 0


if __name__ == "__main__":
    main(bench)
