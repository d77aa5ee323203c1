"""The drift watch: nothing is found while ejects do their work, and whatever they did not do is found."""

import asyncio
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, ScheduleActionExecutionStartWorkflow, WorkflowHandle
from temporalio.testing import TimeSkipper

import starter
from contracts.drift import DRIFT_SCHEDULE, DriftKind, Watch, WatchReport
from contracts.failures import Failure, StepError
from contracts.names import TaskQueue
from contracts.stages import End, Stage
from custody.chain import Receipts
from ejects.drift import end_watch, keep_watch
from portal import custodian
from runtime.development import ROOT, free_port
from runtime.settings import WorkerRole
from runtime.temporal import _runtime
from serving.steps import activities_of, hosts_of
from tests.harness.codecs import new_key, with_keys
from tests.harness.portal import Customer
from tests.harness.receiver import Receiver
from tests.harness.temporal import skip_to_the_end
from tests.harness.world import PATIENCE, World, serving
from workflows import drift
from workflows.drift import DriftWatch

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
PAGE = (ROOT / "docs/recovery.md").read_text()
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)

Look = WorkflowHandle[DriftWatch, WatchReport]


async def begun(world: World, since: datetime = LONG_AGO) -> Look:
    """A look that has begun."""
    return await world.client.start_workflow(
        DriftWatch.run, Watch(since=since), id=f"drift-{uuid4()}", task_queue=TaskQueue.EJECT
    )


async def ended(world: World, look: Look) -> WatchReport:
    """What a look comes to, its pauses skipped."""
    async with asyncio.timeout(PATIENCE):
        await skip_to_the_end(world.client, look)
        return await look.result()


async def looked(world: World, since: datetime = LONG_AGO) -> WatchReport:
    """One look."""
    return await ended(world, await begun(world, since))


def found(report: WatchReport) -> dict[str, str]:
    """What was found, by client."""
    assert report.found == len(report.findings)
    return {one.client_id: str(one.kind) for one in report.findings}


def opened_by_hand(world: World, customer: Customer, length: timedelta = DAY) -> None:
    """Somebody with Portal's key opens the windows."""
    closes = (world.sandbox.now() + length).isoformat()
    wallets = world.sandbox.client(customer.client_id)["wallets"]
    change = {wallet["id"]: {"ejectable_until": closes} for wallet in wallets}
    world.sandbox.change(customer.client_id, wallets=change)


def ejected_by_hand(world: World, customer: Customer) -> None:
    """Somebody marks the client as ejected."""
    world.sandbox.change(customer.client_id, ejected_at=world.sandbox.now().isoformat())


async def until_the_second_look(look: Look) -> None:
    """Wait until the pause before it runs."""
    async with asyncio.timeout(PATIENCE):
        while True:
            async for event in look.fetch_history_events():
                if event.event_type == EventType.EVENT_TYPE_TIMER_STARTED:
                    return
            await asyncio.sleep(0.02)


