"""A worker of one queue, as production, tests and replays run it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import UnsandboxedWorkflowRunner, Worker, WorkerDeploymentConfig

from activities.errors import ActivityBoundary
from contracts.names import DEPLOYMENT, TaskQueue
from ejects.nexus_service import EjectHandler
from serving.observing import Observing, meter_of, show_from_nought
from workflows.drift import DriftWatch
from workflows.eject import Eject
from workflows.mass_exit import MassExit
from workflows.notice import EjectNotice

# An attempt that is under way may finish within this after SIGTERM; others are tried again elsewhere.
DRAIN = timedelta(seconds=20)

# How long a workflow task waits for the worker that knows the eject before any other may take it.
STICKY = timedelta(seconds=2)

# What runs workflows here. The SDK's sandbox imports all their modules anew for each eject that is begun or
# replayed: 40 ms of CPU, where the rest of a replay takes 10. What it refuses (clocks, randomness, I/O), it
# refuses in the tests, which replay every recorded history in it too (tests/harness/replaying.py).
WORKFLOWS: tuple[type, ...] = (Eject, EjectNotice, DriftWatch, MassExit)
RUNNER = UnsandboxedWorkflowRunner()


def make_worker(
    client: Client,
    queue: TaskQueue,
    activities: list[Callable[..., Any]],
    build_id: str | None = None,
    *,
    rate: float | None = None,
    cached: int = 1000,
) -> Worker:
    """A worker of one queue; the first queue runs the workflow too, the last answers other namespaces.

    `rate` is how many attempts a second all workers of the queue together begin (serving/budgets.py).
    Temporal keeps to what the last poll of any of them said: one without a rate lifts it for all.

    `cached` is how many ejects it keeps in memory (docs/performance.md).

    With a build id it gets work once an operator has made that version the current one (docs/operating.md).
    """
    meter = meter_of(client)
    show_from_nought(meter, queue, [activity.__name__ for activity in activities])
    return Worker(
        client,
        task_queue=queue,
        workflows=WORKFLOWS if queue is TaskQueue.EJECT else [],
        workflow_runner=RUNNER,
        activities=activities,
        deployment_config=deployment_of(build_id) if build_id else None,
        nexus_service_handlers=[EjectHandler()] if queue is TaskQueue.NEXUS else [],
        interceptors=[Observing(meter), ActivityBoundary()],
        graceful_shutdown_timeout=DRAIN,
        max_cached_workflows=cached,
        max_task_queue_activities_per_second=rate,
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
