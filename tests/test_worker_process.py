"""The worker as a process: when it refuses to start, what it says, how it ends."""

import asyncio
import json
import re
import signal
import socket
import sys
from asyncio import StreamReader, StreamWriter
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client

from contracts.names import TaskQueue
from contracts.stages import End
from runtime.development import line_of, process
from tests.harness.processes import environment, run
from tests.harness.tls import pour
from tests.harness.world import PATIENCE, World

NOWHERE = "127.0.0.1:1"
SECRET = "AGE-SECRET-KEY-1PLANTEDPLANTEDPLANTEDPLANTEDPLANTED"  # noqa: S105 (planted, to be looked for)


@asynccontextmanager
async def worker(role: str, env: Mapping[str, str]) -> AsyncIterator[Process]:
    """A worker whose log lines are its standard output, so that they can be waited for."""
    command = ["/bin/sh", "-c", 'exec "$@" 2>&1', "sh", sys.executable, "worker.py", "--role", role]
    async with process(*command, env=env) as running:
        yield running


async def said(running: Process, event: str, times: int = 1) -> list[dict[str, Any]]:
    """Read the worker's log until an event has come so many times; every line until then."""
    lines: list[dict[str, Any]] = []
    while sum(line["event"].startswith(event) for line in lines) < times:
        lines.append(json.loads(await line_of(running)))
    return lines


async def ended(running: Process) -> int:
    """Ask a worker to end, and wait until it has."""
    running.send_signal(signal.SIGTERM)
    return await asyncio.wait_for(running.wait(), PATIENCE)


def settings_of(world: World, *without: str, **other: str) -> dict[str, str]:
    """The environment of a worker process of this world, without some settings and with others."""
    own = {name: value for name, value in world.environment().items() if name not in without}
    return environment(**(own | other))


def one_sentence(error: str, lines: int = 1) -> str:
    """What a program said, when it was one line, or so many, and no traceback."""
    assert error.endswith("\n"), error
    assert error.count("\n") == lines, error
    assert "Traceback" not in error
    return error.strip()


async def refused(role: str, env: Mapping[str, str], lines: int = 1) -> str:
    """What a worker says when it refuses to start, a line or so many, with exit code 2 and nothing else."""
    code, out, error = await run("worker.py", "--role", role, env=env)
    assert (code, out) == (2, ""), (code, out, error)
    return one_sentence(error, lines)


async def test_it_refuses_to_start_without_its_search_attributes(workerless: World, temporal: Client) -> None:
    """In a namespace without them it names the command that makes them, and after it the worker serves."""
    bare = f"bare-{uuid4()}"
    request = RegisterNamespaceRequest(namespace=bare)
    request.workflow_execution_retention_period.FromSeconds(86400)
    await temporal.workflow_service.register_namespace(request)
    env = settings_of(workerless, TEMPORAL_NAMESPACE=bare)
    sentence = await refused("custodian", env)
    assert "EjectStage, EjectStageSince, EjectClient, EjectWindowCloses" in sentence
    (command,) = re.findall(r"`python (starter\.py register)`", sentence)
    for told in (
        "Created: EjectStage, EjectStageSince, EjectClient, EjectWindowCloses.",
        "All search attributes were there.",
    ):
        code, out, _ = await run(*command.split(), env=env)
        assert (code, out.strip()) == (0, told)
    async with worker("custodian", env) as running:
        await said(running, "worker.serving")
        assert await ended(running) == 0


@pytest.mark.parametrize(
    ("role", "missing"),
    [
        ("custodian", ["EJECT_VAULT_URL", "EJECT_CUSTODIAN_API_KEY"]),
        ("client", ["EJECT_VAULT_URL", "EJECT_CLIENT_IDENTITY"]),
        ("all", ["EJECT_VAULT_URL", "EJECT_CUSTODIAN_API_KEY", "EJECT_CLIENT_IDENTITY"]),
    ],
)
async def test_it_names_all_that_is_wrong_at_once(role: str, missing: list[str]) -> None:
    """A role names every setting that it lacks or cannot read, Temporal's too, before it looks for that."""
    wrong = {"EJECT_LOG_LEVEL": "loud", "TEMPORAL_CONFIG_FILE": "/nowhere.toml"}
    env = environment(TEMPORAL_ADDRESS=NOWHERE, **wrong)
    told = await refused(role, env, lines=len(missing) + len(wrong))
    named = [re.split(r"[: ]", line)[0] for line in told.split("\n")]
    assert named == ["EJECT_LOG_LEVEL", *missing, "TEMPORAL_CONFIG_FILE"]


