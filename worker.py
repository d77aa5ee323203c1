"""The worker: settings, logs, connect, serve until SIGTERM, drain."""

import asyncio
import signal
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from datetime import timedelta
from typing import Annotated, Any

import httpx
import structlog
import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import SecretStr
from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.service import RPCError
from temporalio.worker import Worker, WorkerDeploymentConfig
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from activities.back_up import BackUpStep
from activities.check import CheckStep
from activities.close import DeleteDepositStep, PurgeStep, WriteReceiptStep
from activities.complete import CompleteStep
from activities.confirm_backup import ConfirmBackupStep
from activities.enable_eject import EnableEjectStep
from activities.errors import ActivityBoundary, unexpected
from activities.fetch_shares import FetchSharesStep
from activities.read_cipher_texts import ReadCipherTextsStep
from activities.release import ReleaseStep
from activities.restore_backup import RestoreBackupStep
from activities.send_notice import SendNoticeStep
from activities.shrink_window import ShrinkWindowStep
from activities.verify import verify, verify_approval
from contracts.names import DEPLOYMENT, TaskQueue
from custody.chain import Receipts
from custody.deposits import Deposits
from custody.keys import read_key
from custody.sealing import recipient_of
from custody.vault import Vault
from ejects.nexus_service import EjectHandler
from ejects.registering import lacking
from portal.client import Clients
from portal.custodian import CustodianApi
from portal.hosts import Hosts, open_hosts
from portal.profiles import PROFILES
from runtime import logs
from runtime.process import run
from runtime.settings import ClientCredential, Settings, SettingsError, WorkerRole, load_settings
from runtime.temporal import TemporalUnreachableError, connect
from workflows.eject import Eject
from workflows.notice import EjectNotice

# An attempt that is under way may finish within this after SIGTERM; others are tried again elsewhere.
DRAIN = timedelta(seconds=20)

# How long a workflow task waits for the worker that knows the eject before any other may take it.
STICKY = timedelta(seconds=2)

# What runs workflows here; histories are replayed with the very same (tests/harness/replaying.py).
WORKFLOWS: tuple[type, ...] = (Eject, EjectNotice)
RUNNER = SandboxedWorkflowRunner()

log = structlog.get_logger()


def hosts_of(settings: Settings) -> AbstractAsyncContextManager[Hosts]:
    """Connections to the hosts that the settings name."""
    return open_hosts(
        settings.provider,
        portal_url=settings.portal_url,
        enclave_url=settings.enclave_url,
        gateway_url=settings.gateway_url,
    )


def activities_of(
    role: WorkerRole, settings: Settings, hosts: Hosts
) -> dict[TaskQueue, list[Callable[..., Any]]]:
    """The steps of a role with what they need, by queue; `SettingsError` for a missing or wrong setting."""
    settings.fit(role)
    try:
        vault = Vault(str(settings.vault_url))
    except ValueError as error:
        raise SettingsError(f"EJECT_VAULT_URL {error}") from None
    profile = PROFILES[settings.provider]
    portal = CustodianApi(hosts.custodian, settings.custodian_api_key or SecretStr(""), profile)
    queues: dict[TaskQueue, list[Callable[..., Any]]] = {}
    if role is not WorkerRole.CLIENT:
        # With a minted session token, whatever the client role's credential is.
        fetching = FetchSharesStep(portal, vault, Clients(hosts.portal, hosts.enclave, portal.mint_session))
        queues[TaskQueue.EJECT] = [
            CheckStep(portal, settings.guards, notices=settings.notify_url is not None).check,
            EnableEjectStep(portal).enable_eject,
            fetching.fetch_shares,
            fetching.fetch_shares_as_client,
            ShrinkWindowStep(portal).shrink_window,
            ReleaseStep(vault).release,
            PurgeStep(vault).purge,
            WriteReceiptStep(Receipts(vault, receipt_key_of(settings))).write_receipt,
            verify,
            verify_approval,
            *notices_of(settings, hosts.portal),
        ]
        queues[TaskQueue.NEXUS] = []
    if role is not WorkerRole.CUSTODIAN:
        identity = settings.client_identity or SecretStr("")
        try:
            recipient_of(identity)
        except ValueError as error:
            raise SettingsError(f"EJECT_CLIENT_IDENTITY {error}") from None
        deposits = Deposits(vault, identity)
        strict = settings.credential(role) is ClientCredential.STRICT
        clients = Clients(hosts.portal, hosts.enclave, deposits.api_key if strict else portal.mint_session)
        queues[TaskQueue.CLIENT] = [
            ConfirmBackupStep(clients, vault).confirm_backup,
            ReadCipherTextsStep(clients, vault).read_cipher_texts,
            RestoreBackupStep(clients, vault).restore_backup,
            CompleteStep(clients, settings.completion or profile.completion).complete,
            DeleteDepositStep(vault).delete_deposit,
        ]
        queues[TaskQueue.ENCLAVE] = [BackUpStep(clients, vault, deposits).back_up]
    return queues


