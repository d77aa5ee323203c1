"""The section `growth`: what more wallets, troubles and commands add to the history of an eject."""

import tempfile
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from rich.console import Console
from rich.table import Table

import starter
from bench.ours import Ours, ours
from bench.stack import Portal, Seeded, portal
from contracts.commands import Extend
from contracts.parks import Retry
from contracts.stages import Stage

Case = Callable[[Ours, Portal], Awaitable[Seeded]]


async def _led(engine: Ours, client: Seeded) -> Seeded:
    await engine.begin(client)
    return await _rest(engine, client)


async def _rest(engine: Ours, client: Seeded) -> Seeded:
    await engine.claim(client)
    await engine.prove(client)
    await engine.finish(client)
    return client


async def _of(engine: Ours, where: Portal, **shape: Any) -> Seeded:
    (client,) = await where.seed(1, **shape)
    await engine.deposit([client])
    return await _led(engine, client)


async def _tried_again(engine: Ours, where: Portal) -> Seeded:
    (client,) = await where.seed(1)
    await engine.deposit([client])
    await where.fault(call="back_up", kind="status", status=503, times=3, client_id=client.client_id)
    return await _led(engine, client)


async def _parked(engine: Ours, where: Portal) -> Seeded:
    (client,) = await where.seed(1)
    await engine.start(client)
    await engine.until(client, Stage.PARKED)
    await engine.deposit([client])
    await starter.retry(engine.client, client.client_id, Retry(park=1, by="bench", why="deposited"))
    await engine.until(client, Stage.AWAITING_CLAIM)
    return await _rest(engine, client)


async def _extended(engine: Ours, where: Portal) -> Seeded:
    (client,) = await where.seed(1)
    await engine.deposit([client])
    await engine.begin(client)
    command = Extend(window=timedelta(days=2), by="bench", why="travels")
    await starter.extend(engine.client, client.client_id, command)
    return await _rest(engine, client)


async def _claimed_twice(engine: Ours, where: Portal) -> Seeded:
    (client,) = await where.seed(1)
    await engine.deposit([client])
    await engine.begin(client)
    await engine.claim(client)
    return await _rest(engine, client)


CASES: Mapping[str, Case] = {
    "two wallets, no trouble": _of,
    "one wallet": lambda engine, where: _of(engine, where, curves=["SECP256K1"]),
    "a step that Portal refuses three times with a 503": _tried_again,
    "a step that parks, and its retry": _parked,
    "the window extended once": _extended,
    "claimed twice": _claimed_twice,
}


async def run(console: Console, *, full: bool) -> dict[str, Any]:
    """Lead one eject of each kind to its end, and ask Temporal how long its history is."""
    found = {}
    with tempfile.TemporaryDirectory(prefix="eject-bench-") as place:
        folder = Path(place)
        async with portal(folder) as where, ours(where, folder) as running:
            engine = cast(Ours, running)
            for name, case in CASES.items():
                events, size = await engine.history(await case(engine, where))
                found[name] = {"events": events, "history_bytes": size}
    return {"growth": found}


def show(results: Mapping[str, Any], console: Console) -> None:
    """The table of the terminal."""
    table = Table("an eject", "events", "bytes", title="What a history grows by", title_justify="left")
    for name, one in results["growth"].items():
        table.add_row(name, str(one["events"]), str(one["history_bytes"]))
    console.print(table)
