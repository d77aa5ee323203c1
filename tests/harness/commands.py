"""The commands of a run, in order and in words: what another version of the workflow must not change.

Ids, moments and contents of messages are left out, so that two runs of a scenario give the same lines.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from google.protobuf.duration_pb2 import Duration
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType, ParentClosePolicy
from temporalio.api.history.v1 import (
    ActivityTaskScheduledEventAttributes,
    HistoryEvent,
    MarkerRecordedEventAttributes,
    StartChildWorkflowExecutionInitiatedEventAttributes,
    UpsertWorkflowSearchAttributesEventAttributes,
)
from temporalio.client import WorkflowHistory

from contracts.names import Attribute


def commands_of(history: WorkflowHistory) -> list[str]:
    """One line for each command of a run, and for each update that it took and answered."""
    by_id = {event.event_id: event for event in history.events}
    return [line for event in history.events for line in _lines(event, by_id)]


def _lines(event: HistoryEvent, by_id: Mapping[int, HistoryEvent]) -> Iterator[str]:
    kind = event.event_type
    given = getattr(event, str(event.WhichOneof("attributes")))
    told = _told(event)
    if kind == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
        yield f"activity {_activity(given)}{told}"
    elif kind == EventType.EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED:
        scheduled = by_id[given.scheduled_event_id].activity_task_scheduled_event_attributes
        yield f"cancel activity {scheduled.activity_type.name}"
    elif kind == EventType.EVENT_TYPE_TIMER_STARTED:
        yield f"timer {_length(given.start_to_fire_timeout)}{told}"
    elif kind == EventType.EVENT_TYPE_TIMER_CANCELED:
        yield f"cancel timer{_told(by_id[given.started_event_id])}"
    elif kind == EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES:
        yield f"upsert {_attributes(given)}"
    elif kind == EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED:
        yield f"child {_child(given)}"
    elif kind == EventType.EVENT_TYPE_MARKER_RECORDED:
        yield f"{_marker(given)}{told}"
    elif kind == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED:
        yield f"update {given.accepted_request.input.name} accepted"
    elif kind == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED:
        accepted = by_id[given.accepted_event_id].workflow_execution_update_accepted_event_attributes
        outcome = "refused" if given.outcome.HasField("failure") else "answered"
        yield f"update {accepted.accepted_request.input.name} {outcome}"
    elif getattr(given, "workflow_task_completed_event_id", 0):
        yield EventType.Name(kind).removeprefix("EVENT_TYPE_").lower().replace("_", " ")


def _activity(given: ActivityTaskScheduledEventAttributes) -> str:
    bounds = {
        "schedule to close": given.schedule_to_close_timeout,
        "schedule to start": given.schedule_to_start_timeout,
        "start to close": given.start_to_close_timeout,
        "heartbeat": given.heartbeat_timeout,
    }
    words = [f"{name} {_length(bound)}" for name, bound in bounds.items() if bound.ToTimedelta()]
    retry = given.retry_policy
    most = f", {retry.maximum_attempts} attempts" if retry.maximum_attempts else ""
    words.append(
        f"retried after {_length(retry.initial_interval)}, x{retry.backoff_coefficient:g}, "
        f"at most {_length(retry.maximum_interval)}{most}"
    )
    if given.priority.priority_key:
        words.append(f"priority {given.priority.priority_key}")
    return f"{given.activity_type.name} on {given.task_queue.name}: {'; '.join(words)}"


def _child(given: StartChildWorkflowExecutionInitiatedEventAttributes) -> str:
    policy = ParentClosePolicy.Name(given.parent_close_policy).removeprefix("PARENT_CLOSE_POLICY_").lower()
    return f"{given.workflow_type.name} on {given.task_queue.name}: at the parent's close {policy}"


def _attributes(given: UpsertWorkflowSearchAttributesEventAttributes) -> str:
    fields = given.search_attributes.indexed_fields
    stage = f"={_value(fields[Attribute.STAGE])}" if Attribute.STAGE in fields else ""
    return ", ".join(f"{name}{stage if name == Attribute.STAGE else ''}" for name in sorted(fields))


def _marker(given: MarkerRecordedEventAttributes) -> str:
    details = {name: _value(payloads.payloads[0]) for name, payloads in given.details.items()}
    if given.marker_name == "core_local_activity":
        return f"local activity {details['data']['activity_type']}"
    if given.marker_name == "core_patch":
        return f"patch {details['patch-data']['id']}"
    return f"marker {given.marker_name}"


def _told(event: HistoryEvent) -> str:
    summary = event.user_metadata.summary
    return f' "{_value(summary)}"' if summary.data else ""


def _value(payload: Payload) -> Any:
    return json.loads(payload.data)


def _length(duration: Duration) -> str:
    """A length that is set; one that is not in whole seconds was reckoned until some moment."""
    length: timedelta = duration.ToTimedelta()
    return "until a moment" if length.microseconds or duration.nanos else str(length)
