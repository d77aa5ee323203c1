"""Every process of a deployment, on one machine, each kept running as a supervisor does it."""

import asyncio
import json
import random
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import httpx
from google.protobuf.json_format import MessageToDict
from temporalio.client import Client

from runtime.development import ROOT
from tests.harness.codecs import UI
from tests.harness.ground import kept_port
from tests.harness.processes import environment
from tests.harness.temporal import server_command

# Longer than a worker drains; only a hang ever reaches it.
_WITHIN = 90


class Kept:
    """A process that is started again until it serves; `ready` is a word that it writes once it does."""

    def __init__(self, log: Path, ready: str, *command: str, env: Mapping[str, str] | None = None) -> None:
        self.log, self.starts = log, 0
        self._command, self._ready, self._env = command, ready.encode(), env
        self._running: Process | None = None

    async def start(self) -> None:
        """Start it, and again for as long as it ends because what it needs does not serve yet."""
        async with asyncio.timeout(_WITHIN):
            while not await self._serves():
                pass

    async def _serves(self) -> bool:
        began = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._running = running = await asyncio.create_subprocess_exec(
                *self._command,
                cwd=ROOT,
                env=None if self._env is None else dict(self._env),
                stdin=DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.starts += 1
        while running.returncode is None:
            if self._ready in self.log.read_bytes()[began:]:
                return True
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.2)  # what it needs is not there yet
        return False

    async def stop(self, number: signal.Signals) -> None:
        """Send it a signal, and wait until it has ended."""
        if self._running is None:
            return
        with suppress(ProcessLookupError):
            self._running.send_signal(number)
        await asyncio.wait_for(self._running.wait(), _WITHIN)


class Member(StrEnum):
    """Who is restarted."""

    SERVER = "server"
    SANDBOX = "sandbox"
    CUSTODIAN = "custodian"
    CLIENT = "client"
    CODEC = "codec"


@dataclass
class Fleet:
    """The processes by name; ports and files stay through every restart."""

    folder: Path
    members: dict[Member, Kept] = field(default_factory=dict)
    ports: dict[Member, int] = field(default_factory=lambda: {member: kept_port() for member in Member})

    @property
    def address(self) -> str:
        """Temporal's."""
        return f"127.0.0.1:{self.ports[Member.SERVER]}"

    async def begin(self, log_level: str = "error") -> dict[str, str]:
        """Start server and sandbox; what the sandbox says of itself."""
        state = ("--db-filename", str(self.folder / "temporal.db"))
        quick = ("--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=NORMAL")
        server = server_command(self.ports[Member.SERVER], (), "--log-level", log_level, *state, *quick)
        self._keep(Member.SERVER, "Server:", *server)
        sandbox = ("--port", str(self.ports[Member.SANDBOX]), "--state", str(self.folder / "sandbox.sqlite"))
        python = (sys.executable, "-m", "sandbox", "--log-level", log_level, *sandbox)
        self._keep(Member.SANDBOX, '"custodian_api_key"', *python)
        await asyncio.gather(*(self.members[member].start() for member in self.members))
        said = self.members[Member.SANDBOX].log.read_text().splitlines()
        ready: dict[str, str] = json.loads(next(line for line in said if line.startswith("{")))
        return ready

    async def serve(
        self, custodian: Mapping[str, str], client: Mapping[str, str], codec: Mapping[str, str]
    ) -> None:
        """Start a worker of each role and the codec server, each with its own settings."""
        for member, own in ((Member.CUSTODIAN, custodian), (Member.CLIENT, client)):
            command = (sys.executable, "worker.py", "--role", str(member))
            self._keep(member, "worker.serving", *command, env=environment(**own))
        at = {
            "EJECT_CODEC_ORIGINS": json.dumps([UI]),
            "EJECT_CODEC_ADDRESS": f"127.0.0.1:{self.ports[Member.CODEC]}",
        }
        server = (sys.executable, "codec_server.py")
        self._keep(Member.CODEC, "codec_server.serving", *server, env=environment(**at, **codec))
        serving = (Member.CUSTODIAN, Member.CLIENT, Member.CODEC)
        await asyncio.gather(*(self.members[member].start() for member in serving))

    async def opens(self, client: Client, workflow_id: str, token: str) -> bool:
        """Whether the codec server opens what a workflow began with."""
        async for event in client.get_workflow_handle(workflow_id).fetch_history_events(page_size=1):
            sealed = list(event.workflow_execution_started_event_attributes.input.payloads)
            break
        codec = client.data_converter.payload_codec
        assert codec
        plain, asked = await codec.decode(sealed), {"Authorization": f"Bearer {token}"}
        body, expected = [{"payloads": [MessageToDict(one) for one in few]} for few in (sealed, plain)]
        async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
            url = f"http://127.0.0.1:{self.ports[Member.CODEC]}/decode"
            answer = await http.post(url, json=body, headers=asked)
        return body != expected and answer.is_success and bool(answer.json() == expected)

    async def restart(self, plan: "Plan") -> None:
        """Restart everything once, as planned; returns when everything serves again."""
        async with asyncio.TaskGroup() as starting:
            for group in plan.groups:
                await asyncio.gather(*(self.members[m].stop(number) for m, number in group.signals))
                tasks = [starting.create_task(self.members[m].start()) for m, _ in group.signals]
                if group.waited_for:
                    await asyncio.gather(*tasks)

    async def end(self) -> None:
        """End everything, by its own id, the workers first."""
        for member in reversed(self.members):
            await self.members[member].stop(signal.SIGTERM)

    def _keep(self, member: Member, ready: str, *command: str, env: Mapping[str, str] | None = None) -> None:
        self.members[member] = Kept(self.folder / f"{member}.log", ready, *command, env=env)


@dataclass(frozen=True)
class Group:
    """Processes that end at the same moment, each by its signal, and start together."""

    signals: Sequence[tuple[Member, signal.Signals]]
    waited_for: bool
    """Whether they serve before the next group ends."""

    def __str__(self) -> str:
        names = " and ".join(f"{number.name} {member}" for member, number in self.signals)
        return names + ("" if self.waited_for else ", not waited for")


@dataclass(frozen=True)
class Plan:
    """One restart of everything."""

    groups: Sequence[Group]

    def __str__(self) -> str:
        return "; ".join(map(str, self.groups))


def plans(seed: int, rounds: int) -> Iterator[Plan]:
    """Restarts in random order; in the first of them everything dies at once, without a word."""
    dice: Any = random.Random(seed)  # noqa: S311 (a plan, no secret)
    yield Plan([Group([(m, signal.SIGKILL) for m in dice.sample([*Member], len(Member))], waited_for=True)])
    for _ in range(1, rounds):
        order, groups = dice.sample([*Member], len(Member)), []
        while order:
            size = dice.choice((1, 1, 2, 3))
            group, order = order[:size], order[size:]
            numbers = [(m, dice.choice((signal.SIGKILL, signal.SIGTERM))) for m in group]
            groups.append(Group(numbers, waited_for=dice.random() < 0.5))
        yield Plan(groups)


@asynccontextmanager
async def fleet(folder: Path) -> AsyncIterator[Fleet]:
    """Nothing runs yet; whatever is started ends with the block."""
    made = Fleet(folder)
    async with AsyncExitStack() as closing:
        closing.push_async_callback(made.end)
        yield made
