"""The one place where what went wrong becomes a Temporal failure, for every activity alike."""

import asyncio
import traceback
from pathlib import Path
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory, CancelledError
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
)

from contracts.drift import DRIFT_WORKFLOW
from contracts.failures import RULES, Failure, StepError
from contracts.mass import MASS_WORKFLOW
from contracts.names import WORKFLOW
from contracts.notices import NOTICE_WORKFLOW

_FRAMES = 6
_OURS = (WORKFLOW, NOTICE_WORKFLOW, DRIFT_WORKFLOW, MASS_WORKFLOW)
_HEARTBEAT_EVERY = 1.0
"""Seconds; the SDK sends no more of them than the heartbeat timeout needs."""


class ActivityBoundary(Interceptor):
    """Put round every activity: it heartbeats from the event loop, and fails in known words only."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        """Wrap one activity call (the SDK's interface names the parameter)."""
        return _Boundary(next)


class _Boundary(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        if activity.info().workflow_type not in _OURS:
            # Temporal runs single activities too; ours mean something only as steps of an eject.
            raise ApplicationError("This step runs only inside an eject", type="Refused", non_retryable=True)
        beats = asyncio.create_task(_heartbeat()) if activity.info().heartbeat_timeout else None
        try:
            return await super().execute_activity(input)
        except (ApplicationError, CancelledError, asyncio.CancelledError):
            raise
        except StepError as error:
            raise as_failure(error) from None
        except Exception as error:
            raise as_failure(unexpected(error)) from None
        finally:
            if beats:
                beats.cancel()


async def _heartbeat() -> None:
    # Bounded by the activity: its end cancels this task, and start-to-close bounds the activity. The first
    # beat comes after the pause, because to have begun counts as one: most attempts end without any.
    while True:
        await asyncio.sleep(_HEARTBEAT_EVERY)
        activity.heartbeat()


def as_failure(error: StepError) -> ApplicationError:
    """A failure whose type the workflow branches on; transient ones are benign: expected, and retried."""
    rule = RULES[error.failure]
    return ApplicationError(
        error.sentence,
        type=error.failure,
        non_retryable=not rule.retried,
        next_retry_delay=error.retry_after if rule.retried else None,
        category=ApplicationErrorCategory.BENIGN
        if rule.retried and error.failure is not Failure.UNEXPECTED
        else ApplicationErrorCategory.UNSPECIFIED,
    )


def unexpected(error: Exception) -> StepError:
    """A defect of ours: told by its type and place only, because its text could hold anything."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    places = ", ".join(f"{Path(f.filename).name}:{f.lineno} in {f.name}" for f in reversed(frames))
    return StepError(Failure.UNEXPECTED, f"An unexpected {type(error).__name__} at {places or 'no place'}")
