"""The worker: settings, logs, connect, serve until SIGTERM, drain."""

import asyncio
import signal
from contextlib import AsyncExitStack
from typing import Annotated

import structlog
import typer
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from activities.errors import unexpected
from ejects.registering import lacking
from runtime import logs
from runtime.process import run
from runtime.settings import Settings, SettingsError, WorkerRole
from runtime.temporal import TemporalUnreachableError, connect
from serving.budgets import rates_of
from serving.checking import check
from serving.fitting import settings_of
from serving.health import Health, answering
from serving.steps import activities_of, hosts_of
from serving.watching import watching
from serving.workers import DRAIN, make_worker

log = structlog.get_logger()


async def require_search_attributes(client: Client) -> None:
    """Refuse to serve where an upsert would fail every workflow task."""
    if wrong := await lacking(client):
        raise SettingsError(
            f"Namespace {client.namespace} lacks the search attributes {', '.join(wrong)}: "
            "run `python starter.py register` once"
        )


async def serve(role: WorkerRole, settings: Settings) -> None:
    """Serve the role's queues until SIGTERM or SIGINT, then let attempts under way finish."""
    async with answering(settings.health_address) as health:
        await _serve(role, settings, health)


async def _serve(role: WorkerRole, settings: Settings, health: Health) -> None:
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
        rates = rates_of(role, settings)
        workers = [
            make_worker(
                client, queue, does, settings.build_id, rate=rates.get(queue), cached=settings.cached_ejects
            )
            for queue, does in served.items()
        ]
        for worker in workers:
            await stack.enter_async_context(worker)
        if role is WorkerRole.ALL:
            log.warning("worker.sees_both_halves", advice="for development only: run two roles instead")
        if settings.metrics_address and role is not WorkerRole.CLIENT:
            looking = asyncio.create_task(watching(client).run())
            stack.callback(looking.cancel)
        health.ready = True
        log.info("worker.serving", role=role, queues=list(served))
        try:
            await stop.wait()
        finally:  # also where one of the workers cannot go on
            health.ready = False
            log.info("worker.draining", seconds=DRAIN.total_seconds())
            # All at once: one after the other, the last would still take work while the first drains.
            await asyncio.gather(*(worker.shutdown() for worker in workers), return_exceptions=True)
    log.info("worker.stopped")


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    role: Annotated[WorkerRole, typer.Option(help="Which half of the keys this worker may see.")],
    check_only: Annotated[
        bool, typer.Option("--check", help="Try out all that this role needs, a line for each; serve nobody.")
    ] = False,
) -> int:
    """Serve ejects until SIGTERM. Exit code 0 after a drain, 2 when something must be set first."""
    if check_only:
        logs.configure("ERROR")
        return asyncio.run(check(role, typer.echo))
    settings = settings_of(role)
    logs.configure(settings.log_level)
    asyncio.run(serve(role, settings))
    return 0


def _ended(error: Exception) -> tuple[int, str]:
    if isinstance(error, SettingsError | TemporalUnreachableError):
        return 2, str(error)
    if isinstance(error, RPCError):
        return 2, f"Temporal refused the worker: {error.message}"
    return 1, f"The worker stopped: {unexpected(error).sentence}"


if __name__ == "__main__":
    run(app, _ended)
