"""What an engine runs on: sandbox, server and worker, each a process of its own, and what each costs."""

import json
import os
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from bench.portal_calls import deposit_file
from runtime.development import SERVER_SETTINGS, free_port, line_of, process, server_command
from workflows import attributes

_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Seeded:
    """A client as the sandbox has made it."""

    client_id: str
    api_key: str
    generate_response: str


@dataclass(frozen=True)
class Portal:
    """A sandbox that runs."""

    running: Process
    url: str
    custodian_key: str

    async def seed(self, count: int, **shape: Any) -> list[Seeded]:
        """New clients with both wallets, or of another shape as `POST /_sandbox/seed` takes it."""
        async with httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=60) as http:
            made = [(await http.post("/_sandbox/seed", json=shape)).json() for _ in range(count)]
        return [Seeded(one["client_id"], one["client_api_key"], one["generate_response"]) for one in made]

    async def fault(self, **fault: Any) -> None:
        """Have calls fail, as `POST /_sandbox/faults` takes it."""
        async with httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=60) as http:
            (await http.post("/_sandbox/faults", json=fault)).raise_for_status()

    async def ejected(self) -> int:
        """How many clients have been marked."""
        async with httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=60) as http:
            found = await http.get("/_sandbox/journal", params={"effect": "completed"})
        return len({entry["client_id"] for entry in found.raise_for_status().json()["entries"]})


@asynccontextmanager
async def portal(folder: Path) -> AsyncIterator[Portal]:
    """A sandbox in memory, as the tests run it: what a disk costs is no engine's."""
    command = (sys.executable, "-m", "sandbox", "--log-level", "error")
    async with process(*command, log=folder / "sandbox.log") as running:
        ready = json.loads(await line_of(running))
        yield Portal(running, ready["url"], ready["custodian_api_key"])


@asynccontextmanager
async def temporal(folder: Path, *, tuned: bool) -> AsyncIterator[tuple[Process, str]]:
    """A development server in memory, and its address; tuned is how the demo and the tests run it."""
    port = free_port()
    settings = SERVER_SETTINGS if tuned else ()
    command = server_command(port, attributes.ALL, "--headless", "--log-level", "error", settings=settings)
    async with process(*command, log=folder / "temporal.log") as running:
        yield running, f"127.0.0.1:{port}"


def plain_environment(portal: Portal, folder: Path) -> dict[str, str]:
    """What a worker of every engine but ours needs."""
    return environment(
        BENCH_PORTAL_URL=portal.url, BENCH_CUSTODIAN_KEY=portal.custodian_key, BENCH_FOLDER=str(folder)
    )


def environment(**more: str) -> dict[str, str]:
    """This process's environment without settings of the engines, and these."""
    # Without compiled files, Temporal's sandbox would compile every workflow's source for each run of it.
    others = ("EJECT_", "TEMPORAL_", "DBOS_", "PYTHONDONTWRITEBYTECODE")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(others)}
    return kept | more


def deposit_plainly(folder: Path, clients: list[Seeded]) -> None:
    """Lay down what a plain engine backs up from."""
    for one in clients:
        deposit = {"generate_response": one.generate_response, "client_api_key": one.api_key}
        deposit_file(folder, one.client_id).write_text(json.dumps(deposit))


def cpu_seconds(pid: int) -> float:
    """What a process and all that descend from it have computed so far, user and system."""
    parents: dict[int, list[int]] = {}
    spent: dict[int, float] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended meanwhile
        one = int(stat.parent.name)
        parents.setdefault(int(fields[1]), []).append(one)
        # Its own, and that of its children which have ended.
        spent[one] = sum(map(int, fields[11:15])) / _TICK
    family, found = [pid], 0.0
    while family:
        one = family.pop()
        found += spent.get(one, 0.0)
        family += parents.get(one, [])
    return found


def cpu_of(processes: Mapping[str, int]) -> dict[str, float]:
    """The same by name."""
    return {name: cpu_seconds(pid) for name, pid in processes.items()}