async def test_it_refuses_a_wrong_identity_without_repeating_it(workerless: World) -> None:
    """An identity that is none is named by its setting and never by its value."""
    sentence = await refused("client", settings_of(workerless, EJECT_CLIENT_IDENTITY=SECRET))
    assert "EJECT_CLIENT_IDENTITY" in sentence
    assert "PLANTED" not in sentence


async def test_it_speaks_plain_http_to_this_machine_only(workerless: World) -> None:
    """An address of another machine without TLS is refused, every one of them at once."""
    wrong = {"EJECT_PORTAL_URL": "http://portal.example/api/v3", "EJECT_ENCLAVE_URL": "http://10.0.0.1"}
    told = await refused("all", settings_of(workerless, **wrong), lines=2)
    assert [line.partition(": must begin with https://")[0] for line in told.split("\n")] == list(wrong)


@pytest.mark.parametrize("role", ["custodian", "client"])
async def test_it_says_where_it_looked_for_temporal(workerless: World, role: str) -> None:
    """Nobody listening is one sentence with the address."""
    assert NOWHERE in await refused(role, settings_of(workerless, TEMPORAL_ADDRESS=NOWHERE))


@pytest.mark.parametrize("role", ["custodian", "client"])
async def test_it_refuses_a_namespace_that_is_not_there(workerless: World, role: str) -> None:
    """A mistyped namespace is one sentence with its name, whichever the role."""
    assert "mistyped" in await refused(role, settings_of(workerless, TEMPORAL_NAMESPACE="mistyped"))


async def test_it_refuses_an_address_for_metrics_that_is_taken(workerless: World) -> None:
    """Two workers of one machine need one each: the second says so, and does not serve unseen."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        sentence = await refused("custodian", settings_of(workerless, EJECT_METRICS_ADDRESS=address))
    assert sentence == f"EJECT_METRICS_ADDRESS {address} cannot be listened at: " + (
        "name a free ip:port of this machine"
    )


async def test_it_refuses_an_unknown_role(workerless: World) -> None:
    """Wrong use is one sentence that names the roles."""
    sentence = await refused("nobody", settings_of(workerless))
    assert all(role in sentence for role in ("all", "custodian", "client"))


async def test_a_worker_of_both_roles_says_so_first(workerless: World) -> None:
    """`--role all` warns that it sees both halves before it serves; a single role has nothing to warn of."""
    async with worker("all", settings_of(workerless)) as running:
        lines = await said(running, "worker.serving")
        assert [line["event"] for line in lines] == ["worker.sees_both_halves", "worker.serving"]
        assert lines[0]["level"] == "warning"
        assert await ended(running) == 0
    async with worker("client", settings_of(workerless)) as running:
        assert [line["event"] for line in await said(running, "worker.serving")] == ["worker.serving"]
        assert await ended(running) == 0


@pytest.mark.skipif(
    not Path("/proc/self/limits").exists(), reason="only Linux shows another process's limits"
)
async def test_a_crash_leaves_no_memory_behind(workerless: World) -> None:
    """Core dumps are off for good: both the limit and how far it may be raised are nothing."""
    async with worker("all", settings_of(workerless)) as running:
        await said(running, "worker.serving")
        limits = await asyncio.to_thread(Path(f"/proc/{running.pid}/limits").read_text)
    (core,) = [line for line in limits.splitlines() if line.startswith("Max core file size")]
    assert core.split()[4:6] == ["0", "0"]


async def test_two_roles_complete_an_eject_together(workerless: World) -> None:
    """Custodian and client, two processes of which neither has the other's settings, see an eject through."""
    custodian_env = settings_of(workerless, "EJECT_CLIENT_IDENTITY", "EJECT_CLIENT_RECIPIENT")
    client_env = settings_of(workerless, "EJECT_CUSTODIAN_API_KEY", "EJECT_CLIENT_RECIPIENT")
    async with AsyncExitStack() as stack:
        custodian = await stack.enter_async_context(worker("custodian", custodian_env))
        client = await stack.enter_async_context(worker("client", client_env))
        await said(custodian, "worker.serving")
        await said(client, "worker.serving")
        customer = workerless.sandbox.seed()
        await workerless.deposit_api_key(customer)
        handle, receipt = await workerless.leave(customer)
        assert receipt.end is End.EJECTED
        assert workerless.completions(customer) == 1
        assert await _who_worked(workerless, handle.id) == {
            TaskQueue.EJECT: {str(custodian.pid)},
            TaskQueue.CUSTODIAN: {str(custodian.pid)},
            TaskQueue.CLIENT: {str(client.pid)},
            TaskQueue.ENCLAVE: {str(client.pid)},
            TaskQueue.DEPOSITS: {str(client.pid)},
        }
        assert [await ended(custodian), await ended(client)] == [0, 0]


