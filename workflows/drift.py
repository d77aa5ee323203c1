"""The drift watch: one look at all of Portal's clients, which a schedule begins again and again."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar

from pydantic import ValidationError
from temporalio import workflow
from temporalio.common import Priority
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.watch_drift import WatchDriftStep
    from contracts.base import Result
    from contracts.drift import (
        DRIFT_WORKFLOW,
        DriftReported,
        LookAgain,
        LookedAgain,
        PageWatched,
        ReportDrift,
        Sighting,
        Watch,
        WatchPage,
        WatchReport,
    )
    from contracts.names import TaskQueue
    from contracts.notices import DriftData, Notice, NoticeKind
    from contracts.window import SHRINK_TO

from workflows.notice import start_notice
from workflows.policies import HEARTBEAT, PATIENT

O = TypeVar("O", bound=Result)  # noqa: E741 (what comes out)

# One call for a page, and for each client who is suspicious some looks into the vault and at Temporal.
_ATTEMPT = timedelta(minutes=5)
# Ten looks a minute: each counts as one of the some fifty attempts that Portal's budget leaves to the queue.
PACE = timedelta(seconds=6)
# An eject that ended while it was read has closed its window by then.
SETTLES = SHRINK_TO + timedelta(seconds=30)
# Whoever has more findings than people can read has one cause to find, and a number.
MOST = 100
# Pages in one history: 11 events each.
PAGES = 300


@workflow.defn(name=DRIFT_WORKFLOW, failure_exception_types=[ValidationError])
class DriftWatch:
    """Fails where Portal or the vault refuses for good; the schedule's next look is the retry."""

    @workflow.init
    def __init__(self, watch: Watch) -> None:
        self._since = watch.since
        self._cursor = watch.cursor
        self._seen = watch.seen
        self._suspects = list(watch.suspects)
        self._more = watch.more
        # What is known is handed on by us: Temporal hands it to the schedule's own runs only.
        self._before = watch.known if watch.known is not None else _before()

    @workflow.run
    async def run(self, watch: Watch) -> WatchReport:
        """Look at everybody, look again at who is suspicious, and tell."""
        for _ in range(PAGES):
            await self._page()
            if self._cursor is None:
                break
            await workflow.sleep(PACE, summary="to leave Portal's budget to the ejects")
        else:
            workflow.continue_as_new(self._so_far())
        report = await self._look_again()
        workflow.set_current_details(markdown(report))
        told = await self._step(
            WatchDriftStep.report_drift, ReportDrift(report=report), DriftReported, TaskQueue.EJECT
        )
        if told.notices and (fresh := new_in(report, self._before)):
            await self._tell(report, fresh)
        return report

    async def _page(self) -> None:
        page = await self._step(
            WatchDriftStep.watch_page, WatchPage(since=self._since, cursor=self._cursor), PageWatched
        )
        if page.cursor is not None and page.cursor == self._cursor:
            raise ApplicationError(
                "Portal's list of clients does not go on: ask Portal why", non_retryable=True
            )
        self._cursor = page.cursor
        self._seen += page.seen
        room = max(MOST - len(self._suspects), 0)
        self._suspects += page.suspects[:room]
        self._more += len(page.suspects[room:])
        workflow.set_current_details(f"{self._seen} clients read, {len(self._suspects)} suspicious so far.")

    async def _look_again(self) -> WatchReport:
        findings: list[Sighting] = []
        if self._suspects:
            await workflow.sleep(SETTLES, summary="for ejects that have just ended, before the second look")
        for suspect in self._suspects:
            again = await self._step(
                WatchDriftStep.look_again,
                LookAgain(client_id=suspect.client_id, since=self._since),
                LookedAgain,
            )
            if again.sighting is not None:
                findings.append(again.sighting)
            await workflow.sleep(PACE, summary="to leave Portal's budget to the ejects")
        return WatchReport(
            watched=workflow.now(),
            seen=self._seen,
            found=len(findings),
            findings=tuple(findings),
            unsure=self._more,
        )

    async def _tell(self, report: WatchReport, fresh: tuple[Sighting, ...]) -> None:
        notice = Notice(
            id=f"drift-{workflow.info().first_execution_run_id}",
            kind=NoticeKind.DRIFT,
            at=report.watched,
            data=DriftData(found=report.found, clients=tuple(one.client_id for one in fresh)),
        )
        await start_notice(notice, f"{report.found} clients in a state that no eject caused")

    async def _step(
        self,
        step: Callable[[Any, Any], Awaitable[O]],
        what: Result,
        answer: type[O],
        queue: TaskQueue = TaskQueue.CUSTODIAN,
    ) -> O:
        done = await workflow.execute_activity(
            step.__name__,
            what,
            task_queue=queue,
            # Ejects that have begun go first where both wait for Portal's budget.
            priority=Priority(priority_key=5),
            result_type=answer,
            start_to_close_timeout=_ATTEMPT,
            heartbeat_timeout=HEARTBEAT,
            retry_policy=PATIENT,
        )
        return answer.model_validate(done)

    def _so_far(self) -> Watch:
        return Watch(
            since=self._since,
            cursor=self._cursor,
            seen=self._seen,
            suspects=tuple(self._suspects),
            more=self._more,
            known=self._before,
        )


def _before() -> tuple[Sighting, ...]:
    """What the schedule's last look found; Temporal hands it on."""
    last = workflow.get_last_completion_result(WatchReport)
    return last.findings if last else ()


def new_in(report: WatchReport, known: tuple[Sighting, ...]) -> tuple[Sighting, ...]:
    """What the last look had not found: nobody is told of the same thing every hour."""
    return tuple(one for one in report.findings if one not in known)


def markdown(report: WatchReport) -> str:
    """What a person sees of a look in the Temporal UI."""
    lines = [f"{report.seen} clients read. **{report.found}** in a state that no eject of ours caused."]
    lines += [
        f"- client `{one.client_id}`: {'window open until' if one.kind == 'window_open' else 'ejected at'} "
        f"{one.at:%Y-%m-%d %H:%M:%S} UTC"
        for one in report.findings
    ]
    if report.unsure:
        lines.append(f"{report.unsure} more looked so at first and were not looked at again.")
    if report.found:
        lines.append("What to do: `docs/recovery.md`.")
    return "\n\n".join(lines)