def receipt_key_of(settings: Settings) -> Ed25519PrivateKey | None:
    """The key that signs receipts, None where none is set; `SettingsError` where it is no such key."""
    if settings.receipt_key is None:
        return None
    try:
        return read_key(settings.receipt_key.get_secret_value().encode())
    except ValueError as error:
        raise SettingsError(f"EJECT_RECEIPT_KEY {error}") from None


def notices_of(settings: Settings, http: httpx.AsyncClient) -> list[Callable[..., Any]]:
    """The step that sends notices, where there is a receiver; `SettingsError` where the secret is none."""
    if settings.notify_url is None:
        return []
    try:
        webhook = Webhook((settings.notify_secret or SecretStr("")).get_secret_value())
    except (ValueError, RuntimeError, EmptyWebhookSecretError):
        raise SettingsError("EJECT_NOTIFY_SECRET is not a Standard Webhooks secret (whsec_...)") from None
    return [SendNoticeStep(http, settings.notify_url, webhook).send_notice]


async def require_search_attributes(client: Client) -> None:
    """Refuse to serve where an upsert would fail every workflow task."""
    if wrong := await lacking(client):
        raise SettingsError(
            f"Namespace {client.namespace} lacks the search attributes {', '.join(wrong)}: "
            "run `python starter.py register` once"
        )


def make_worker(
    client: Client, queue: TaskQueue, activities: list[Callable[..., Any]], build_id: str | None = None
) -> Worker:
    """A worker of one queue; the first queue runs the workflow too, the last answers other namespaces.

    With a build id it gets work once an operator has made that version the current one (docs/operating.md).
    """
    return Worker(
        client,
        task_queue=queue,
        workflows=WORKFLOWS if queue is TaskQueue.EJECT else [],
        workflow_runner=RUNNER,
        activities=activities,
        deployment_config=deployment_of(build_id) if build_id else None,
        nexus_service_handlers=[EjectHandler()] if queue is TaskQueue.NEXUS else [],
        interceptors=[ActivityBoundary()],
        graceful_shutdown_timeout=DRAIN,
        sticky_queue_schedule_to_start_timeout=STICKY,
    )


def deployment_of(build_id: str) -> WorkerDeploymentConfig:
    """One version of the one deployment: all queues of both roles, because a step goes where its eject is.

    An eject may take months, longer than any worker: it goes over to each version that becomes current. Said
    here and not at the workflow, because Temporal refuses every task of an unversioned worker that says it.
    """
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(deployment_name=DEPLOYMENT, build_id=build_id),
        use_worker_versioning=True,
        default_versioning_behavior=VersioningBehavior.AUTO_UPGRADE,
    )


async def serve(role: WorkerRole, settings: Settings) -> None:
    """Serve the role's queues until SIGTERM or SIGINT, then let attempts under way finish."""
    settings.fit(role)
    client = await connect(settings, metrics=settings.metrics_address)
    await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))
    if role is not WorkerRole.CLIENT:
        await require_search_attributes(client)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        hosts = await stack.enter_async_context(hosts_of(settings))
        served = activities_of(role, settings, hosts)
        workers = [make_worker(client, queue, does, settings.build_id) for queue, does in served.items()]
        for worker in workers:
            await stack.enter_async_context(worker)
        if role is WorkerRole.ALL:
            log.warning("worker.sees_both_halves", advice="for development only: run two roles instead")
        log.info("worker.serving", role=role, queues=list(served))
        await stop.wait()
        log.info("worker.draining", seconds=DRAIN.total_seconds())
        # All at once: one after the other, the last would still take work while the first drains.
        await asyncio.gather(*(worker.shutdown() for worker in workers))
    log.info("worker.stopped")


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    role: Annotated[WorkerRole, typer.Option(help="Which half of the keys this worker may see.")],
) -> None:
    """Serve ejects until SIGTERM. Exit code 0 after a drain, 2 when something must be set first."""
    settings = load_settings()
    logs.configure(settings.log_level)
    asyncio.run(serve(role, settings))


def _ended(error: Exception) -> tuple[int, str]:
    if isinstance(error, SettingsError | TemporalUnreachableError):
        return 2, str(error)
    if isinstance(error, RPCError):
        return 2, f"Temporal refused the worker: {error.message}"
    return 1, f"The worker stopped: {unexpected(error).sentence}"


if __name__ == "__main__":
    run(app, _ended)