async def test_sigterm_lets_an_attempt_under_way_finish(workerless: World) -> None:
    """While the attempt drains no queue takes new work; its result arrives, and the exit code is 0."""
    async with AsyncExitStack() as stack:
        door = await stack.enter_async_context(gate(workerless.settings.enclave_url))
        running = await stack.enter_async_context(
            worker("all", settings_of(workerless, EJECT_ENCLAVE_URL=door.url))
        )
        await said(running, "worker.serving")
        customer = workerless.sandbox.seed()
        handle = await workerless.start(customer)
        await asyncio.wait_for(door.came.wait(), PATIENCE)
        running.send_signal(signal.SIGTERM)
        await said(running, "Beginning worker shutdown", times=len(TaskQueue))
        door.opened.set()
        await said(running, "worker.stopped")
        assert await asyncio.wait_for(running.wait(), PATIENCE) == 0
    assert len(workerless.sandbox.journal(client_id=customer.client_id, call="back_up")) == 1
    events = (await handle.fetch_history()).events
    started = [e for e in events if e.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED]
    completed = [e for e in events if e.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED]
    assert [e.activity_task_started_event_attributes.attempt for e in started] == [1, 1]
    assert len(completed) == 2, "check and back_up"
    await handle.terminate("the test has seen what it wanted")


async def _who_worked(world: World, workflow_id: str) -> dict[str, set[str]]:
    """The process ids that ran the activities of each queue, as history names them."""
    found: dict[str, set[str]] = {}
    queues: dict[int, str] = {}
    async for event in world.client.get_workflow_handle(workflow_id).fetch_history_events():
        scheduled = event.activity_task_scheduled_event_attributes
        started = event.activity_task_started_event_attributes
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            queues[event.event_id] = scheduled.task_queue.name
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
            queue = queues[started.scheduled_event_id]
            found.setdefault(queue, set()).add(started.identity.partition("@")[0])
    return found


@dataclass
class Gate:
    """A door before a server: it tells when a call has come, and lets calls through once it is opened."""

    url: str
    came: asyncio.Event = field(default_factory=asyncio.Event)
    opened: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def gate(upstream: str) -> AsyncIterator[Gate]:
    """A closed gate on a free port."""
    behind = urlsplit(upstream)

    async def call(reader: StreamReader, writer: StreamWriter) -> None:
        asked = await reader.read(65536)
        door.came.set()
        await door.opened.wait()
        back, forth = await asyncio.open_connection(behind.hostname, behind.port)
        forth.write(asked)
        await asyncio.gather(pour(reader, forth), pour(back, writer))

    server = await asyncio.start_server(call, "127.0.0.1", 0)
    door = Gate(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    async with server:
        yield door
