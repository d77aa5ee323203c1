"""Portal's budgets: kept across all workers by the rates of the queues, and whose turn it is meanwhile."""

import asyncio
import re
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from temporalio import activity
from temporalio.api.enums.v1 import RateLimitSource, TaskQueueType
from temporalio.api.taskqueue.v1 import RateLimit
from temporalio.api.taskqueue.v1 import TaskQueue as TaskQueueMessage
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeTaskQueueResponse,
    UpdateTaskQueueConfigRequest,
)
from temporalio.client import Client
from temporalio.worker import (
    StartActivityInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)
from temporalio.workflow import ActivityHandle

import starter
from activities.errors import ActivityBoundary
from contracts.names import TaskQueue
from contracts.providers import Completion
from contracts.stages import End, Stage
from portal import calls, client, custodian
from portal.calls import Call
from portal.custodian import CustodianApi
from runtime.development import ROOT
from runtime.settings import ClientCredential, Settings, WorkerRole
from sandbox.calls import Surface
from sandbox.routes import ROUTES
from serving import workers
from serving.budgets import PER_EJECT, Budget, calls_as_set, rates_of
from tests.harness.own_backup import AS_CLIENT, backed_up_before
from tests.harness.playing import played
from tests.harness.portal import Customer, running_sandbox
from tests.harness.world import PATIENCE, PLENTY, World, make_world, serving
from tests.test_operating_page import Operator
from tests.test_worker_process import said, settings_of, worker
from workflows.policies import STEPS

PUBLISHED = {Budget.CUSTODIAN: 200, Budget.CLIENT: 200, Budget.ENCLAVE: 50}
MINUTE = timedelta(minutes=1)
WEEK = timedelta(days=7)
WORKER = RateLimitSource.RATE_LIMIT_SOURCE_WORKER

CUSTODIANS = (calls.READ_CLIENT, calls.MINT_SESSION, calls.ENABLE_EJECT, calls.FETCH_SHARES)
SPENT_BY = {route.call: Budget(Surface(route.surface).budget) for route in ROUTES}


def budget_of(call: Call[Any]) -> Budget:
    """Which budget a call of ours spends."""
    if call is calls.BACK_UP:
        return Budget.ENCLAVE
    return Budget.CUSTODIAN if call in CUSTODIANS else Budget.CLIENT


