"""What `worker.py --check` looks at in Temporal."""

from collections.abc import AsyncIterator

from temporalio.api.common.v1 import Payload
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, DescribeWorkerDeploymentRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from contracts.names import DEPLOYMENT, WORKFLOW
from ejects.registering import compared
from ejects.visibility import executions
from runtime.codec import EjectCodec
from runtime.profile import is_plain, read_profile
from runtime.settings import Settings, WorkerRole
from runtime.temporal import connect
from serving.trying import DoubtError, Found, Level, UnfitError, tried


async def look_at_temporal(
    role: WorkerRole, settings: Settings, codec: EjectCodec | None
) -> AsyncIterator[Found]:
    """The connection, the namespace, what an eject writes there, who gets its work, and what is encrypted.

    Without a codec, whose keys are wrong then, nothing is opened.
    """
    reached: list[Client] = []

    async def arrive() -> str:
        # Production would refuse to connect without codec keys, which is told already.
        reached.append(await connect(settings.model_copy(update={"production": False})))
        return await _namespace(reached[0], settings)

    arrived = await tried("temporal", arrive())
    yield arrived
    if arrived.level is Level.FAIL:
        attributes = () if role is WorkerRole.CLIENT else ("search attributes",)
        for name in (*attributes, "versions", "codec"):
            yield Found(Level.SKIP, name, "the line of temporal must be right first")
        return
    (client,) = reached
    if role is not WorkerRole.CLIENT:
        yield await tried("search attributes", _attributes(client))
    yield await tried("versions", _version(client, settings.build_id))
    if codec is None:
        yield Found(Level.SKIP, "codec", "EJECT_CODEC_KEYS must be right first")
    else:
        yield await tried("codec", _codec(client, codec))


async def _namespace(client: Client, settings: Settings) -> str:
    try:
        await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=client.namespace), retry=False
        )
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        raise UnfitError(
            f"the namespace {client.namespace} is not there: create it, or mend TEMPORAL_NAMESPACE"
        ) from None
    at = client.service_client.config.target_host
    if settings.production and is_plain(read_profile()):
        raise DoubtError(f"{at} answers without TLS: right only in a private network")
    return f"{at} answers, with the namespace {client.namespace}"


async def _attributes(client: Client) -> str:
    missing, mistyped = await compared(client)
    register = "run `python starter.py register` once"
    if mistyped:
        raise UnfitError(
            f"{', '.join(mistyped)} has another type in {client.namespace}: remove it there, then {register}"
        )
    if missing:
        raise UnfitError(f"{client.namespace} lacks {', '.join(missing)}: {register}")
    return "all are there"


async def _version(client: Client, build: str | None) -> str:
    """Whom Temporal gives the work; a new version is checked before it is made the current one."""
    asked = DescribeWorkerDeploymentRequest(namespace=client.namespace, deployment_name=DEPLOYMENT)
    try:
        told = await client.workflow_service.describe_worker_deployment(asked, retry=False)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        current = ""
    else:
        current = told.worker_deployment_info.routing_config.current_deployment_version.build_id
    if build == (current or None):
        return f"{build} is the current version" if build else "workers have no versions"
    if build:
        raise DoubtError(f"{build} is not the current version: it gets work once it is made so")
    raise DoubtError(f"{current} is the current version, and EJECT_BUILD_ID is not set: it gets no work")


async def _codec(client: Client, codec: EjectCodec) -> str:
    """Encrypt and decrypt, and open the newest eject's request, which some earlier key may have encrypted."""
    plain = Payload(metadata={"encoding": b"json/plain"}, data=b'"check"')
    if [codec.open(payload) for payload in await codec.encode([plain])] != [plain]:
        raise UnfitError("what it encrypts it does not decrypt: update the worker")
    async for newest in executions(client, f"WorkflowType = '{WORKFLOW}'"):
        handle = client.get_workflow_handle(newest.execution.workflow_id, run_id=newest.execution.run_id)
        async for event in handle.fetch_history_events(page_size=1):
            for payload in event.workflow_execution_started_event_attributes.input.payloads:
                codec.open(payload)
            break
        break
    if not codec.encrypts:
        raise DoubtError("EJECT_CODEC_KEYS is not set: Temporal stores requests and receipts as plain text")
    return "encrypts, and opens the newest eject"
