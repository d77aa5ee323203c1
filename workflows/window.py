"""The ejectable window as a durable timer whose end can move."""

from collections.abc import Callable
from datetime import datetime, timedelta

from temporalio import workflow


class Window:
    """`closes` is what Portal confirmed, in UTC; None until the window was opened."""

    def __init__(self) -> None:
        self.closes: datetime | None = None

    @property
    def law(self) -> datetime:
        """The close, for what happens only after the window was opened."""
        assert self.closes is not None, "the story opens the window first"  # noqa: S101
        return self.closes

    async def wait(self, done: Callable[[], bool]) -> bool:
        """Wait until something is done, but no longer than the window is open; whether it was done."""
        while not done() and self.closes and (left := self.closes - workflow.now()) > timedelta(0):
            closes = self.closes
            try:
                await workflow.wait_condition(
                    lambda closes=closes: done() or self.closes != closes,  # type: ignore[misc]
                    timeout=left,
                    timeout_summary="the ejectable window closes",
                )
            except TimeoutError:
                continue
        return done()