class Attempts:
    """The calls that each attempt of a step makes, by budget."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: dict[tuple[str, str, str, int], Counter[Budget]] = defaultdict(Counter)
        for module in (client, custodian):
            monkeypatch.setattr(module, "send", self._counting(module.send))

    def _counting(self, send: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def counted(http: Any, call: Call[Any], *given: Any, **more: Any) -> Any:
            info = activity.info()
            attempt = (info.activity_type, str(info.workflow_run_id), info.activity_id, info.attempt)
            self.made[attempt][budget_of(call)] += 1
            return await send(http, call, *given, **more)

        return counted

    def most(self) -> dict[str, Counter[Budget]]:
        """By step, the most that one attempt has made."""
        most: dict[str, Counter[Budget]] = defaultdict(Counter)
        for (step, *_), made in self.made.items():
            most[step] |= made
        return most


ROADS = {
    Completion.CLIENT: ("cancelled", "fetched_as_client", "reopened_after_the_purge"),
    Completion.WALLET: ("ejected",),
}


@pytest.mark.parametrize("completion", Completion)
async def test_an_attempt_makes_no_more_calls_than_it_is_taken_for(
    temporal: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, completion: Completion
) -> None:
    """On roads that pass every step; no call of the journal was made by anything but an attempt."""
    attempts = Attempts(monkeypatch)
    journal = Counter[Budget]()
    for name in ROADS[completion]:
        (folder := tmp_path / name).mkdir()
        with running_sandbox(folder / "portal.sqlite") as sandbox:
            world = make_world(temporal, sandbox, folder)
            world.settings = world.settings.model_copy(update={"completion": completion})
            async with played(name, world) as play:
                lines = sandbox.journal(client_id=play.customer.client_id)
            journal.update(SPENT_BY[line["call"]] for line in lines)
    assert journal == sum(attempts.made.values(), Counter[Budget]())
    most, taken_for = attempts.most(), calls_as_set(WorkerRole.ALL, world.settings)
    assert all(made <= Counter(taken_for[step]) for step, made in most.items())
    if completion is Completion.CLIENT:
        assert most == taken_for, "nothing is taken for more than does occur"


@pytest.mark.parametrize(
    ("role", "completion", "credential"), list(product(WorkerRole, Completion, (None, *ClientCredential)))
)
@pytest.mark.parametrize("limits", [(200, 200, 50), (40, 40, 10), (100, 200, 25), (PLENTY, 40, PLENTY)])
@pytest.mark.parametrize("partitions", [1, 4])
def test_the_rates_keep_every_budget(
    role: WorkerRole,
    completion: Completion,
    credential: ClientCredential | None,
    limits: tuple[int, int, int],
    partitions: int,
) -> None:
    """In any minute a partition begins one attempt more than its rate allows in 61 seconds (found on the real
    server); all of them taken for the weightiest of their queue come to no more than each budget.
    """
    of_custodian, of_client, of_enclave = limits
    settings = Settings(
        completion=completion,
        client_credential=credential,
        budget_custodian=of_custodian,
        budget_client=of_client,
        budget_enclave=of_enclave,
    )
    rates, reckoned = rates_of(role, settings), calls_as_set(role, settings)
    assert set(rates) == set(PER_EJECT)
    assert all(rate > 0 for rate in rates.values())
    for budget, limit in zip(Budget, limits, strict=True):
        spent = 0.0
        for queue, rate in rates.items():
            most = max(reckoned[step.name].get(budget, 0) for step in STEPS if step.queue is queue)
            spent += most * (partitions + 61 * rate)
        assert spent <= limit + 1e-6


def test_every_step_that_calls_portal_is_on_a_queue_with_a_rate() -> None:
    """And no other is; where what was asked for earlier waits, it is served too."""
    reckoned = calls_as_set(WorkerRole.ALL, Settings())
    assert {step.name for step in STEPS if step.queue in PER_EJECT} == set(reckoned)


EARLIER = {
    TaskQueue.CUSTODIAN: TaskQueue.EJECT,
    TaskQueue.SESSION: TaskQueue.EJECT,
    TaskQueue.DEPOSITS: TaskQueue.CLIENT,
}


class _AskedEarlier(WorkflowOutboundInterceptor):
    def start_activity(self, input: StartActivityInput) -> ActivityHandle[Any]:  # noqa: A002
        input.task_queue = EARLIER.get(TaskQueue(input.task_queue or ""), input.task_queue)
        return super().start_activity(input)


class _Earlier(WorkflowInboundInterceptor):
    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        super().init(_AskedEarlier(outbound))


class BeforeTheQueues(ActivityBoundary):
    """A worker whose ejects ask where they asked before there were these queues."""

    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,  # noqa: A002
    ) -> type[WorkflowInboundInterceptor]:
        """Wrap the workflow."""
        return _Earlier


async def test_what_was_asked_for_before_these_queues_is_served(
    unserved: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An eject of an earlier version may have any step pending where it was."""
    monkeypatch.setattr(workers, "ActivityBoundary", BeforeTheQueues)
    world, customer = unserved, unserved.sandbox.seed()
    owners = backed_up_before(world, customer)
    async with serving(world):
        handle = await world.start(customer, **AS_CLIENT)
        await world.reach(handle, Stage.AWAITING_CLAIM)
        await world.prove(customer, world.proofs(await world.claim(customer), owners))
        assert (await world.end(handle)).end is End.EJECTED
        handle, receipt = await world.leave(world.sandbox.seed())
        assert receipt.end is End.EJECTED
    scheduled = [e.activity_task_scheduled_event_attributes for e in (await world.history(handle)).events]
    assert {one.task_queue.name for one in scheduled} - {""} == {"eject", "eject-client", "eject-enclave"}


class Gate:
    """Holds every attempt that has opened the window of both wallets until it is told to let them go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, ejects: int) -> None:
        self._go, self.stand = asyncio.Event(), asyncio.Event()
        opened: Counter[str] = Counter()
        enable = CustodianApi.enable_eject

        async def held(self_: CustodianApi, client_id: str, wallet_id: str, until: datetime) -> datetime:
            closes = await enable(self_, client_id, wallet_id, until)
            opened[client_id] += 1
            if list(opened.values()) == [2] * ejects:
                self.stand.set()
            if opened[client_id] == 2:
                await self._go.wait()
            return closes

        monkeypatch.setattr(CustodianApi, "enable_eject", held)

    def open(self) -> None:
        """Let them go."""
        self._go.set()


async def limit(client: Client, queue: TaskQueue, per_second: float | None) -> None:
    """What an operator sets with `temporal task-queue config set`, above what workers say."""
    request = UpdateTaskQueueConfigRequest(
        namespace=client.namespace, task_queue=queue, task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY
    )
    update = UpdateTaskQueueConfigRequest.RateLimitUpdate(reason="a test")
    if per_second is not None:
        update.rate_limit.CopyFrom(RateLimit(requests_per_second=per_second))
    request.update_queue_rate_limit.CopyFrom(update)
    await client.workflow_service.update_task_queue_config(request)


@pytest.mark.chaos
async def test_who_closes_soon_is_fetched_first(unserved: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a backlog the nearest close comes first, although it was asked for last; a first check is last."""
    world, windows = unserved, [WEEK, WEEK, WEEK, timedelta(hours=5), timedelta(minutes=20)]
    gate, customers = Gate(monkeypatch, len(windows)), [world.sandbox.seed() for _ in windows]
    async with serving(world):
        try:
            for customer, window in zip(customers, windows, strict=True):
                await world.start(customer, window=window)
            async with asyncio.timeout(PATIENCE):
                await gate.stand.wait()
            await limit(world.client, TaskQueue.CUSTODIAN, 0)
            customers.append(late := world.sandbox.seed())
            await world.start(late)
            await backlog(world.client, TaskQueue.CUSTODIAN, 1)
            gate.open()
            await backlog(world.client, TaskQueue.CUSTODIAN, len(customers))
            await limit(world.client, TaskQueue.CUSTODIAN, 4)
            for customer in customers:
                await world.reach(starter.handle_of(world.client, customer.client_id), Stage.AWAITING_CLAIM)
        finally:
            await limit(world.client, TaskQueue.CUSTODIAN, None)
    begun = {customer.client_id: await begins(world, customer) for customer in customers}
    *weeks, hours, minutes, late_one = (
        begun[customer.client_id]["check" if customer is late else "fetch_shares"] for customer in customers
    )
    assert minutes < hours < min(weeks)
    assert max(weeks) < late_one


