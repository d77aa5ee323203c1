"""What an eject costs Temporal: events, bytes, and which stages are written."""

from collections import Counter
from datetime import timedelta

from pydantic import SecretStr
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory

import starter
from contracts.names import Attribute
from contracts.stages import End, Stage
from tests.harness.receiver import Receiver
from tests.harness.world import World, serving

SHOWN_AFTER = timedelta(seconds=2)
# Scheduled, started, completed.
WORKFLOW_TASK = 3


def as_shipped(world: World, **more: object) -> World:
    """With the stages shown as production shows them; all other tests have each shown at once."""
    world.settings = world.settings.model_copy(update={"stage_shown_after": SHOWN_AFTER, **more})
    return world


async def size_of(handle: starter.EjectHandle) -> tuple[int, int]:
    """Events and bytes of a history, as Temporal counts them."""
    info = (await handle.describe()).raw_description.workflow_execution_info
    return info.history_length, info.history_size_bytes


def events_of(history: WorkflowHistory) -> Counter[str]:
    """What happened how often; workflow tasks aside, whose number depends on what comes together."""
    names = (EventType.Name(event.event_type).removeprefix("EVENT_TYPE_") for event in history.events)
    return Counter(name for name in names if not name.startswith("WORKFLOW_TASK_"))


def upserts(history: WorkflowHistory) -> int:
    """How many times attributes were written."""
    kind = EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES
    return sum(event.event_type == kind for event in history.events)


async def test_an_eject_without_trouble_fits_into_105_events_and_60_kilobytes(workerless: World) -> None:
    """Two wallets, nobody told; three stages are written, at which it rests or ends, and nothing else."""
    world = as_shipped(workerless)
    async with serving(world):
        handle, receipt = await world.leave(world.sandbox.seed())
        assert receipt.end is End.EJECTED
        events, size = await size_of(handle)
        assert events <= 105
        assert size <= 60_000
        assert [stage async for stage in starter.stages(handle)] == [
            Stage.CHECKING,
            Stage.AWAITING_CLAIM,
            Stage.AWAITING_PROOF,
            End.EJECTED,
        ]
        assert upserts(await world.history(handle)) == 3


async def test_a_notice_adds_at_most_six_events(workerless: World) -> None:
    """Three of an activity, or two of a child; and one workflow task, which is three, after each."""
    plain, receiver = as_shipped(workerless), Receiver()
    async with serving(plain):
        bare = events_of(await plain.history((await plain.leave(plain.sandbox.seed()))[0]))
    telling = as_shipped(workerless, notify_url=receiver.url, notify_secret=SecretStr(receiver.secret))
    async with receiver.listening(), serving(telling):
        customer = telling.sandbox.seed()
        handle = await telling.start(customer)
        await telling.reach(handle, Stage.AWAITING_CLAIM)
        await receiver.until("shares_ready")
        await telling.prove(customer, telling.proofs(await telling.claim(customer)))
        assert (await telling.end(handle)).end is End.EJECTED
        await receiver.until("shares_ready", "ejected")
    more = events_of(await telling.history(handle)) - bare
    activity = {f"ACTIVITY_TASK_{what}" for what in ("SCHEDULED", "STARTED", "COMPLETED")}
    child = {"START_CHILD_WORKFLOW_EXECUTION_INITIATED", "CHILD_WORKFLOW_EXECUTION_STARTED"}
    # Once in an eject that tells anybody: the order of commands has changed, and it may warn of the close.
    once = {"MARKER_RECORDED", "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES", "TIMER_STARTED", "TIMER_CANCELED"}
    assert more == Counter(activity | child | once)
    assert max(len(activity), len(child)) + WORKFLOW_TASK <= 6


async def test_a_stage_that_lasts_is_shown_with_the_moment_at_which_it_began(workerless: World) -> None:
    """While Portal is down people see in which step; then no step that passes."""
    world = as_shipped(workerless)
    async with serving(world):
        customer = world.sandbox.seed()
        world.sandbox.fault("back_up", "status", status=503, times=1000, client_id=customer.client_id)
        handle = await world.start(customer)
        await world.reach(handle, Stage.BACKING_UP)
        shown = (await handle.describe()).typed_search_attributes
        since = next(pair.value for pair in shown if pair.key.name == Attribute.STAGE_SINCE)
        (entered,) = [
            event.event_time.ToDatetime(since.tzinfo)
            for event in (await world.history(handle)).events
            if event.activity_task_scheduled_event_attributes.activity_type.name == "back_up"
        ]
        assert abs(entered - since) < SHOWN_AFTER / 2
        world.sandbox.clear_faults()
        await world.reach(handle, Stage.AWAITING_CLAIM)
        seen = []
        async for stage in starter.stages(handle):
            seen.append(stage)
            if stage is Stage.AWAITING_CLAIM:
                break
        assert seen == [Stage.CHECKING, Stage.BACKING_UP, Stage.AWAITING_CLAIM]


async def test_who_was_told_of_a_park_is_told_at_once_that_it_goes_on(workerless: World) -> None:
    """Or a list would call parked what runs again."""
    world = as_shipped(workerless)
    async with serving(world):
        customer = world.sandbox.seed()
        handle = await starter.start(world.client, world.request(customer))
        await world.reach(handle, Stage.PARKED)
        await world.deposit(customer)
        await world.retry(customer, 1)
        await world.reach(handle, Stage.AWAITING_CLAIM)
        await world.cancel(customer)
        await world.end(handle)
        stages = [stage async for stage in starter.stages(handle)]
    assert stages[:4] == [Stage.CHECKING, Stage.PARKED, Stage.BACKING_UP, Stage.AWAITING_CLAIM]
    assert stages[-1] is End.CANCELLED
