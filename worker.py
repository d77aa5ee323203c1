"""The worker: settings, logs, connect, serve until SIGTERM, drain."""

import asyncio
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

import structlog
import typer
from pydantic import SecretStr
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import Worker

from activities.back_up import BackUpStep
from activities.check import CheckStep
from activities.close import DeleteDepositStep, PurgeStep, WriteReceiptStep
from activities.complete import CompleteStep
from activities.confirm_backup import ConfirmBackupStep
from activities.enable_eject import EnableEjectStep
from activities.errors import ActivityBoundary
from activities.fetch_shares import FetchSharesStep
from activities.release import ReleaseStep
from activities.verify import verify
from contracts.names import TaskQueue
from custody.sealing import recipient_of
from custody.vault import Vault
from portal.client import Clients
from portal.custodian import CustodianApi
from portal.http import portal_client
from runtime import logs
from runtime.process import forbid_core_dumps, leave
from runtime.settings import Settings, SettingsError, WorkerRole, load_settings
from runtime.temporal import TemporalUnreachableError, connect
from workflows import attributes
from workflows.eject import Eject

# An attempt that is under way may finish within this after SIGTERM; others are tried again elsewhere.
DRAIN = timedelta(seconds=20)

# How long a workflow task waits for the worker that knows the eject before any other may take it.
STICKY = timedelta(seconds=5)

log = structlog.get_logger()


@dataclass(frozen=True)
class Activities:
    """What serves each task queue."""

    by_queue: dict[TaskQueue, list[Callable[..., Any]]]


def activities_of(role: WorkerRole, settings: Settings, portal: CustodianApi, clients: Clients) -> Activities:
    """The steps of a role with what they need; `SettingsError` where a setting is missing or wrong."""
    settings.require("vault_url")
    vault = Vault(str(settings.vault_url))
    queues: dict[TaskQueue, list[Callable[..., Any]]] = {}
    if role is not WorkerRole.CLIENT:
        queues[TaskQueue.EJECT] = [
            CheckStep(portal).check,
            EnableEjectStep(portal).enable_eject,
            FetchSharesStep(portal, vault).fetch_shares,
            ReleaseStep(vault).release,
            PurgeStep(vault).purge,
            WriteReceiptStep(vault).write_receipt,
            verify,
        ]
    if role is not WorkerRole.CUSTODIAN:
        settings.require("client_identity")
        identity = settings.client_identity or SecretStr("")
        try:
            recipient_of(identity)
        except ValueError as error:
            raise SettingsError(f"EJECT_CLIENT_IDENTITY {error}") from None
        queues[TaskQueue.CLIENT] = [
            ConfirmBackupStep(clients, vault).confirm_backup,
            CompleteStep(clients).complete,
            DeleteDepositStep(vault).delete_deposit,
        ]
        queues[TaskQueue.ENCLAVE] = [BackUpStep(clients, vault, identity).back_up]
    return Activities(queues)


async def require_search_attributes(client: Client) -> None:
    """Refuse to serve where an upsert would fail every workflow task."""
    listed = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    known = dict(listed.custom_attributes)
    wrong = [key for key in attributes.ALL if int(known.get(key.name, 0)) != int(key.indexed_value_type)]
    if wrong:
        commands = "; ".join(
            f"temporal operator search-attribute create --name {key.name} "
            f"--type {key.indexed_value_type.name.capitalize()}"
            for key in wrong
        )
        raise SettingsError(f"Namespace {client.namespace} lacks search attributes, create them: {commands}")


def make_worker(client: Client, queue: TaskQueue, activities: list[Callable[..., Any]]) -> Worker:
    """A worker of one queue; the first queue runs the workflow too."""
    return Worker(
        client,
        task_queue=queue,
        workflows=[Eject] if queue is TaskQueue.EJECT else [],
        activities=activities,
        interceptors=[ActivityBoundary()],
        graceful_shutdown_timeout=DRAIN,
        sticky_queue_schedule_to_start_timeout=STICKY,
    )


async def serve(role: WorkerRole, settings: Settings) -> None:
    """Serve the role's queues until SIGTERM or SIGINT, then let attempts under way finish."""
    # Until the client's own API key can be deposited, the client role too mints its session tokens.
    settings.require("custodian_api_key")
    client = await connect()
    if role is not WorkerRole.CLIENT:
        await require_search_attributes(client)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(portal_client(settings.portal_url))
        enclave = await stack.enter_async_context(portal_client(settings.enclave_url, enclave=True))
        portal = CustodianApi(http, settings.custodian_api_key or SecretStr(""))
        clients = Clients(http, enclave, portal.mint_session)
        activities = activities_of(role, settings, portal, clients)
        for queue, served in activities.by_queue.items():
            await stack.enter_async_context(make_worker(client, queue, served))
        if role is WorkerRole.ALL:
            log.warning("worker.sees_both_halves", advice="for development only: run two roles instead")
        log.info("worker.serving", role=role, queues=list(activities.by_queue))
        await stop.wait()
        log.info("worker.draining", seconds=DRAIN.total_seconds())
    log.info("worker.stopped")


def main(
    role: Annotated[WorkerRole, typer.Option(help="Which half of the keys this worker may see.")],
) -> None:
    """Serve ejects until SIGTERM. Exit code 0 after a drain, 2 when something must be set first."""
    forbid_core_dumps()
    try:
        settings = load_settings()
        logs.configure(settings.log_level)
        asyncio.run(serve(role, settings))
    except (SettingsError, TemporalUnreachableError) as error:
        typer.echo(str(error), err=True)
        leave(2)
    except RPCError as error:
        typer.echo(f"Temporal refused the worker: {error.message}", err=True)
        leave(2)
    leave(0)


if __name__ == "__main__":
    typer.run(main)