PAGE = re.findall(r"^## Budgets\n(.*?)^## ", (ROOT / "docs/operating.md").read_text(), re.M | re.S)[0]


def test_the_page_has_the_rates() -> None:
    """The table's attempts a minute are those of two roles without any setting."""
    rows = dict(re.findall(r"^\| `(\S+)` \| .* \| ([0-9.]+) \|$", PAGE, re.M))
    for role in (WorkerRole.CUSTODIAN, WorkerRole.CLIENT):
        rates = rates_of(role, Settings())
        assert rows == {queue: f"{60 * rate:.2g}" for queue, rate in rates.items()}


async def test_a_worker_process_sets_the_rates(workerless: World) -> None:
    """Temporal has them from what the worker's polls say, and none of the queues that call nobody."""
    ours = [f"EJECT_BUDGET_{budget.upper()}" for budget in Budget]
    async with worker("all", settings_of(workerless, *ours)) as running:
        await said(running, "worker.serving")
        for queue, rate in rates_of(WorkerRole.ALL, Settings()).items():
            told = await limited(workerless.client, queue)
            assert told.requests_per_second == pytest.approx(rate, rel=1e-3)
        for queue in set(TaskQueue) - set(PER_EJECT):
            other = await described(workerless.client, queue)
            assert other.effective_rate_limit.rate_limit_source != WORKER


async def test_an_operator_holds_all_calls_of_a_queue(workerless: World, tmp_path: Path) -> None:
    """With the page's command nothing is called any more, with the next one all goes on."""
    world, customer = workerless, workerless.sandbox.seed()
    operator = Operator(world, customer, tmp_path)
    hold, let_go, how_far = re.findall(r"^ {4}(temporal .*)$", PAGE, re.M)
    async with serving(world):
        try:
            assert (await operator.try_to(hold))[0] == 0
            handle = await world.start(customer)
            await backlog(world.client, TaskQueue.CUSTODIAN, 1)
            code, told, _ = await operator.try_to(how_far)
            assert (code, "ApproximateBacklogCount" in told) == (0, True), told
            assert world.sandbox.journal() == []
        finally:
            assert (await operator.try_to(let_go))[0] == 0
        await world.reach(handle, Stage.AWAITING_CLAIM)


async def backlog(client: Client, queue: TaskQueue, count: int) -> None:
    """Wait until so many attempts wait on a queue."""
    async with asyncio.timeout(PATIENCE):
        while True:
            if (await described(client, queue)).stats.approximate_backlog_count >= count:
                return
            await asyncio.sleep(0.05)


async def limited(client: Client, queue: TaskQueue) -> DescribeTaskQueueResponse.EffectiveRateLimit:
    """Wait until a worker has said its rate."""
    async with asyncio.timeout(PATIENCE):
        while True:
            told = (await described(client, queue)).effective_rate_limit
            if told.rate_limit_source == WORKER:
                return told
            await asyncio.sleep(0.05)


async def described(client: Client, queue: TaskQueue) -> DescribeTaskQueueResponse:
    """What Temporal tells of a queue's activities."""
    request = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueueMessage(name=queue),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
        report_stats=True,
        report_config=True,
    )
    return await client.workflow_service.describe_task_queue(request)


async def begins(world: World, customer: Customer) -> dict[str, datetime]:
    """When the first attempt of each step of an eject began, by Temporal's clock."""
    events = (await world.history(starter.handle_of(world.client, customer.client_id))).events
    found: dict[str, datetime] = {}
    for event in events:
        if asked := event.activity_task_started_event_attributes.scheduled_event_id:
            scheduled = events[asked - 1].activity_task_scheduled_event_attributes
            found.setdefault(scheduled.activity_type.name, event.event_time.ToDatetime())
    return found
