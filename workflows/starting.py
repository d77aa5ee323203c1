"""How an eject is started, whoever starts it."""

from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributePair, TypedSearchAttributes, WorkflowIDReusePolicy

with workflow.unsafe.imports_passed_through():
    from contracts.names import TaskQueue, workflow_id
    from contracts.request import EjectRequest
    from contracts.sealing import fingerprint
    from contracts.stages import Stage

from workflows import attributes


def options_of(request: EjectRequest) -> dict[str, Any]:
    """With what every eject starts: from a client, through Nexus, or as a child of a mass exit."""
    return {
        "id": workflow_id(request.client_id),
        "task_queue": TaskQueue.EJECT,
        "id_reuse_policy": WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        "search_attributes": TypedSearchAttributes(
            [
                SearchAttributePair(attributes.STAGE, Stage.CHECKING),
                SearchAttributePair(attributes.CLIENT, request.client_id),
            ]
        ),
        "static_summary": f"Client {request.client_id} leaves custody",
        "static_details": f"Sealed to the recipient with the fingerprint {fingerprint(request.recipient)}",
    }
