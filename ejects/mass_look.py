"""What Temporal shows of the ejects of a mass exit: counts, and the first that are in trouble.

They are its children, and Temporal lists them by that: `ParentWorkflowId`. No attribute of ours is needed.
"""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import CountWorkflowExecutionsRequest
from temporalio.client import Client, WorkflowQueryFailedError
from temporalio.converter import decode_typed_search_attributes
from temporalio.service import RPCError

from contracts.mass import MOST_TROUBLES, Look, LookAtEjects, Trouble
from contracts.names import WORKFLOW, Attribute, mass_exit_id
from contracts.parks import Park
from contracts.receipt import Status
from contracts.request import EjectRequest, differing
from contracts.stages import End, Stage
from ejects.service import handle_of, request_of
from ejects.visibility import executions, run_of
from workflows import attributes
from workflows.eject import Eject

# From the start to `awaiting_claim`, where Portal's budgets are spent; what awaits people spends nothing.
AT_WORK = (Stage.CHECKING, Stage.BACKING_UP, Stage.CONFIRMING_BACKUP, Stage.ENABLING, Stage.FETCHING_SHARES)
# What stands in a stage for longer has a trouble of its own, and must not hold up others.
AT_WORK_FOR = timedelta(minutes=15)
BROKEN = "ExecutionStatus IN ('Failed', 'Terminated', 'TimedOut', 'Canceled')"
_ANSWERS_WITHIN = timedelta(seconds=5)


async def look(client: Client, what: LookAtEjects, now: datetime) -> Look:
    """Count them, a pause between two questions: Temporal takes ten list calls a second for a namespace."""
    ours = f"WorkflowType = '{WORKFLOW}' AND ParentWorkflowId = '{mass_exit_id(what.name)}'"
    running = f"ExecutionStatus = 'Running' AND {Attribute.STAGE}"
    since, moment = Attribute.STAGE_SINCE, f"'{now.astimezone(UTC) - AT_WORK_FOR:%Y-%m-%dT%H:%M:%SZ}'"

    async def count(query: str) -> int:
        await asyncio.sleep(what.pace.total_seconds())
        request = CountWorkflowExecutionsRequest(namespace=client.namespace, query=query)
        answer = await client.workflow_service.count_workflow_executions(request, retry=True)
        return answer.count

    at_work = await count(
        f"WorkflowType = '{WORKFLOW}' AND {running} IN ({_listed(AT_WORK)}) "
        # The first stage begins with the eject, and writes no attribute.
        f"AND ({since} > {moment} OR ({since} IS NULL AND StartTime > {moment}))"
    )
    stages = {str(stage): await count(f"{ours} AND {running} = '{stage}'") for stage in Stage}
    ends = {str(end): await count(f"{ours} AND {Attribute.STAGE} = '{end}'") for end in End}
    broken = await count(f"{ours} AND {BROKEN}")
    troubles: list[Trouble] = []
    if stages[Stage.PARKED]:
        troubles += await _first(client, f"{ours} AND {running} = '{Stage.PARKED}'")
    if broken:
        troubles += await _first(client, f"{ours} AND {BROKEN}")
    return Look(
        at=now,
        at_work=at_work,
        stages={stage: number for stage, number in stages.items() if number},
        ends={end: number for end, number in ends.items() if number},
        broken=broken,
        troubles=tuple(troubles[:MOST_TROUBLES]),
    )


async def compare(client: Client, request: EjectRequest) -> list[str]:
    """In which fields the request of a client's latest eject differs from this one."""
    return differing(request, await request_of(client, handle_of(client, request.client_id)))


async def told(client: Client, client_id: str) -> Status | None:
    """What a running eject says of itself; None where it does not answer soon."""
    try:
        return await handle_of(client, client_id).query(Eject.status, rpc_timeout=_ANSWERS_WITHIN)
    except (RPCError, WorkflowQueryFailedError):
        return None


def parked(park: Park) -> str:
    """A park in one line."""
    return f"park {park.number} at {park.step}: {park.reason}; to mend it: {park.mend}"


def client_of(info: WorkflowExecutionInfo) -> str:
    """Whose eject a listed one is."""
    values = decode_typed_search_attributes(info.search_attributes)
    return values.get(attributes.CLIENT) or info.execution.workflow_id.removeprefix("eject-")


async def _first(client: Client, query: str) -> Iterable[Trouble]:
    found: list[WorkflowExecutionInfo] = []
    async for info in executions(client, query):
        found.append(info)
        if len(found) == MOST_TROUBLES:
            break
    return await asyncio.gather(*(_trouble(client, info) for info in found))


async def _trouble(client: Client, info: WorkflowExecutionInfo) -> Trouble:
    client_id = client_of(info)
    if info.HasField("close_time"):
        run = run_of(info)
        return Trouble(client_id=client_id, stage=run, reason="it ended without a receipt: start it again")
    status = await told(client, client_id)
    reason = parked(status.park) if status and status.park else ""
    return Trouble(client_id=client_id, stage=Stage.PARKED, reason=reason)


def _listed(stages: Iterable[Stage]) -> str:
    return ", ".join(f"'{stage}'" for stage in stages)