async def test_ejects_at_work_are_no_drift(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancelled with Portal's window open, unresolved, to approve, parked, claimed, completed, ejected."""
    make = world.sandbox.seed
    unresolved, cancelled, approving, parked, claimed, completed, gone = (make() for _ in range(7))
    handle = await world.start(cancelled)
    await world.reach(handle, Stage.AWAITING_CLAIM)
    await world.cancel(cancelled)
    assert (await world.end(handle)).end is End.CANCELLED
    assert all(closes > world.sandbox.now() for closes in world.portal_closes(cancelled))

    handle = await world.start(unresolved, window=10 * MINUTE)
    await world.reach(handle, Stage.AWAITING_CLAIM)
    await world.claim(unresolved)
    await world.until_close(unresolved, handle, -MINUTE)
    await world.reach(handle, Stage.UNRESOLVED)

    await world.reach(await world.start(approving, approvals=1), Stage.AWAITING_APPROVAL)
    await world.reach(await starter.start(world.client, world.request(parked)), Stage.PARKED)
    handle = await world.start(claimed)
    await world.reach(handle, Stage.AWAITING_CLAIM)
    await world.claim(claimed)

    await world.leave(gone)
    handle = await world.start(completed)
    await world.reach(handle, Stage.AWAITING_CLAIM)

    async def refuse(*_: object) -> Any:
        raise StepError(Failure.VAULT_REFUSED, "The vault refuses this worker's credentials")

    with monkeypatch.context() as broken:
        broken.setattr(Receipts, "write", refuse)
        await world.prove(completed, world.proofs(await world.claim(completed)))
        await TimeSkipper(world.client).fast_forward(handle, MINUTE)
        await world.reach(handle, Stage.PARKED)
        assert world.sandbox.client(completed.client_id)["ejectedAt"]
        look = await begun(world)
        report = await ended(world, look)
    assert (found(report), report.seen, report.unsure) == ({}, 7, 0)
    # Nobody was even suspicious, so that there was no second look to wait for.
    kinds = [event.event_type async for event in look.fetch_history_events()]
    assert EventType.EVENT_TYPE_TIMER_STARTED not in kinds
    await world.retry(completed, 1)
    assert (await handle.result()).end is End.EJECTED
    assert found(await looked(world)) == {}


async def test_what_no_eject_did_is_found(world: World) -> None:
    """Opened by hand, ejected by hand, opened while an eject only waits, left open by a terminated eject."""
    opened, ejected, waiting, left, earlier, soon = (world.sandbox.seed() for _ in range(6))
    opened_by_hand(world, opened)
    opened_by_hand(world, soon, MINUTE)  # and closes before anybody could do anything
    ejected_by_hand(world, ejected)
    world.sandbox.change(earlier.client_id, ejected_at=(world.sandbox.now() - 2 * DAY).isoformat())
    await world.reach(await world.start(waiting, approvals=1), Stage.AWAITING_APPROVAL)
    opened_by_hand(world, waiting)
    handle = await world.start(left)
    await world.reach(handle, Stage.AWAITING_CLAIM)
    assert found(await looked(world, world.sandbox.now() - DAY)).keys() == {
        opened.client_id,
        ejected.client_id,
        waiting.client_id,
    }
    await handle.terminate("the test's")
    report = await looked(world, world.sandbox.now() - DAY)
    assert found(report) == {
        opened.client_id: DriftKind.WINDOW_OPEN,
        ejected.client_id: DriftKind.EJECTED,
        waiting.client_id: DriftKind.WINDOW_OPEN,
        left.client_id: DriftKind.WINDOW_OPEN,
    }
    assert earlier.client_id in found(await looked(world))


async def test_a_receipt_explains_only_its_own_mark(world: World) -> None:
    """A client that was closed, and was ejected by hand afterwards, is found."""
    customer = world.sandbox.seed()
    handle = await world.start(customer)
    await world.reach(handle, Stage.AWAITING_CLAIM)
    await world.cancel(customer)
    assert (await world.end(handle)).end is End.CANCELLED
    assert found(await looked(world)) == {}
    ejected_by_hand(world, customer)
    assert found(await looked(world)) == {customer.client_id: DriftKind.EJECTED}


async def test_what_settles_before_the_second_look_is_no_drift(world: World) -> None:
    """Portal is read again after a pause, so that an eject that has just ended is no alarm."""
    opened, ejected = world.sandbox.seed(), world.sandbox.seed()
    opened_by_hand(world, opened)
    ejected_by_hand(world, ejected)
    look = await begun(world)
    await until_the_second_look(look)
    wallets = world.sandbox.client(opened.client_id)["wallets"]
    world.sandbox.change(
        opened.client_id, wallets={wallet["id"]: {"ejectable_until": None} for wallet in wallets}
    )
    assert found(await ended(world, look)) == {ejected.client_id: DriftKind.EJECTED}


async def test_every_page_is_read_however_long_it_takes(
    unserved: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look that has become too long goes on in a new history, with what it has found."""
    world = unserved
    customers = [world.sandbox.seed() for _ in range(5)]
    for customer in (customers[0], customers[4]):
        ejected_by_hand(world, customer)
    monkeypatch.setattr(custodian, "PAGE", 1)
    monkeypatch.setattr(drift, "PAGES", 2)
    async with serving(world):
        report = await looked(world)
    assert found(report).keys() == {customers[0].client_id, customers[4].client_id}
    assert report.seen == 5
    assert len(world.sandbox.journal(call="list_clients")) == 5


async def test_findings_are_bounded(unserved: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond so many, a number is all that anybody is told."""
    world = unserved
    for _ in range(3):
        ejected_by_hand(world, world.sandbox.seed())
    monkeypatch.setattr(drift, "MOST", 2)
    async with serving(world):
        report = await looked(world)
    assert (report.found, len(report.findings), report.unsure) == (2, 2, 1)


async def latest(world: World, before: int) -> Look:
    """The look that the schedule has begun after so many."""
    handle = world.client.get_schedule_handle(DRIFT_SCHEDULE)
    async with asyncio.timeout(PATIENCE):
        while len(actions := (await handle.describe()).info.recent_actions) <= before:
            pass
    action = actions[-1].action
    assert isinstance(action, ScheduleActionExecutionStartWorkflow)
    return world.client.get_workflow_handle_for(DriftWatch.run, action.workflow_id)


async def test_a_schedule_looks_tells_once_and_is_encrypted(workerless: World) -> None:
    """Made twice it is one; a finding is told once, whatever looks follow; Temporal reads nothing of it."""
    receiver = Receiver()
    world = await with_keys(workerless, {"a": new_key()})
    world.settings = world.settings.model_copy(
        update={"notify_url": receiver.url, "notify_secret": SecretStr(receiver.secret)}
    )
    customer, other = world.sandbox.seed(), world.sandbox.seed()
    schedule = world.client.get_schedule_handle(DRIFT_SCHEDULE)
    try:
        async with receiver.listening(), serving(world):
            assert await keep_watch(world.client, HOUR, LONG_AGO) is True
            await schedule.pause(note="the test's")
            assert await keep_watch(world.client, 2 * HOUR) is False
            kept = (await schedule.describe()).schedule
            assert (kept.state.paused, kept.spec.intervals[0].every) == (True, 2 * HOUR)
            ejected_by_hand(world, customer)
            reports = []
            for number in range(3):
                if number == 2:
                    opened_by_hand(world, other)
                await schedule.trigger()
                look = await latest(world, number)
                reports.append(await ended(world, look))
            async with asyncio.timeout(PATIENCE), receiver.changed:
                await receiver.changed.wait_for(lambda: len(receiver.taken) == 2)
            text = str(await look.fetch_history())
    finally:
        assert await end_watch(world.client) is True
    assert [len(report.findings) for report in reports] == [1, 1, 2]
    assert receiver.repeated == []
    told = [(body["type"], body["data"]) for body in receiver.taken.values()]
    assert told == [
        ("eject.drift", {"found": 1, "clients": [customer.client_id]}),
        ("eject.drift", {"found": 2, "clients": [other.client_id]}),
    ]
    assert "binary/encrypted" in text
    assert customer.client_id not in text
    assert await end_watch(world.client) is False


async def test_a_wrong_interval_is_refused(workerless: World) -> None:
    """Neither a flood nor a watch in name only."""
    for every in (MINUTE, 8 * DAY):
        with pytest.raises(starter.EjectError, match="from 5 minutes"):
            await keep_watch(workerless.client, every)


async def test_a_refused_credential_fails_the_look_and_not_the_watch(unserved: World) -> None:
    """The look says why, and ends: the next one is the retry."""
    world = unserved
    world.settings = world.settings.model_copy(update={"custodian_api_key": SecretStr("sk_wrong_0123")})
    async with serving(world):
        look = await begun(world)
        with pytest.raises(Exception, match="Workflow execution failed") as failed:
            await ended(world, look)
    assert "CredentialRejected" in repr(failed.value.__cause__.__cause__)  # type: ignore[union-attr]


async def test_what_was_found_is_shown_to_prometheus_and_logged(
    unserved: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Under the names of docs/recovery.md: how many, and when the look ended; one line names the clients."""
    address = f"127.0.0.1:{free_port()}"
    own = unserved.client
    client = await Client.connect(
        own.service_client.config.target_host,
        namespace=own.namespace,
        data_converter=own.data_converter,
        runtime=_runtime(address),
    )
    world = replace(unserved, client=client)
    customer = world.sandbox.seed()
    ejected_by_hand(world, customer)
    async with serving(world):
        report = await looked(world)
        async with httpx.AsyncClient(trust_env=False) as http:
            lines = (await http.get(f"http://{address}/metrics")).text.splitlines()
    shown = {line.split("{")[0]: float(line.split()[-1]) for line in lines if line.startswith("eject_drift")}
    assert shown == {
        "eject_drift_findings": 1,
        "eject_drift_watched_timestamp_seconds": int(report.watched.timestamp()),
    }
    assert shown.keys() <= set(re.findall(r"`(eject_drift_\w+)`", PAGE))
    (line,) = [record for record in caplog.records if record.message.startswith("drift.found")]
    assert line.__dict__["clients"] == [f"{customer.client_id} ejected"]


async def test_only_the_custodian_role_watches(unserved: World) -> None:
    """The client role has none of its steps, and does not serve the queue of its workflow."""
    names = {}
    async with hosts_of(unserved.settings) as hosts:
        for role in (WorkerRole.CUSTODIAN, WorkerRole.CLIENT):
            queues = activities_of(role, unserved.settings, hosts)
            names[role] = {step.__name__ for steps in queues.values() for step in steps}, set(queues)
    steps = {"watch_page", "look_again", "report_drift"}
    assert steps <= names[WorkerRole.CUSTODIAN][0]
    assert not steps & names[WorkerRole.CLIENT][0]
    assert TaskQueue.EJECT not in names[WorkerRole.CLIENT][1]
