"""One notice on its way: a workflow of its own, so that a dead receiver never delays an eject."""

from contextlib import suppress
from datetime import timedelta

from pydantic import ValidationError
from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from activities.send_notice import SendNoticeStep
    from contracts.names import TaskQueue
    from contracts.notices import NOTICE_WORKFLOW, Notice

# A receiver that is down over a long weekend still hears of it; later nobody would act on it.
GIVEN_UP_AFTER = timedelta(days=7)
_ATTEMPT = timedelta(seconds=15)
_PATIENT = RetryPolicy(initial_interval=timedelta(seconds=2), maximum_interval=timedelta(minutes=10))


@workflow.defn(name=NOTICE_WORKFLOW, failure_exception_types=[ValidationError])
class EjectNotice:
    """Tries for a week; its failure then is all that remains, and the eject never waits for it."""

    @workflow.run
    async def run(self, notice: Notice) -> None:
        """Send it until the receiver has taken it."""
        await send_notice(notice)


async def send_notice(notice: Notice) -> None:
    """Send a notice until the receiver has taken it; `ActivityError` when it never does."""
    await workflow.execute_activity_method(
        SendNoticeStep.send_notice,
        notice,
        task_queue=TaskQueue.EJECT,
        summary=f"Tell of {notice.kind}",
        start_to_close_timeout=_ATTEMPT,
        schedule_to_close_timeout=GIVEN_UP_AFTER,
        retry_policy=_PATIENT,
        # Whoever ends meanwhile leaves it to a workflow of its own.
        cancellation_type=workflow.ActivityCancellationType.ABANDON,
    )


async def start_notice(notice: Notice, summary: str) -> None:
    """Begin a notice that outlives whoever tells it; `summary` is what people see of it in a list.

    After a reset the child of the first run may be on its way already, with the same words.
    """
    with suppress(WorkflowAlreadyStartedError):
        await workflow.start_child_workflow(
            EjectNotice.run,
            notice,
            id=f"eject-notice-{notice.id}",
            parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            static_summary=summary,
        )
