"""What Temporal's lists show of an eject: its search attributes, written as they change."""

import asyncio
from datetime import datetime
from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeUpdate

with workflow.unsafe.imports_passed_through():
    from contracts.stages import End, Stage

from workflows import attributes
from workflows.record import Record
from workflows.window import Window

# Steps in which nothing fails are over in a moment, and a write of attributes costs the server as much as a
# third of such a step (docs/performance.md).
PASSING = frozenset(
    {
        Stage.CHECKING,
        Stage.BACKING_UP,
        Stage.CONFIRMING_BACKUP,
        Stage.ENABLING,
        Stage.FETCHING_SHARES,
        Stage.COMPLETING,
        Stage.CLOSING,
    }
)


class Showing:
    """A stage at which an eject rests is shown at once, one that may pass once it has lasted for a while."""

    def __init__(self, record: Record, window: Window) -> None:
        self._record = record
        self._window = window
        self._stage: Stage | End = Stage.CHECKING
        self._since = workflow.now()
        # `starter` gives the first stage with the start; a plain start gives none.
        given = workflow.info().typed_search_attributes.get(attributes.STAGE)
        at_first = (Stage.CHECKING, None) if given == Stage.CHECKING else None
        self._shown: tuple[Stage | End, datetime | None] | None = at_first
        self._later: asyncio.Task[None] | None = None

    def show(self, stage: Stage | End, since: datetime) -> None:
        """Write what differs from what is shown, all in one call."""
        self._stage, self._since = stage, since
        if self._shown != (stage, self._window.closes):
            if not self._may_pass:
                self._write()
            elif self._later is None:
                self._later = asyncio.create_task(self._show_later())

    @property
    def _may_pass(self) -> bool:
        # Whoever was told that it stands still hears at once that it goes on.
        stood = self._shown is None or self._shown[0] in (Stage.PARKED, Stage.UNRESOLVED)
        return bool(self._record.shown_after) and self._stage in PASSING and not stood

    async def _show_later(self) -> None:
        await workflow.sleep(self._record.shown_after, summary="before a stage that lasts is shown")
        self._later = None
        self._write()

    def _write(self) -> None:
        if self._later is not None:
            self._later.cancel()
            self._later = None
        shown, self._shown = self._shown, (self._stage, self._window.closes)
        values: list[SearchAttributeUpdate[Any]] = [
            attributes.STAGE.value_set(self._stage),
            attributes.STAGE_SINCE.value_set(self._since),
        ]
        if shown is None:  # a start by other hands than `starter` says nothing of it
            values.append(attributes.CLIENT.value_set(self._record.request.client_id))
        if self._window.closes and (shown is None or shown[1] != self._window.closes):
            values.append(attributes.WINDOW_CLOSES.value_set(self._window.closes))
        workflow.upsert_search_attributes(values)
