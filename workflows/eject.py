"""The eject: one client's way out of custody, from request to receipt."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from pydantic import ValidationError
from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from contracts import steps
    from contracts.names import WORKFLOW, workflow_id
    from contracts.receipt import Receipt
    from contracts.request import EjectRequest
    from contracts.stages import End, Stage

from workflows import policies
from workflows.approving import Approving
from workflows.closing import Closing
from workflows.commands import Commands
from workflows.extension import Extension
from workflows.fetching import Fetching
from workflows.handover import Handover
from workflows.notifying import Notifying
from workflows.parking import Parking, Turn
from workflows.record import Record
from workflows.refusing import refusal
from workflows.rules import Rules, State
from workflows.showing import Showing
from workflows.window import Window


class Leave(Exception):  # noqa: N818 (an end, not an error)
    """The eject ends here."""

    def __init__(self, end: End) -> None:
        super().__init__(end)
        self.end = end


# Not `EjectRequest | None`: errors of a union would show the input.
_NOTHING: EjectRequest = None  # type: ignore[assignment]


# A malformed request fails at once with clean text; a defect of ours waits for the mended worker.
@workflow.defn(name=WORKFLOW, failure_exception_types=[ValidationError])
class Eject(Commands):
    """Back up, open the window, fetch, hand over, see proof, and only then complete.

    No execution or run timeout is ever set: an eject waits as long as it takes.
    """

    @workflow.init
    def __init__(self, request: EjectRequest = _NOTHING) -> None:
        # A start without input, or with bytes, reaches us unread; it fails here like any other malformed one.
        request = EjectRequest.model_validate(request)
        self._record = Record(workflow.info().first_execution_run_id, request, workflow.now())
        self._state = State()
        self._standing, self._since = self._state.stage, workflow.now()
        self._window = Window()
        self._steps = Parking(lambda: self._state.stage, lambda: self._window.closes, self._show)
        self._fetching = Fetching(self._record, self._steps, self._window)
        self._handover = Handover(self._record, self._steps)
        self._extension = Extension(self._record, self._steps, self._window)
        self._approving = Approving(self._record)
        self._notifying = Notifying(self._record, self._window, self._status)
        self._closing = Closing(self._record, self._steps)
        self._rules = Rules(
            self._state, self._steps, self._approving, self._window, self._handover, self._extension
        )
        self._showing = Showing(self._record, self._window)

    @workflow.run
    async def run(self, request: EjectRequest = _NOTHING) -> Receipt:
        """Walk the road to its end, or until a command ends it; then close."""
        if workflow.info().workflow_id != (expected := workflow_id(self._record.request.client_id)):
            # The id is what keeps a client from being ejected twice at once.
            raise refusal(f"The workflow id must be {expected}: start it again under that id")
        self._show()
        road = asyncio.create_task(self._road())
        await self._through(lambda: road.done() or self._state.leaving is not None)
        closing = asyncio.create_task(self._close(road))
        await self._through(closing.done)
        await self._through(workflow.all_handlers_finished)
        self._notifying.hand_over()
        await self._through(self._notifying.started)
        return closing.result()

    async def _through(self, done: Callable[[], bool]) -> None:
        """Wait, and take a native cancellation for the command that it means: `cancel`, or nothing at all."""
        while not done():
            try:
                await workflow.wait_condition(done)
            except asyncio.CancelledError:
                self._cancelled_natively()

    async def _road(self) -> End:
        """The lifecycle."""
        try:
            await self._check()
            if await self._agreed():
                await self._check()
            if not self._record.existing:
                await self._back_up()
                await self._confirm_backup()
            await self._enable_eject(self._record.request.window)
            await self._fetch_shares()
            await self._await_owner()
            await self._complete()
        except Leave as leave:
            return leave.end
        return End.EJECTED

    async def _check(self) -> None:
        request = self._record.request
        found = await self._steps.run(
            policies.CHECK,
            lambda: steps.Check(
                client_id=request.client_id,
                recipient=request.recipient,
                replace_backup=request.replace_backup,
                backup=request.backup,
                requested_by=request.requested_by,
                approvals=request.approvals,
                cooling_off=request.cooling_off,
                approved=self._record.approved is not None,
            ),
        )
        self._record.wallets = found.wallets
        self._record.completed_pairs = found.completed
        self._record.reasons = found.problems
        self._record.ejected_at = found.ejected_at
        self._record.notices = found.notices
        self._record.shown_after = found.shown_after
        if self._record.approved is None:  # what was agreed to is not changed by later settings
            self._record.guards = found.guards
        if found.ejected_at:
            raise Leave(End.ALREADY_EJECTED)
        if found.problems:
            raise Leave(End.REFUSED)

    async def _agreed(self) -> bool:
        """Wait for the approvals and the cooling-off; whether there was any, so that the check is old now."""
        record = self._record
        if not self._approving.missing and not record.guards.cooling_off:
            return False
        if self._approving.missing:
            self._enter(Stage.AWAITING_APPROVAL)
            await workflow.wait_condition(lambda: not self._approving.missing)
        record.approved = workflow.now()
        if record.guards.cooling_off:
            record.cooling_off_until = workflow.now() + record.guards.cooling_off
            self._enter(Stage.COOLING_OFF)
            await workflow.sleep(record.guards.cooling_off, summary="the cooling-off")
        self._enter(Stage.CHECKING)
        return True

    async def _back_up(self) -> None:
        self._enter(Stage.BACKING_UP)
        record = self._record
        made = await self._steps.run(
            policies.BACK_UP,
            lambda: steps.BackUp(
                eject_id=record.eject_id,
                client_id=record.request.client_id,
                recipient=record.request.recipient,
                wallets=record.wallets,
            ),
        )
        record.client_halves = made.files
        record.backed_up = workflow.now()

    async def _confirm_backup(self) -> None:
        self._enter(Stage.CONFIRMING_BACKUP)
        record = self._record
        await self._steps.run(
            policies.CONFIRM_BACKUP,
            lambda: steps.ConfirmBackup(
                eject_id=record.eject_id, client_id=record.request.client_id, files=record.client_halves
            ),
        )

    async def _enable_eject(self, length: timedelta) -> None:
        """Open the window as late as possible; one that aged while the step was tried is asked for anew."""
        self._enter(Stage.ENABLING)
        record = self._record
        self._extension.unsure = True
        enabled: steps.EjectEnabled | None = None
        while enabled is None:
            try:
                enabled = await self._steps.run(
                    policies.ENABLE_EJECT, lambda: record.window_until(workflow.now() + length)
                )
            except Turn:
                workflow.logger.info("eject.window_aged")
        record.window_opened = record.window_opened or workflow.now()
        self._window.closes = record.window_closes = enabled.closes
        self._extension.unsure = False
        self._fetching.window_opened()

    async def _fetch_shares(self, *, restore: bool = False) -> None:
        """Fetch inside the window; what its close overtakes is given up."""
        self._enter(Stage.FETCHING_SHARES)
        self._record.custodian_halves = ()
        fetching = asyncio.create_task(self._fetching.fetch(restore=restore))
        try:
            if await self._window.wait(fetching.done):
                fetching.result()
        except Turn:
            workflow.logger.info("eject.window_closed_before_the_fetch")
        finally:
            fetching.cancel()
            await workflow.wait_condition(fetching.done)

    async def _await_owner(self) -> None:
        """Wait for the claim and the proofs, as often as somebody extends the window."""
        while not self._handover.all_proven():
            if self._record.custodian_halves:
                self._enter(Stage.AWAITING_CLAIM)
                warning = asyncio.create_task(self._notifying.warn())
                try:
                    await self._window.wait(self._handover.all_proven)
                finally:
                    warning.cancel()
            await self._after_the_close()

    async def _after_the_close(self) -> None:
        """Finish what was accepted, destroy our copies; then only a late proof or a person goes on."""
        await self._handover.finish()
        await self._extension.stop()
        if self._handover.all_proven():
            return
        if not self._handover.claimed:
            raise Leave(End.EXPIRED)
        withdrawing = asyncio.create_task(self._closing.withdraw(shrink=self._extension.unsure))
        await self._unless_proven(withdrawing)
        if self._handover.all_proven():
            return
        self._handover.forgive()
        self._enter(Stage.UNRESOLVED)
        await workflow.wait_condition(
            lambda: self._handover.all_proven() or self._extension.wanted is not None
        )
        if self._extension.wanted is not None and not self._handover.all_proven():
            await self._open_again(self._extension.wanted)

    async def _open_again(self, length: timedelta) -> None:
        """Open the window once more and put both halves back, unless the proofs come first."""
        await self._unless_proven(asyncio.create_task(self._reopen(length)))
        self._extension.wanted = None

    async def _unless_proven(self, work: asyncio.Task[None]) -> None:
        """Do work that the last proof makes needless: completion is owed from then on, and does not wait."""
        await workflow.wait_condition(lambda: work.done() or self._handover.all_proven())
        if work.done():
            work.result()
        else:
            await self._steps.give_up(work)

    async def _reopen(self, length: timedelta) -> None:
        await self._enable_eject(length)
        self._extension.wanted = None
        self._handover.forgive()
        await self._fetch_shares(restore=True)

    async def _complete(self) -> None:
        """Owed once proven, window or not."""
        self._enter(Stage.COMPLETING)
        record = self._record
        done = await self._steps.run(
            policies.COMPLETE,
            lambda: steps.Complete(client_id=record.request.client_id, wallets=record.wallets),
        )
        record.ejected_at = done.ejected_at
        record.completed = workflow.now()

    async def _close(self, road: asyncio.Task[End]) -> Receipt:
        """Leave the road where it is or has ended, withdraw what is ours, write the receipt."""
        end = self._state.leaving
        if end is None:
            end = road.result()
        else:
            await self._steps.give_up(road)
            await self._handover.stop()
            await self._extension.stop()
        self._enter(Stage.CLOSING)
        # A command may end an eject whose window is open, or was asked for and nobody heard.
        still_open = self._state.leaving is not None and self._window.closes is not None
        if end not in (End.REFUSED, End.ALREADY_EJECTED):  # those two ended before anything was written
            shrink = still_open or self._extension.unsure
            await self._closing.withdraw(shrink=shrink, left=end is End.EJECTED)
        receipt = await self._closing.conclude(end)
        self._state.end = end
        self._show()
        return receipt
