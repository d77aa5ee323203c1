"""Telling of what happens, beside all that the eject does.

The eject sends a notice itself, which costs its history less than a child; what is not taken by its end, and
the end itself, goes on as a workflow of its own, because an eject waits for no receiver.
"""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from contracts.notices import Notice, NoticeData, NoticeKind
    from contracts.receipt import Status
    from contracts.stages import End, Stage
    from workflows.notice import send_notice, start_notice

from workflows.record import Record
from workflows.window import Window

_OF_STAGE: dict[Stage | End, NoticeKind | End] = {
    Stage.AWAITING_APPROVAL: NoticeKind.APPROVAL_NEEDED,
    Stage.AWAITING_CLAIM: NoticeKind.SHARES_READY,
    Stage.PARKED: NoticeKind.PARKED,
    Stage.UNRESOLVED: NoticeKind.UNRESOLVED,
    **{end: end for end in End},
}


class Notifying:
    """The notices of one eject; none where the settings name no receiver."""

    def __init__(self, record: Record, window: Window, status: Callable[[], Status]) -> None:
        self._record = record
        self._window = window
        self._status = status
        self._count = 0
        self._warned = False
        self._starting: set[asyncio.Task[None]] = set()
        self._sending: dict[asyncio.Task[None], Notice] = {}

    def tell_of(self, standing: Stage | End) -> None:
        """Tell of a stage that somebody should know of."""
        if kind := _OF_STAGE.get(standing):
            self._tell(kind)

    def _tell(self, kind: NoticeKind | End) -> None:
        if not self._record.notices:
            return
        self._count += 1
        notice = self._notice(kind)
        # Ejects that began with an earlier version send everything by children.
        if isinstance(kind, End) or not workflow.patched("notices-by-the-eject"):
            self._start(notice)
            return
        sending = asyncio.create_task(self._send(notice))
        self._sending[sending] = notice
        sending.add_done_callback(lambda done: self._sending.pop(done, None))

    async def _send(self, notice: Notice) -> None:
        try:
            await send_notice(notice)
        except ActivityError:
            workflow.logger.warning("eject.notice_given_up", extra={"notice": notice.kind})

    def _start(self, notice: Notice) -> None:
        told = start_notice(notice, f"Client {self._record.request.client_id}: {notice.kind}")
        starting = asyncio.create_task(told)
        self._starting.add(starting)
        starting.add_done_callback(self._starting.discard)

    def hand_over(self) -> None:
        """Leave what nobody has taken yet to workflows that outlive us; a receiver may hear it twice."""
        for sending, notice in list(self._sending.items()):
            sending.cancel()
            self._start(notice)

    def started(self) -> bool:
        """Whether every notice that is left is a workflow of its own by now."""
        return not self._starting

    async def warn(self) -> None:
        """Tell once that the window closes soon: when a tenth of it is left, or a day of a long one."""
        if self._warned or not self._record.notices or self._window.closes is None:
            return
        closes, opened = self._window.closes, workflow.now()
        before = min((closes - opened) / 10, timedelta(days=1))
        await workflow.sleep(
            max(closes - before - opened, timedelta(0)), summary="to warn that the window closes soon"
        )
        if self._window.closes == closes:
            self._warned = True
            self._tell(NoticeKind.WINDOW_CLOSING)
        else:
            await self.warn()

    def _notice(self, kind: NoticeKind | End) -> Notice:
        status = self._status()
        park = status.park if kind is NoticeKind.PARKED else None
        return Notice(
            id=f"{self._record.eject_id}-{self._count}",
            kind=kind,
            at=workflow.now(),
            data=NoticeData(
                eject_id=self._record.eject_id,
                client_id=self._record.request.client_id,
                fingerprint=self._record.fingerprint,
                request_digest=self._record.digest,
                window_closes=status.window_closes,
                park=park.number if park else None,
                step=park.step if park else None,
                reason=park.reason if park else None,
                mend=park.mend if park else None,
            ),
        )
