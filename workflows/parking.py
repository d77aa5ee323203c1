"""Parking: run a step, park it when retrying cannot mend it, wait for the operator, run it again."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from pydantic import ValidationError
from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from contracts.base import Result, sentence
    from contracts.failures import RULES, Failure
    from contracts.metrics import PARKED
    from contracts.parks import Park, Retry, RetryAnswer, RetryOutcome
    from contracts.stages import Stage
    from contracts.steps import Wrote
    from workflows.policies import ANSWERS_WITHIN, HEARTBEAT, Step, priority

from workflows.measuring import count

I = TypeVar("I")  # noqa: E741 (what goes in)
O = TypeVar("O", bound=Result)  # noqa: E741 (what comes out)

# These are not troubles but turns of the story, which the workflow itself takes.
_TURNS = (Failure.WINDOW_AGED, Failure.WINDOW_CLOSED)


class Turn(Exception):  # noqa: N818 (a turn of the story, not an error)
    """A step ended in a way that the story goes on from; `wait` is how long the other side asks for."""

    def __init__(self, failure: Failure, wait: timedelta | None = None) -> None:
        super().__init__(failure)
        self.failure = failure
        self.wait = wait or timedelta(0)


class Trouble(Exception):  # noqa: N818 (what a step met, told to whoever ran it)
    """Retrying cannot mend this; a person can."""

    def __init__(self, failure: Failure, reason: str) -> None:
        super().__init__(reason)
        self.failure = failure
        self.reason = reason
        self.mend = RULES[failure].mend


class Parking:
    """The steps that stand still, by number.

    `stage` tells where the eject is, `closes` when its window closes, if one was opened; `changed` is called
    whenever a step parks or goes on.
    """

    def __init__(
        self,
        stage: Callable[[], Stage],
        closes: Callable[[], datetime | None],
        changed: Callable[[], None],
    ) -> None:
        self._stage = stage
        self._closes = closes
        self._changed = changed
        self._count = 0
        self._parks: dict[int, Park] = {}
        self._became: dict[int, RetryAnswer] = {}
        # A reset leaves the attempts of the run before it behind.
        info = workflow.info()
        self._unsettled = int(info.run_id != info.first_execution_run_id)
        # An activity that finishes although it was cancelled swallows the cancellation of whoever awaits it.
        self._stopped = False

    @property
    def current(self) -> Park | None:
        """The latest halt that still stands."""
        return self._parks[max(self._parks)] if self._parks else None

    @property
    def settled(self) -> bool:
        """Whether no step can write sealed files any more: each had one attempt, and that has answered."""
        return self._unsettled == 0

    async def run(self, step: Step[I, O], make: Callable[[], I]) -> O:
        """Run a step until it is done, parked in between as often as it takes.

        `make` builds the step's input anew for each run of it. Cancellation passes through; `Turn` is raised
        where the story goes on differently.
        """
        return await self.through(step, lambda: self.attempt(step, make))

    async def through(self, step: Step[I, O], attempt: Callable[[], Awaitable[O]]) -> O:
        """Make an attempt until it is done, parked in between like the step that it stands for."""
        retried = 0
        while True:
            try:
                result = await attempt()
            except Trouble as trouble:
                retried = await self._stand(step, trouble, retried)
            except (Turn, asyncio.CancelledError):
                self._answer(retried, RetryOutcome.ABANDONED)
                raise
            else:
                self._answer(retried, RetryOutcome.DONE)
                return result

    async def attempt(self, step: Step[I, O], make: Callable[[], I]) -> O:
        """Run a step until it is done or `Trouble` that retrying cannot mend; nothing parks."""
        self._unsettled += issubclass(step.answer, Wrote)
        try:
            # By name and without a type: the SDK would read the result before this `try` could notice that
            # it is no such result, and the whole eject would fail.
            given = await workflow.execute_activity(
                step.name,
                make(),
                task_queue=step.queue,
                summary=step.summary,
                start_to_close_timeout=step.start_to_close,
                heartbeat_timeout=HEARTBEAT,
                retry_policy=step.retry,
                cancellation_type=step.cancellation,
                priority=priority(step, self._closes(), workflow.now()),
            )
            result = step.answer.model_validate(given)
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise asyncio.CancelledError from error
            failure, reason = _read(error)
            if step.retry.maximum_attempts == 1 and (RULES[failure].retried or _unheard(error)):
                raise Turn(failure, _asked_for(error)) from None
        except ValidationError as error:
            failure = Failure.MESSAGE_INVALID
            reason = f"What the step was given or answered has another form: {sentence(error)}"
        else:
            self._unsettled -= isinstance(result, Wrote) and result.only_attempt
            if self._stopped:
                raise asyncio.CancelledError
            return result
        if self._stopped:
            raise asyncio.CancelledError
        if failure in _TURNS:
            raise Turn(failure)
        raise Trouble(failure, reason)

    async def _stand(self, step: Step[I, O], trouble: Trouble, retried: int) -> int:
        """Wait for the retry of this very park; returns its number."""
        self._count += 1
        number = self._count
        self._parks[number] = park = Park(
            number=number,
            stage=self._stage(),
            step=step.name,
            failure=trouble.failure,
            reason=trouble.reason,
            mend=trouble.mend,
            since=workflow.now(),
        )
        count(PARKED, step=step.name, failure=trouble.failure)
        workflow.logger.warning(
            "eject.step_parked", extra={"step": step.name, "failure": trouble.failure, "park": number}
        )
        self._answer(retried, RetryOutcome.PARKED, park)
        self._changed()
        try:
            await workflow.wait_condition(lambda: number not in self._parks)
        except asyncio.CancelledError:
            self._parks.pop(number, None)
            self._changed()
            raise
        return number

    async def give_up(self, running: asyncio.Task[Any]) -> None:
        """Cancel what runs steps; a step that finishes all the same does not go on to the next."""
        self._stopped = True
        running.cancel()
        await workflow.wait_condition(running.done)
        self._stopped = False

    def refuse(self, command: Retry) -> None:
        """Refuse a retry that names no halt that stands now."""
        if command.park not in self._parks:
            standing = ", ".join(f"park {number}" for number in self._parks) or "nothing"
            raise ApplicationError(
                f"Park {command.park} does not stand any more: parked now is {standing}; see `status`",
                type="RetryRefused",
                non_retryable=True,
            )

    async def retry(self, command: Retry) -> RetryAnswer:
        """Let a parked step run again, and say what became of it."""
        del self._parks[command.park]
        self._changed()
        try:
            await workflow.wait_condition(
                lambda: command.park in self._became,
                timeout=ANSWERS_WITHIN,
                timeout_summary="what became of the retried step",
            )
        except TimeoutError:
            return RetryAnswer(outcome=RetryOutcome.RUNNING)
        return self._became[command.park]

    def _answer(self, retried: int, outcome: RetryOutcome, park: Park | None = None) -> None:
        if retried:
            self._became[retried] = RetryAnswer(outcome=outcome, park=park)


def _unheard(error: ActivityError) -> bool:
    """Whether the only attempt ended without a word: its worker died, was stopped, or took too long."""
    return not isinstance(error.cause, ApplicationError)


def _asked_for(error: ActivityError) -> timedelta | None:
    """`Retry-After`, which Temporal itself keeps to only where it tries again."""
    return error.cause.next_retry_delay if isinstance(error.cause, ApplicationError) else None


def _read(error: ActivityError) -> tuple[Failure, str]:
    """Which failure of the closed set an activity reported, and its sentence."""
    cause = error.cause
    if isinstance(cause, ApplicationError):
        try:
            return Failure(cause.type or ""), cause.message
        except ValueError:
            pass
    # Only an operator's `temporal activity fail` or a newer worker ends a step in other words.
    return Failure.UNEXPECTED, f"The step ended with {type(cause).__name__}"
