"""Traces: one from a start to Portal's own journal, in the log too, and nothing secret in any span."""

import asyncio
import json
import sys
import uuid
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from temporalio.client import WorkflowHistory
from temporalio.contrib.opentelemetry import TracingInterceptor
from temporalio.worker import Replayer

import starter
from contracts.stages import End, Stage
from runtime import tracing
from runtime.codec import EjectCodec
from runtime.converter import data_converter
from runtime.development import process
from runtime.settings import SettingsError
from serving.workers import RUNNER, WORKFLOWS
from tests.harness.commands import commands_of
from tests.harness.otlp import Receiver, Span
from tests.harness.processes import environment, run
from tests.harness.replaying import FOLDER, read, replayer
from tests.harness.search import Search
from tests.harness.secrets import secrets_of
from tests.harness.world import PATIENCE, World

TRACED = Replayer(
    workflows=WORKFLOWS,
    workflow_runner=RUNNER,
    data_converter=data_converter(EjectCodec({})),
    interceptors=[TracingInterceptor(TracerProvider(shutdown_on_exit=False).get_tracer("replays"))],
)


async def test_one_trace_from_the_start_to_portals_journal(workerless: World, tmp_path: Path) -> None:
    """Start, workflow, steps and calls are one trace; Portal, failures and log lines name the same one."""
    world, customer = workerless, workerless.sandbox.seed()
    world.sandbox.fault("enable_eject", "status", status=503)
    await world.deposit(customer)
    log = tmp_path / "worker.log"
    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(Receiver().listening())
        env = environment(**world.environment(), **receiver.environment)
        command = (sys.executable, "worker.py", "--role", "all")
        worker = await stack.enter_async_context(process(*command, env=env, log=log))
        code, _, error = await run("starter.py", *_start(world, customer.client_id), env=env)
        assert code == 0, error
        handle = starter.handle_of(world.client, customer.client_id)
        await world.reach(handle, Stage.AWAITING_CLAIM)
        proofs = world.proofs(await world.claim(customer))
        secrets = secrets_of(world, customer, sorted((world.vault_folder / "released").rglob("*.json")))
        await world.prove(customer, proofs)
        assert (await world.end(handle)).end is End.EJECTED
        await receiver.until("StartWorkflow:Eject", "RunActivity:write_receipt", "Portal:complete eject")
        worker.terminate()
        assert await asyncio.wait_for(worker.wait(), PATIENCE) == 0

    (began,) = receiver.called("StartWorkflow:Eject")
    assert began.attributes == {"temporalWorkflowID": handle.id}
    steps = {span.id: span for span in receiver.spans if span.name.startswith("RunActivity:")}
    calls = [span for span in receiver.spans if span.name.startswith("Portal:")]
    assert {span.trace for span in (*steps.values(), *calls)} == {began.trace}
    for span in calls:
        assert span.parent in steps, "a call is part of its step"
        assert _root(span, receiver.spans) == began

    told = str(uuid.UUID(began.trace))
    assert uuid.UUID(told).version == 4
    journal = world.sandbox.journal(client_id=customer.client_id)
    assert [line["trace"] for line in journal] == [told] * len(calls)
    assert {span.attributes["portal.trace_id"] for span in calls} == {told}
    assert [(span.name, span.attributes["portal.outcome"]) for span in calls if span.failed] == [
        ("Portal:enable eject", "unavailable")
    ]
    (line,) = _logged(log, "portal.call_failed")
    assert line.pop("timestamp")
    assert line.pop("span_id") in {span.id for span in calls if span.failed}
    assert line == {
        "event": "portal.call_failed",
        "level": "info",
        "call": "enable eject",
        "outcome": "unavailable",
        "status": 503,
        "activity": "enable_eject",
        "attempt": 1,
        "workflow_id": handle.id,
        "run_id": handle.result_run_id or (await handle.describe()).run_id,
        "portal_trace": told,
        "trace_id": began.trace,
    }

    assert Search(secrets).leaks({"the spans": receiver.raw, "the log": [log.read_bytes()]}) == []
    for span in receiver.spans:
        named = {name for name, value in span.attributes.items() if customer.client_id in value}
        assert named <= {"temporalWorkflowID"}, span
    await _must_be_the_same(await handle.fetch_history())


def _start(world: World, client_id: str) -> list[str]:
    owner = world.owner.identity.recipient
    options = {"client": client_id, "recipient": owner, "window": "P1D", "requested-by": "ada", "reason": "x"}
    return ["start", *(part for name, value in options.items() for part in (f"--{name}", value))]


def _root(span: Span, spans: list[Span]) -> Span:
    by_id = {one.id: one for one in spans}
    while span.parent:
        span = by_id[span.parent]
    return span


def _logged(log: Path, event: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return [line for line in lines if line["event"] == event]


async def _must_be_the_same(traced: WorkflowHistory) -> None:
    """A traced eject has headers more and no command; whoever replays need not trace."""
    assert "_tracer-data" in traced.to_json()
    assert commands_of(traced) == (FOLDER / "ejected.txt").read_text().splitlines()
    for one in (replayer(), TRACED):
        assert (await one.replay_workflow(traced, raise_on_replay_failure=False)).replay_failure is None


@pytest.mark.parametrize("name", ["ejected", "reopened_after_the_purge", "park_and_retry"])
async def test_an_eject_that_began_untraced_replays_where_traces_are_on(name: str) -> None:
    """Tracing can be turned on and off while ejects run."""
    history = await asyncio.to_thread(read, FOLDER / f"{name}.json")
    assert "_tracer-data" not in history.to_json()
    assert (await TRACED.replay_workflow(history, raise_on_replay_failure=False)).replay_failure is None


def test_a_trace_that_began_elsewhere_has_an_id_that_portal_takes() -> None:
    """Every digit is kept but what makes it a random UUID; without a trace the id is a new one."""
    foreign = 0x0AF7651916CD43DD8448EB211C80319C
    assert tracing.portal_id(foreign) == "0af76519-16cd-43dd-8448-eb211c80319c"
    made = uuid.UUID(tracing.portal_id(2**128 - 1))
    assert (made.version, made.variant) == (4, uuid.RFC_4122)
    assert tracing.portal_id(0) != tracing.portal_id(0)


async def test_without_a_receiver_nothing_is_loaded() -> None:
    """A worker that is not to be traced imports nothing of OpenTelemetry, and needs it not installed."""
    code = "import worker, starter, sys; print([m for m in sys.modules if m.startswith('opentelemetry')])"
    assert await run("-c", code, env=environment()) == (0, "[]\n", "")


def test_a_receiver_without_the_packages_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would otherwise be noticed when the first trace is looked for."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "runtime.spans", None)
    tracing._spans.cache_clear()
    with pytest.raises(SettingsError, match=r"eject\[traces\]"):
        tracing.interceptors()


@pytest.mark.production  # it takes as long as a process waits for its receiver
async def test_a_receiver_that_is_away_holds_nobody(workerless: World) -> None:
    """A command line ends with its answer and no other word, though its spans reach nobody."""
    customer = workerless.sandbox.seed()
    away = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
    env = environment(**workerless.environment(), **away)
    code, out, error = await run("starter.py", *_start(workerless, customer.client_id), env=env)
    assert (code, error) == (0, ""), (out, error)
