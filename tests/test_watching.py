"""The figures of all running ejects: right, bounded in what they ask, and the worker's end of nothing."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from temporalio.api.workflowservice.v1 import CountWorkflowExecutionsRequest, CountWorkflowExecutionsResponse
from temporalio.client import Client
from temporalio.common import MetricMeter
from temporalio.service import RPCError, RPCStatusCode

import starter
from contracts.stages import Stage
from serving import watching
from serving.watching import MOST_COUNTS, SLOW, STAGES, URGENT, Watching
from tests.harness.world import PATIENCE, World


@dataclass
class Figures:
    """A meter that keeps what its gauges show."""

    shown: dict[str, float] = field(default_factory=dict)

    def create_gauge(self, name: str, description: str | None = None, unit: str | None = None) -> Any:
        """One gauge."""

        def set_to(value: float, labels: dict[str, str] | None = None) -> None:
            self.shown[" ".join([name, *(labels or {}).values()])] = value

        return SimpleNamespace(set=set_to)

    create_gauge_float = create_gauge


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pause between two counts; the tests' server takes as many as come."""
    monkeypatch.setattr(watching, "_PACE", timedelta(0))


def watch(client: object, figures: Figures, later: timedelta = timedelta(0)) -> Watching:
    """A watch whose clock is ahead."""
    clock = lambda: datetime.now(UTC) + later  # noqa: E731
    return Watching(cast(Client, client), cast(MetricMeter, figures), clock)


async def shows(one: Watching, figures: Figures, **expected: int) -> None:
    """Look until the figures are these, two underscores for each blank; Temporal's lists lag behind."""
    wanted = {"eject_" + name.replace("__", " "): value for name, value in expected.items()}
    async with asyncio.timeout(PATIENCE):
        while {name: figures.shown.get(name) for name in wanted} != wanted:
            assert await one.look() <= MOST_COUNTS


async def test_ejects_are_counted_by_stage_and_age_and_close(world: World) -> None:
    """Two ejects: what is shown of them now, what will be later, and nought once they have ended."""
    waiting, parked = world.sandbox.seed(), world.sandbox.seed()
    await world.reach(await world.start(waiting), Stage.AWAITING_CLAIM)
    handle = await starter.start(world.client, world.request(parked))
    await world.reach(handle, Stage.PARKED)

    figures = Figures()
    now, soon = watch(world.client, figures), watch(world.client, figures, timedelta(hours=23))
    await shows(now, figures, running__awaiting_claim=1, running__parked=1, running__completing=0)
    await shows(now, figures, window_closing__awaiting_claim__2h=0, window_closing__awaiting_claim__1d=1)
    await shows(now, figures, running_longer__parked__15m=0, running_longer__awaiting_claim__1h=0)
    await shows(soon, figures, window_closing__awaiting_claim__2h=1, window_closing__parked__2h=0)
    await shows(soon, figures, running_longer__parked__15m=1, running_longer__awaiting_claim__1h=1)
    await shows(soon, figures, running_longer__awaiting_claim__1d=0, running_longer__completing__1h=0)
    assert abs(figures.shown["eject_watched_timestamp_seconds"] - datetime.now(UTC).timestamp()) < 24 * 3600

    await world.cancel(waiting)
    await handle.terminate("nobody retries")
    await shows(soon, figures, running__awaiting_claim=0, running__parked=0, running_longer__parked__15m=0)
    await shows(soon, figures, window_closing__awaiting_claim__2h=0, running_longer__awaiting_claim__1h=0)


async def test_the_first_stage_is_as_old_as_the_eject(unserved: World) -> None:
    """Nobody has written since when; the same holds for ejects of the version before."""
    figures = Figures()
    await unserved.start(unserved.sandbox.seed())
    late = watch(unserved.client, figures, timedelta(hours=2))
    await shows(late, figures, running__checking=1, running_longer__checking__1h=1)
    await shows(late, figures, running_longer__checking__1d=0)


Answer = Callable[[str], int]


@dataclass
class Temporal:
    """What a watch needs of Temporal: it counts as `answer` says, and keeps what it was asked."""

    answer: Answer
    asked: list[str] = field(default_factory=list)
    namespace: str = "n"

    @property
    def workflow_service(self) -> "Temporal":
        """The service that counts."""
        return self

    async def count_workflow_executions(
        self,
        request: CountWorkflowExecutionsRequest,
        timeout: timedelta,  # noqa: ASYNC109 (the SDK's)
    ) -> CountWorkflowExecutionsResponse:
        """One count."""
        assert timeout <= timedelta(seconds=5)
        self.asked.append(re.sub(r"'\d{4}-[^']*'", "T", request.query))
        if (count := self.answer(request.query)) < 0:
            await asyncio.sleep(3600)
        return CountWorkflowExecutionsResponse(count=count)


def fails_for(stage: Stage) -> Answer:
    """One count cannot be had, all others are 1."""

    def answer(query: str) -> int:
        if f"'{stage}'" in query:
            raise RPCError("out of resources", RPCStatusCode.RESOURCE_EXHAUSTED, b"")
        return 1

    return answer


async def test_a_pass_is_bounded_and_every_figure_has_its_turn() -> None:
    """With ejects in every stage: twenty counts at a time, the urgent ones always, the others soon."""
    temporal, figures = Temporal(lambda _: 1), Figures()
    one = watch(temporal, figures)
    each_time = len(STAGES) + len(URGENT)
    passes = -(-len(SLOW) // (MOST_COUNTS - each_time))
    for _ in range(passes):
        before = len(temporal.asked)
        assert await one.look() == len(temporal.asked) - before == MOST_COUNTS
    assert passes <= 15
    moments = datetime.now(UTC)
    every = {re.sub(r"'\d{4}-[^']*'", "T", c.query(moments)) for c in (*STAGES, *URGENT, *SLOW)}
    assert set(temporal.asked) == every
    assert len(figures.shown) == len({*STAGES, *URGENT, *SLOW}) + 1
    assert set(figures.shown.values()) - {figures.shown["eject_watched_timestamp_seconds"]} == {1}


async def test_one_count_that_fails_stops_nothing() -> None:
    """The other figures are shown; that they are not complete is seen by their age."""
    figures = Figures()
    await watch(Temporal(fails_for(Stage.CHECKING)), figures).look()
    assert figures.shown["eject_running parked"] == 1
    assert "eject_running checking" not in figures.shown
    assert "eject_watched_timestamp_seconds" not in figures.shown


async def test_a_server_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pass ends, and the next one comes."""
    monkeypatch.setattr(watching, "_PASS_WITHIN", timedelta(seconds=0.05))
    figures = Figures()
    await asyncio.wait_for(watch(Temporal(lambda _: -1), figures).look(), PATIENCE)
    assert figures.shown == {}
