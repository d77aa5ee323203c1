"""Extending the window: moving its close, or opening it once more."""

import asyncio
from datetime import datetime, timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from contracts.steps import EjectEnabled

from workflows.parking import Parking, Trouble, Turn
from workflows.policies import ENABLE_EJECT
from workflows.record import Record
from workflows.refusing import refusal
from workflows.window import Window


class Extension:
    """At most one extension at a time.

    `unsure` is set while Portal's window may be open longer than ours; `wanted` is the length of a window
    that is to be opened again after the close, which the road then does.
    """

    def __init__(self, record: Record, steps: Parking, window: Window) -> None:
        self._record = record
        self._steps = steps
        self._window = window
        self._moving: asyncio.Task[EjectEnabled] | None = None
        self.unsure = False
        self.wanted: timedelta | None = None

    @property
    def running(self) -> bool:
        """Whether an extension is being made."""
        return self._moving is not None or self.wanted is not None

    async def move(self, length: timedelta) -> datetime:
        """Set a new close with Portal; when the old close comes first, it wins and this is refused."""
        self.unsure = True
        self._moving = moving = asyncio.create_task(self._enable(length))
        await workflow.wait_condition(moving.done)
        if self._moving is not moving or moving.cancelled():
            raise refusal("The window closed, or the eject was ended, before the extension was made")
        self._moving = None
        if isinstance(trouble := moving.exception(), Trouble):
            raise refusal(f"{trouble.reason}: {trouble.mend.replace('retry', 'extend again')}")
        closes = moving.result().closes
        self._window.closes = self._record.window_closes = closes
        self.unsure = False
        return closes

    async def _enable(self, length: timedelta) -> EjectEnabled:
        while True:
            try:
                return await self._steps.attempt(
                    ENABLE_EJECT, lambda: self._record.window_until(workflow.now() + length)
                )
            except Turn:
                workflow.logger.info("eject.window_aged")

    async def stop(self) -> None:
        """The close wins: give up an extension that is under way."""
        self.wanted = None
        if (moving := self._moving) is not None:
            self._moving = None
            moving.cancel()
            await workflow.wait_condition(moving.done)
