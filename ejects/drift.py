"""The schedule of the drift watch: made, changed and ended."""

from datetime import UTC, datetime, timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleState,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.service import RPCError, RPCStatusCode

from contracts.drift import DRIFT_SCHEDULE, DRIFT_WORKFLOW, Watch
from contracts.names import TaskQueue
from ejects.service import EjectError

SHORTEST = timedelta(minutes=5)
LONGEST = timedelta(days=7)

# A look is no eject: one that stands still, as after a change of its commands, must not keep all others away.
_ENDS_WITHIN = timedelta(days=1)


async def keep_watch(client: Client, every: timedelta, since: datetime | None = None) -> bool:
    """Have a look at all of Portal's clients this often; whether there was no schedule before.

    Repeating it changes the interval, and with `since` from when on an ejected client must be one of ours;
    without, that stays, and is now for a new schedule. A pause stays.
    """
    if not SHORTEST <= every <= LONGEST:
        raise EjectError("The interval must be from 5 minutes (PT5M) to 7 days (P7D)")
    try:
        made = _schedule(every, since or datetime.now(UTC), ScheduleState())
        await client.create_schedule(DRIFT_SCHEDULE, made)
    except ScheduleAlreadyRunningError:
        await _change(client, every, since)
        return False
    return True


async def end_watch(client: Client) -> bool:
    """Delete the schedule; whether there was one. A look that is under way goes on to its end."""
    try:
        await client.get_schedule_handle(DRIFT_SCHEDULE).delete()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return True


async def _change(client: Client, every: timedelta, since: datetime | None) -> None:
    async def changed(given: ScheduleUpdateInput) -> ScheduleUpdate:
        before = given.description.schedule
        kept = since or await _since(client, before)
        return ScheduleUpdate(_schedule(every, kept, before.state))

    await client.get_schedule_handle(DRIFT_SCHEDULE).update(changed)


async def _since(client: Client, schedule: Schedule) -> datetime:
    action = schedule.action
    if not isinstance(action, ScheduleActionStartWorkflow):
        raise EjectError(f"The schedule {DRIFT_SCHEDULE} is not ours: delete it first")
    (watch,) = await client.data_converter.decode(list(action.args), [Watch])
    return Watch.model_validate(watch).since


def _schedule(every: timedelta, since: datetime, state: ScheduleState) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(
            DRIFT_WORKFLOW,
            Watch(since=since),
            id=DRIFT_SCHEDULE,
            task_queue=TaskQueue.EJECT,
            execution_timeout=_ENDS_WITHIN,
            static_summary="Is any client open or ejected at Portal that no eject of ours has touched?",
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)]),
        policy=SchedulePolicy(
            # Two looks at once would find the same, at twice the cost to Portal's budget.
            overlap=ScheduleOverlapPolicy.SKIP,
            # After an outage one look tells all that the missed ones would have.
            catchup_window=every,
            # What one look met, such as a refused credential, must not end the watch: the next tells it too.
            pause_on_failure=False,
        ),
        state=state,
    )
