"""Watching all ejects: how many are in which stage, for how long, and whose window closes, as gauges.

Temporal knows it all, so it is asked, by counts only: what a worker remembered would end with it.
Every worker of the custodian role shows the same figures, so a dashboard takes the largest.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from temporalio.api.workflowservice.v1 import CountWorkflowExecutionsRequest
from temporalio.client import Client
from temporalio.common import MetricGauge, MetricGaugeFloat, MetricMeter
from temporalio.service import RPCError

from contracts.metrics import RUNNING, RUNNING_LONGER, WATCHED, WINDOW_CLOSING, Metric
from contracts.names import WORKFLOW, Attribute
from contracts.stages import Stage
from serving.observing import meter_of

log = structlog.get_logger()

EVERY = timedelta(seconds=30)
# Of Temporal's lists, whose calls are few: one for each stage, those that alerts wait for, some of the rest.
MOST_COUNTS = 20
# Temporal takes ten list calls a second for a namespace, by default; other workers and people list too.
_PACE = timedelta(seconds=0.4)
_ANSWERS_WITHIN = timedelta(seconds=5)
_PASS_WITHIN = timedelta(seconds=25)

AGES = {"1h": timedelta(hours=1), "1d": timedelta(days=1), "7d": timedelta(days=7)}
SOON, LATER = ("2h", timedelta(hours=2)), ("1d", timedelta(days=1))
# The stages in which an owner or an operator can lose a window.
IN_A_WINDOW = (Stage.AWAITING_CLAIM, Stage.AWAITING_PROOF, Stage.PARKED)
_RUNNING = f"WorkflowType = '{WORKFLOW}' AND CloseTime IS NULL AND {Attribute.STAGE} = "


@dataclass(frozen=True)
class Count:
    """One gauge's figure within a stage: that stage alone, in it since before, or closing until a moment."""

    stage: Stage
    metric: Metric = RUNNING
    label: str = ""
    span: timedelta = timedelta(0)

    def query(self, now: datetime) -> str:
        """What Temporal is asked."""
        stage = f"{_RUNNING}'{self.stage}'"
        if self.metric is RUNNING_LONGER:
            moment = _moment(now - self.span)
            since = Attribute.STAGE_SINCE
            # The first stage begins with the eject, and writes no attribute.
            began = f"({since} < {moment} OR ({since} IS NULL AND StartTime < {moment}))"
            return f"{stage} AND {began}"
        if self.metric is WINDOW_CLOSING:
            return f"{stage} AND {Attribute.WINDOW_CLOSES} < {_moment(now + self.span)}"
        return stage

    @property
    def labels(self) -> dict[str, str]:
        """The labels of its series."""
        extra = {RUNNING_LONGER: {"than": self.label}, WINDOW_CLOSING: {"within": self.label}}
        return {"stage": str(self.stage)} | extra.get(self.metric, {})


STAGES = tuple(Count(stage) for stage in Stage)
URGENT = (
    Count(Stage.PARKED, RUNNING_LONGER, "15m", timedelta(minutes=15)),
    *(Count(stage, WINDOW_CLOSING, *SOON) for stage in IN_A_WINDOW),
)
SLOW = (
    *(Count(stage, RUNNING_LONGER, *age) for stage in Stage for age in AGES.items()),
    *(Count(stage, WINDOW_CLOSING, *LATER) for stage in IN_A_WINDOW),
)


def _moment(at: datetime) -> str:
    return f"'{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}'"


class Watching:
    """Asks again and again; a figure that cannot be had stays as it was, and the worker goes on."""

    def __init__(
        self, client: Client, meter: MetricMeter, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._client = client
        self._now = now
        self._gauges: dict[Metric, MetricGauge] = {
            metric: meter.create_gauge(metric.name, metric.meaning)
            for metric in (RUNNING, RUNNING_LONGER, WINDOW_CLOSING)
        }
        self._watched: MetricGaugeFloat = meter.create_gauge_float(WATCHED.name, WATCHED.meaning)
        # Those that are next come first; what takes longer than an hour may be told some minutes late.
        self._slow = deque(SLOW)
        self._asked = 0

    async def run(self) -> None:
        """Never ends by itself."""
        while True:
            try:
                await self.look()
            except Exception as error:
                # Whatever it is, the worker serves on, and the next look may be better.
                log.warning("watching.failed", failure=type(error).__name__)
            # Not in step with the other workers, which began together and ask the same lists.
            await asyncio.sleep(EVERY.total_seconds() * random.uniform(0.7, 1.3))  # noqa: S311 (no secret)

    async def look(self) -> int:
        """Read the figures once; how many counts it took."""
        self._asked, failed = 0, 0
        try:
            async with asyncio.timeout(_PASS_WITHIN.total_seconds()):
                empty = set[Stage]()
                for count in STAGES:
                    found = await self._show(count)
                    failed += found is None
                    if found == 0:
                        empty.add(count.stage)
                for count in (*URGENT, *self._slow):
                    # Where nobody is there is nobody for long: no question, but still a nought to show.
                    if count.stage in empty:
                        self._gauges[count.metric].set(0, count.labels)
                for count in URGENT:
                    if count.stage not in empty:
                        failed += await self._show(count) is None
                for _ in range(len(self._slow)):
                    if self._asked == MOST_COUNTS:
                        break
                    self._slow.rotate(-1)
                    if self._slow[-1].stage not in empty:
                        failed += await self._show(self._slow[-1]) is None
        except TimeoutError:
            failed += 1
        if failed:
            log.warning("watching.incomplete", failed=failed)
        else:
            self._watched.set(self._now().timestamp())
        return self._asked

    async def _show(self, count: Count) -> int | None:
        if self._asked:
            await asyncio.sleep(_PACE.total_seconds())
        self._asked += 1
        request = CountWorkflowExecutionsRequest(
            namespace=self._client.namespace, query=count.query(self._now())
        )
        try:
            answer = await self._client.workflow_service.count_workflow_executions(
                request, timeout=_ANSWERS_WITHIN
            )
        except RPCError:
            return None
        self._gauges[count.metric].set(answer.count, count.labels)
        return answer.count


def watching(client: Client) -> Watching:
    """A watch whose figures are shown where the client's process shows its own."""
    return Watching(client, meter_of(client))
