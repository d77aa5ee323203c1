"""One run of one engine: how long an eject takes when idle, how many a second when not, at what cost."""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.engines import Engine
from bench.stack import Portal, Seeded, cpu_of, portal

AT_ONCE = 50
Opening = Callable[[Portal, Path], AbstractAsyncContextManager[Engine]]


@dataclass(frozen=True)
class Size:
    """How many ejects a run has: before anything is measured, one at a time, and 50 at a time."""

    warm: int
    idle: int
    batch: int


QUICK = Size(warm=20, idle=30, batch=200)
FULL = Size(warm=50, idle=200, batch=1000)


@dataclass(frozen=True)
class Run:
    """What one run has shown; times in seconds."""

    per_s: float
    """Ejects, by the time in which the engine had 50 to do; the owner's device is not in it."""
    until_claim: list[float]
    """From the start to the owner's part, of each idle eject."""
    until_ejected: list[float]
    """From the proof to the end."""
    cpu: dict[str, float]
    """Of each process, for each eject of the batch; `device` is the owner's part of the driver's."""
    sandbox_busy: float
    """Of one core, which is all that it can have."""
    events: int | None
    history_bytes: int | None
    busy_loop: float


def busy_loop() -> float:
    """A fixed piece of work, by which one sees how much of the machine there was."""
    began = time.perf_counter()
    total = 0
    for number in range(3_000_000):
        total += number & 7
    return time.perf_counter() - began


async def measure(opening: Opening, size: Size) -> Run:
    """Bring an engine up on a sandbox of its own, and lead all these ejects through it.

    RuntimeError with what the processes logged where one of them ends, or an eject does not come to its end.
    """
    loop = busy_loop()
    with tempfile.TemporaryDirectory(prefix="eject-bench-") as name:
        folder = Path(name)
        try:
            async with portal(folder) as sandbox, opening(sandbox, folder) as engine:
                clients = await sandbox.seed(size.warm + size.idle + size.batch)
                await engine.deposit(clients)
                run = await _while_it_lives(engine, _measured(engine, clients, size, loop))
                if (marked := await sandbox.ejected()) != len(clients):
                    raise RuntimeError(f"Portal has {marked} of {len(clients)} clients as ejected")
                return run
        except RuntimeError as error:
            raise RuntimeError(f"{error}{_logged(folder)}") from error


def _logged(folder: Path) -> str:
    return "".join(f"\n{log.name}: {log.read_text()[-2000:]}" for log in sorted(folder.glob("*.log")))


async def _while_it_lives(engine: Engine, work: Coroutine[Any, Any, Run]) -> Run:
    """What the work answers; RuntimeError where its worker ends before, which nobody would wait for."""
    working, ending = asyncio.create_task(work), asyncio.create_task(engine.worker.wait())
    try:
        await asyncio.wait({working, ending}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise RuntimeError("the worker has ended before the ejects")
        return working.result()
    finally:
        working.cancel()
        ending.cancel()
        await asyncio.gather(working, ending, return_exceptions=True)


async def _measured(engine: Engine, clients: Sequence[Seeded], size: Size, loop: float) -> Run:
    warm, rest = clients[: size.warm], clients[size.warm :]
    idle, batch = rest[: size.idle], rest[size.idle :]
    await _batch(engine, warm)
    until_claim, until_ejected = [], []
    for one in idle:
        until_claim.append(await _timed(engine.begin(one)))
        await engine.claim(one)
        await engine.prove(one)
        until_ejected.append(await _timed(engine.finish(one)))
    before, driver = cpu_of(engine.processes), time.process_time()
    took, device = await _batch(engine, batch)
    spent = {name: seconds - before[name] for name, seconds in cpu_of(engine.processes).items()}
    spent |= {"driver": time.process_time() - driver - device, "device": device}
    events, history_bytes = await engine.history(batch[-1])
    return Run(
        per_s=len(batch) / took,
        until_claim=until_claim,
        until_ejected=until_ejected,
        cpu={name: seconds / len(batch) for name, seconds in spent.items()},
        sandbox_busy=spent["sandbox"] / took,
        events=events,
        history_bytes=history_bytes,
        busy_loop=loop,
    )


async def _batch(engine: Engine, clients: Sequence[Seeded]) -> tuple[float, float]:
    """All of them, 50 at a time: seconds that the engine had work, and what the owners' devices computed.

    The devices come between, when nothing else is to do: they share a processor with nobody's measurement.
    """
    took = await _timed(_all(engine.begin, clients)) + await _timed(_all(engine.claim, clients))
    began = time.process_time()
    for one in clients:
        await engine.prove(one)
    device = time.process_time() - began
    return took + await _timed(_all(engine.finish, clients)), device


async def _all(does: Callable[[Seeded], Awaitable[None]], clients: Sequence[Seeded]) -> None:
    left = iter(clients)

    async def one_after_the_other() -> None:
        for one in left:
            await does(one)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(one_after_the_other())


async def _timed(work: Awaitable[None]) -> float:
    began = time.perf_counter()
    await work
    return time.perf_counter() - began
