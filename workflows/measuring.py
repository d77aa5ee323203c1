"""What ejects count of themselves; nothing is counted while a history is replayed."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from contracts.metrics import ENDED, PROOFS_REFUSED, STAGE_DURATION, Metric, Refused
    from contracts.stages import End, Stage


def count(metric: Metric, **labels: str) -> None:
    """One more. A workflow task that is done twice counts twice."""
    workflow.metric_meter().create_counter(metric.name, metric.meaning).add(1, labels)


def proof_refused(reason: Refused) -> None:
    """Somebody handed in a proof that was not taken."""
    count(PROOFS_REFUSED, reason=reason)
    workflow.logger.info("eject.proof_refused", extra={"reason": reason})


def moved(before: Stage | End, after: Stage | End, stayed: timedelta) -> None:
    """An eject left one stage for the next, or for its end."""
    staying = workflow.metric_meter().create_histogram_timedelta(
        STAGE_DURATION.name, STAGE_DURATION.meaning, "duration"
    )
    staying.record(max(stayed, timedelta(0)), {"stage": before})
    if isinstance(after, End):
        count(ENDED, end=after)
