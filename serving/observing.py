"""What a worker tells of the steps that it runs: figures, and a line for each call to Portal that failed."""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import structlog
from temporalio import activity
from temporalio.client import Client
from temporalio.common import MetricMeter
from temporalio.exceptions import ApplicationError
from temporalio.runtime import Runtime
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from contracts.failures import RULES, Failure
from contracts.metrics import (
    ATTEMPTS_FAILED,
    ENDED,
    PARKED,
    PORTAL_CALL_DURATION,
    PORTAL_CALLS,
    PROOFS_REFUSED,
    Metric,
    Outcome,
    Refused,
)
from contracts.names import WORKFLOW, TaskQueue
from contracts.stages import End
from portal.calls import CALLS
from portal.observer import Exchange, watcher
from runtime import tracing
from workflows import policies

log = structlog.get_logger()

_OUTCOMES: Mapping[Failure, Outcome] = {
    Failure.PORTAL_THROTTLED: Outcome.THROTTLED,
    Failure.PORTAL_UNAVAILABLE: Outcome.UNAVAILABLE,
    Failure.REPLY_LOST: Outcome.LOST,
    Failure.CREDENTIAL_REJECTED: Outcome.CREDENTIAL_REJECTED,
    Failure.REPLY_UNREADABLE: Outcome.UNREADABLE,
}
# Those that never park: they are tried again, or are turns of the story.
PARKS = tuple(failure for failure, rule in RULES.items() if rule.mend)


def meter_of(client: Client) -> MetricMeter:
    """The meter of the process that a client belongs to; it measures nothing where nothing is shown."""
    runtime = client.service_client.config.runtime or Runtime.default()
    return runtime.metric_meter.with_additional_attributes({"namespace": client.namespace})


def show_from_nought(meter: MetricMeter, queue: TaskQueue, steps: Iterable[str]) -> None:
    """Show the counters of one queue's worker before there is anything to count."""

    def nought(metric: Metric, of: MetricMeter, **labels: str) -> None:
        of.create_counter(metric.name, metric.meaning).add(0, labels)

    for step in steps:
        nought(ATTEMPTS_FAILED, meter, step=step)
    for call in CALLS:
        for outcome in Outcome:
            nought(PORTAL_CALLS, meter, call=call.name, outcome=outcome)
    if queue is not TaskQueue.EJECT:
        return
    ejects = meter.with_additional_attributes({"task_queue": queue, "workflow_type": WORKFLOW})
    for end in End:
        nought(ENDED, ejects, end=end)
    for reason in Refused:
        nought(PROOFS_REFUSED, ejects, reason=reason)
    for one in policies.STEPS:
        for failure in PARKS:
            nought(PARKED, ejects, step=one.name, failure=failure)


class Observing(Interceptor):
    """Put round every activity, outside of what turns its errors into failures."""

    def __init__(self, meter: MetricMeter) -> None:
        self._failed = meter.create_counter(ATTEMPTS_FAILED.name, ATTEMPTS_FAILED.meaning)
        self._calls = meter.create_counter(PORTAL_CALLS.name, PORTAL_CALLS.meaning)
        self._took = meter.create_histogram_timedelta(
            PORTAL_CALL_DURATION.name, PORTAL_CALL_DURATION.meaning, "duration"
        )

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        """Wrap one activity call (the SDK's interface names the parameter)."""
        return _Observed(next, self)

    def failed(self, step: str) -> None:
        """Count an attempt that failed."""
        self._failed.add(1, {"step": step})

    @contextmanager
    def portal_call(self, call: str) -> Iterator[Exchange]:
        """Measure one call to Portal, trace it, and log it where it failed."""
        with tracing.portal_call(call) as span:
            exchange = Exchange(call, span.trace)
            began = time.monotonic()
            try:
                yield exchange
            finally:
                outcome = _outcome(exchange)
                self._calls.add(1, {"call": call, "outcome": outcome})
                self._took.record(timedelta(seconds=time.monotonic() - began), {"call": call})
                span.failed = outcome is not Outcome.OK
                span.attributes["portal.outcome"] = outcome
                if exchange.status is not None:
                    span.attributes["http.response.status_code"] = exchange.status
                if span.failed:
                    log.info(
                        "portal.call_failed",
                        call=call,
                        outcome=outcome,
                        status=exchange.status,
                        portal_trace=exchange.trace,
                    )


class _Observed(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, observing: Observing) -> None:  # noqa: A002
        super().__init__(next)
        self._observing = observing

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        before = watcher.set(self._observing.portal_call)
        try:
            return await super().execute_activity(input)
        except ApplicationError:
            self._observing.failed(activity.info().activity_type)
            raise
        finally:
            watcher.reset(before)


def _outcome(exchange: Exchange) -> Outcome:
    if exchange.failure is not None:
        return _OUTCOMES.get(exchange.failure, Outcome.REFUSED)
    return Outcome.OK if exchange.answered else Outcome.GIVEN_UP
