"""The workflow as a later version might have it: with one more timer at its very beginning, or a clock."""

from datetime import UTC, datetime, timedelta

from pydantic import ValidationError
from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from contracts.names import WORKFLOW
    from contracts.receipt import Receipt
    from contracts.request import EjectRequest

from workflows.eject import _NOTHING, Eject
from workflows.notice import EjectNotice

PATCH = "think-first"
_THINKS = timedelta(milliseconds=10)


@workflow.defn(name=WORKFLOW, failure_exception_types=[ValidationError])
class Unguarded(Eject):
    """Changed as it must not be: ejects that run now meet the new timer."""

    @workflow.init
    def __init__(self, request: EjectRequest = _NOTHING) -> None:
        super().__init__(request)

    @workflow.run
    async def run(self, request: EjectRequest = _NOTHING) -> Receipt:
        """As before."""
        return await super().run(request)

    async def _check(self) -> None:
        await workflow.sleep(_THINKS, summary="to think first")
        await super()._check()


@workflow.defn(name=WORKFLOW, failure_exception_types=[ValidationError])
class Guarded(Eject):
    """The same change, which only ejects that begin with it meet."""

    @workflow.init
    def __init__(self, request: EjectRequest = _NOTHING) -> None:
        super().__init__(request)

    @workflow.run
    async def run(self, request: EjectRequest = _NOTHING) -> Receipt:
        """As before."""
        return await super().run(request)

    async def _check(self) -> None:
        if workflow.patched(PATCH):
            await workflow.sleep(_THINKS, summary="to think first")
        await super()._check()


@workflow.defn(name=WORKFLOW, failure_exception_types=[ValidationError])
class Clocked(Eject):
    """Changed as it must not be: what it reads is another time in every replay."""

    @workflow.init
    def __init__(self, request: EjectRequest = _NOTHING) -> None:
        super().__init__(request)

    @workflow.run
    async def run(self, request: EjectRequest = _NOTHING) -> Receipt:
        """As before, whatever the clock says."""
        datetime.now(UTC)
        return await super().run(request)


UNGUARDED: tuple[type, ...] = (Unguarded, EjectNotice)
GUARDED: tuple[type, ...] = (Guarded, EjectNotice)
CLOCKED: tuple[type, ...] = (Clocked, EjectNotice)
