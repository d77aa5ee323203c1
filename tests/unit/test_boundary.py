"""The boundary round every activity: known words only, and cancellation passes through."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.failure.v1 import Failure as WireFailure
from temporalio.converter import DataConverter
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from activities.errors import ActivityBoundary, as_failure, unexpected
from contracts.failures import RULES, Failure, StepError
from contracts.names import WORKFLOW

SECRET = "Zq7planted"  # noqa: S105 (planted to be looked for)


class Inner(ActivityInboundInterceptor):
    """An activity that does what a test says."""

    def __init__(self, do: Any) -> None:
        self._do = do

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 (the SDK's name)
        return await self._do(*input.args)


def environment(heartbeat: timedelta | None = None, workflow_type: str = WORKFLOW) -> ActivityEnvironment:
    """An activity's surroundings without a server."""
    made = ActivityEnvironment(client=None)
    made.info = replace(
        ActivityEnvironment.default_info(), heartbeat_timeout=heartbeat, workflow_type=workflow_type
    )
    return made


async def bounded(do: Any, *args: Any, within: ActivityEnvironment | None = None) -> Any:
    """Run it behind the boundary."""
    boundary = ActivityBoundary().intercept_activity(Inner(do))
    what = ExecuteActivityInput(fn=do, args=args, executor=None, headers={})
    return await (within or environment()).run(boundary.execute_activity, what)


def wire(error: BaseException) -> str:
    """The failure as it would lie in history: messages, stack traces, causes."""
    failure = WireFailure()
    converter = DataConverter.default
    converter.failure_converter.to_failure(error, converter.payload_converter, failure)
    return str(failure)


async def test_what_an_activity_returns_passes_through() -> None:
    """The boundary changes failures only."""

    async def double(number: int) -> int:
        return 2 * number

    assert await bounded(double, 21) == 42


@pytest.mark.parametrize("failure", Failure)
async def test_a_step_error_keeps_its_meaning(failure: Failure) -> None:
    """Type, sentence, whether it is retried, and the delay that the other side asked for."""

    async def fail() -> None:
        raise StepError(failure, "one sentence", timedelta(seconds=7))

    with pytest.raises(ApplicationError) as caught:
        await bounded(fail)
    error = caught.value
    retried = RULES[failure].retried
    assert (error.type, error.message) == (failure.value, "one sentence")
    assert error.non_retryable is not retried
    assert error.next_retry_delay == (timedelta(seconds=7) if retried else None)
    assert list(error.details) == []


@pytest.mark.parametrize("failure", Failure)
def test_only_what_passes_by_itself_is_benign(failure: Failure) -> None:
    """An outage of Portal's must not raise an alarm of ours; a defect and a park must."""
    benign = as_failure(StepError(failure, "x")).category is ApplicationErrorCategory.BENIGN
    assert benign is (RULES[failure].retried and failure is not Failure.UNEXPECTED)


class CarelessError(Exception):
    """A library's error that holds what it was given."""

    def __init__(self, share: str) -> None:
        super().__init__(f"bad share {share}")
        self.share = share


async def _plain(share: str) -> None:
    raise CarelessError(share)


async def _chained(share: str) -> None:
    try:
        raise CarelessError(share)
    except CarelessError as error:
        raise RuntimeError(f"while reading {share}") from error


async def _in_context(share: str) -> None:
    try:
        raise CarelessError(share)
    except CarelessError:
        raise KeyError(share)  # noqa: B904 (as careless code does)


async def _grouped(share: str) -> None:
    raise ExceptionGroup(share, [CarelessError(share)])


async def _noted(share: str) -> None:
    error = ValueError(share)
    error.add_note(share)
    raise error


@pytest.mark.parametrize(
    ("careless", "name"),
    [
        (_plain, "CarelessError"),
        (_chained, "RuntimeError"),
        (_in_context, "KeyError"),
        (_grouped, "ExceptionGroup"),
        (_noted, "ValueError"),
    ],
)
async def test_an_unexpected_error_is_told_without_its_text(careless: Any, name: str) -> None:
    """A library's error may hold a share: history gets its type and its place, nothing more."""
    with pytest.raises(ApplicationError) as caught:
        await bounded(careless, SECRET)
    error = caught.value
    assert error.type == Failure.UNEXPECTED.value
    assert not error.non_retryable
    assert error.message.startswith(f"An unexpected {name} at test_boundary.py:")
    assert f" in {careless.__name__}, " in error.message
    assert SECRET not in wire(error)
    assert error.__cause__ is None
    assert error.__suppress_context__


async def test_a_step_error_brings_no_cause_along() -> None:
    """What a step caught before it raised its sentence does not reach history behind it."""

    async def fail(share: str) -> None:
        try:
            raise CarelessError(share)
        except CarelessError as error:
            raise StepError(Failure.SHARE_UNREADABLE, "it does not parse") from error

    with pytest.raises(ApplicationError) as caught:
        await bounded(fail, SECRET)
    assert caught.value.message == "it does not parse"
    assert SECRET not in wire(caught.value)


def test_an_error_that_was_never_raised_has_no_place() -> None:
    """No frame, no place, and still no text."""
    error = unexpected(CarelessError(SECRET))
    assert error.sentence == "An unexpected CarelessError at no place"


async def test_an_application_error_passes_through() -> None:
    """What already is Temporal's failure is not wrapped again."""
    ours = ApplicationError("ours", type="Refused", non_retryable=True)

    async def fail() -> None:
        raise ours

    with pytest.raises(ApplicationError) as caught:
        await bounded(fail)
    assert caught.value is ours


async def test_cancellation_passes_through() -> None:
    """A cancelled activity ends as cancelled, not as failed: the workflow would park it."""
    started = asyncio.Event()

    async def wait() -> None:
        started.set()
        await asyncio.Event().wait()

    within = environment()
    running = asyncio.create_task(bounded(wait, within=within))
    await started.wait()
    within.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


@pytest.mark.parametrize("fails", [False, True])
async def test_a_heartbeat_comes_while_it_runs_and_ends_with_it(fails: bool) -> None:
    """A dead worker is noticed by its silence, so a live one beats at once, and a finished one no more."""
    beat = asyncio.Event()
    within = environment(heartbeat=timedelta(seconds=5))
    within.on_heartbeat = lambda *_: beat.set()
    before = asyncio.all_tasks()

    async def work() -> None:
        async with asyncio.timeout(10):  # only without a beat
            await beat.wait()
        if fails:
            raise StepError(Failure.NOT_FOUND, "gone")

    try:
        await bounded(work, within=within)
    except ApplicationError as error:
        assert fails and error.type == Failure.NOT_FOUND
    assert all(task.cancelling() for task in asyncio.all_tasks() - before)


async def test_without_a_heartbeat_timeout_there_is_none() -> None:
    """A local activity has none: it is over before anyone would listen."""
    within = environment()
    within.on_heartbeat = lambda *_: pytest.fail("a beat that nobody asked for")
    before = asyncio.all_tasks()

    async def work() -> int:
        return len(asyncio.all_tasks() - before)

    assert await bounded(work, within=within) == 1  # the activity itself


@pytest.mark.parametrize("workflow_type", ["", "Thief", "Eject2"])
async def test_a_step_outside_an_eject_is_refused(workflow_type: str) -> None:
    """Temporal can run a single activity; one that fetched shares for anybody would be a door."""
    ran = []

    async def do(*_: Any) -> None:
        ran.append(True)

    with pytest.raises(ApplicationError, match="only inside an eject") as refused:
        await bounded(do, within=environment(workflow_type=workflow_type))
    assert refused.value.non_retryable
    assert ran == []
