"""Everything that a place wrote, channel by channel, and what of its secrets is found there."""

import asyncio
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict
from temporalio.client import Client

from ejects.visibility import describe, executions
from tests.harness.portal import Sandbox
from tests.harness.search import Search
from tests.harness.secrets import decoded, outside_sealed
from tests.planted.control import ROOM, put_everywhere
from tests.planted.known import CONTROL, secrets_of_all
from tests.planted.place import Place, approvers_of, bring_up
from tests.planted.scenario import Scenario, play
from tests.planted.scene import Scene

# Rooms with one worker for all that happens in them.
SERVED = {"simple", "strict", "tatum"}
# Those whose custodian is behind Tatum's gateway.
_TATUM = {"tatum", "the-gateway-quotes-a-wrong-key"}
# So many at a time: more would only wait for the processors.
_AT_ONCE = 8
Channels = dict[str, list[bytes]]


@dataclass(frozen=True)
class Evidence:
    """What was searched, and what was found: by channel the names of secrets and their encodings."""

    scenarios: tuple[str, ...]
    search: Search
    sizes: Mapping[str, int]
    found: Mapping[str, set[tuple[str, str]]]
    seconds: tuple[float, float]

    @property
    def leaks(self) -> list[str]:
        """Each secret of a scenario that was found, and where."""
        return sorted(
            f"{name} ({encoding}) in {channel}"
            for channel, hits in self.found.items()
            for name, encoding in hits
            if CONTROL not in name
        )

    @property
    def figures(self) -> dict[str, object]:
        """What was planted and searched, and how much of it was found."""
        return {
            "scenarios": len(self.scenarios),
            "secrets": sum(CONTROL not in name for name in self.search.secrets),
            "patterns": self.search.patterns,
            "bytes": sum(self.sizes.values()),
            "channels": sorted(self.sizes),
            "found": len(self.leaks),
        }


async def gather(folder: Path, chosen: Iterable[Scenario]) -> Evidence:
    """Play scenarios and the control in one place, end everything, and search all of it."""
    scenarios = tuple(chosen)
    began = time.monotonic()
    rooms = sorted({ROOM, *(one.room for one in scenarios)})
    async with bring_up(folder, rooms) as place:
        approvers = approvers_of(folder)
        for name in rooms:
            await place.room(name, **_settings(name, approvers, place.sandbox))
        async with AsyncExitStack() as served:
            for name in SERVED & place.rooms.keys():
                await served.enter_async_context(place.worker(place.rooms[name]))
            scenes = await _played(place, scenarios)
        channels = await _shown(place)
    channels |= await asyncio.to_thread(_written, place)
    *played, control = scenes
    names = secrets_of_all(place, played, [control.customer.client_id])
    between = time.monotonic()
    search = Search(names | {n: s for n, s in control.secrets.items() if n.startswith(CONTROL)})
    found = {channel: set[tuple[str, str]]() for channel in channels}
    for channel, texts in channels.items():
        for text in texts:
            found[channel] |= search.found(text)
    sizes = {channel: sum(map(len, texts)) for channel, texts in channels.items()}
    seconds = (between - began, time.monotonic() - between)
    return Evidence(tuple(one.name for one in scenarios), search, sizes, found, seconds)


def _settings(room: str, approvers: Mapping[str, str], sandbox: Sandbox) -> dict[str, str]:
    settings = {"EJECT_APPROVERS": str(approvers).replace("'", '"')} if room == "simple" else {}
    if room in _TATUM:
        settings["EJECT_PROVIDER"] = "tatum"
        settings["EJECT_GATEWAY_URL"] = sandbox.url
        settings["EJECT_CUSTODIAN_API_KEY"] = sandbox.gateway_key.get_secret_value()
    return settings | ({"EJECT_CLIENT_CREDENTIAL": "strict"} if room == "strict" else {})


async def _played(place: Place, scenarios: tuple[Scenario, ...]) -> list[Scene]:
    """Every scenario's scene, and the control's as the last."""
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(chosen: Scenario) -> Scene:
        async with places:
            return await play(chosen, place)

    # First those that start workers of their own, which take longest.
    order = sorted(scenarios, key=lambda chosen: chosen.room in SERVED)
    playing = (*(one(chosen) for chosen in order), put_everywhere(place))
    # Each to its end, so that what one ends in is not what its neighbours were cut short by.
    scenes = await asyncio.gather(*playing, return_exceptions=True)
    if failed := [scene for scene in scenes if isinstance(scene, Exception)]:
        raise ExceptionGroup("scenarios went otherwise", failed)
    return [scene for scene in scenes if isinstance(scene, Scene)]


async def _shown(place: Place) -> Channels:
    """What Temporal, Prometheus, the receiver and people were shown."""
    channels: Channels = {
        "the descriptions": place.described,
        "the metrics": place.scraped,
        "the spans": place.spans.raw,
        "the vault": place.lying,
        "the notices": [body.encode() for body in place.receiver.bodies],
        "the command line": place.told,
    }
    for name in ("the histories", "the search attributes", "the memos", "the failures"):
        channels[name] = []
    for text in place.described:
        channels["the failures"] += [] if b"last_failure" not in text else [text]
    for name, room in place.rooms.items():
        known = {workflow for inside, workflow in place.workflows if inside == name}
        await _listed(room.world.client, known)
        async for info in executions(room.world.client, ""):
            channels["the search attributes"].append(info.search_attributes.SerializeToString())
            channels["the memos"].append(info.memo.SerializeToString())
            execution = info.execution
            handle = room.world.client.get_workflow_handle(execution.workflow_id, run_id=execution.run_id)
            history = await handle.fetch_history()
            channels["the histories"] += [text.encode() for text in decoded(history)]
            channels["the histories"] += [event.SerializeToString() for event in history.events]
            for event in history.events:
                channels["the failures"] += _failures(MessageToDict(event))
            last = await describe(room.world.client, execution.workflow_id)
            channels["the descriptions"] += [last.SerializeToString(), str(last).encode()]
        channels["the vault"] += [text.encode() for text in outside_sealed(room.world.vault_folder)]
        channels["the vault"] += [str(path).encode() for path in room.world.vault_folder.rglob("*")]
    return channels


async def _listed(client: Client, known: set[str]) -> None:
    """Wait until the listing, which lags behind, shows all that is known."""
    async with asyncio.timeout(60):
        while known - {info.execution.workflow_id async for info in executions(client, "")}:
            pass


def _failures(value: Any) -> Iterator[bytes]:
    """Every failure in an event, as text."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key.lower().endswith("failure"):
                yield str(inner).encode()
            yield from _failures(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _failures(inner)


def _written(place: Place) -> Channels:
    """What the server's file and the logs hold once everything has ended."""
    return {
        "the database": [*cells(place.database), *(path.read_bytes() for path in files(place.database))],
        "the workers' logs": [room.log.read_bytes() for room in place.rooms.values() if room.log.exists()],
        "the sandbox's log": [place.sandbox_log.read_bytes()],
        "the server's log": [place.server_log.read_bytes()],
    }


def files(database: Path) -> list[Path]:
    """The file as it lies there, with its journal: what was deleted and not overwritten stands there too."""
    return sorted(database.parent.glob(database.name + "*"))


def cells(database: Path) -> Iterator[bytes]:
    """Every row: a long cell lies in pieces in the file."""
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as server:
        tables = [name for (name,) in server.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for row in server.execute(f'SELECT * FROM "{table}"'):  # noqa: S608 (the server's own names)
                yield b"\n".join(cell if isinstance(cell, bytes) else str(cell).encode() for cell in row)
