"""What people and services may say to a running eject, and what it shows them."""

from contextlib import suppress
from datetime import datetime

from pydantic import ValidationError
from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from contracts.approvals import Approve, ApproveAnswer
    from contracts.base import Message, sentence
    from contracts.commands import Cancel, Command, CommandName, Extend, Extended, Resolve, Taken
    from contracts.metrics import Refused
    from contracts.owner import Claim, ClaimAnswer, Prove, ProveAnswer
    from contracts.parks import Retry, RetryAnswer
    from contracts.receipt import Status
    from contracts.stages import End, Stage

from workflows.approving import Approving
from workflows.details import markdown
from workflows.extension import Extension
from workflows.handover import Handover
from workflows.measuring import moved, proof_refused
from workflows.notifying import Notifying
from workflows.parking import Parking
from workflows.policies import ANSWERS_WITHIN
from workflows.record import Record
from workflows.refusing import refusal
from workflows.rules import Rules, State
from workflows.showing import Showing
from workflows.window import Window


def _require(kind: type[Message], command: Message) -> None:
    """Refuse an argument that is not what it should be: payloads that are not JSON reach handlers unread."""
    try:
        kind.model_validate(command)
    except ValidationError as error:
        raise refusal(f"The command is wrong: {sentence(error)}") from None


class Commands:
    """The updates and the query of an eject; `rules` decides over each of them."""

    _record: Record
    _state: State
    _steps: Parking
    _approving: Approving
    _window: Window
    _handover: Handover
    _extension: Extension
    _notifying: Notifying
    _rules: Rules
    _showing: Showing
    _standing: Stage | End
    _since: datetime

    @workflow.update(description="Agree to the request with this digest")
    async def approve(self, command: Approve) -> ApproveAnswer:
        """Count an approval and answer how many there are."""
        answer = await self._approving.approve(command)
        self._tell()
        return answer

    @approve.validator
    def _may_approve(self, command: Approve) -> None:
        _require(Approve, command)
        self._rules.approve(command)

    @workflow.update(description="The owner asks for the bundle")
    async def claim(self, command: Claim) -> ClaimAnswer:
        """Release the sealed files and answer what the owner's device needs."""
        if self._state.stage is Stage.AWAITING_CLAIM:
            self._enter(Stage.AWAITING_PROOF)
        return await self._handover.claim(command, self._window.law)

    @claim.validator
    def _may_claim(self, command: Claim) -> None:
        _require(Claim, command)
        self._rules.claim()

    @workflow.update(description="The owner proves the key of one or more wallets")
    async def prove(self, command: Prove) -> ProveAnswer:
        """Take proofs; the last one makes completion owed."""
        answer = await self._handover.prove(command)
        self._tell()
        return answer

    @prove.validator
    def _may_prove(self, command: Prove) -> None:
        try:
            _require(Prove, command)
            self._rules.prove(command)
        except ApplicationError:
            proof_refused(Refused.FORM)
            raise

    @workflow.update(description="Run the parked step again, once its cause is mended")
    async def retry(self, command: Retry) -> RetryAnswer:
        """Run the parked step again and answer what became of it, within half a minute."""
        self._note("retry", command)
        return await self._steps.retry(command)

    @retry.validator
    def _may_retry(self, command: Retry) -> None:
        _require(Retry, command)
        self._steps.refuse(command)

    @workflow.update(description="End the eject before the bundle is claimed")
    async def cancel(self, command: Cancel) -> Taken:
        """Withdraw everything; the eject ends `cancelled`."""
        self._note("cancel", command)
        return self._leave(End.CANCELLED)

    @cancel.validator
    def _may_cancel(self, command: Cancel) -> None:
        _require(Cancel, command)
        self._rules.cancel()

    @workflow.update(description="End an eject whose bundle was claimed and will not be proven")
    async def resolve(self, command: Resolve) -> Taken:
        """Withdraw what is ours; the eject ends `closed`, and the client's id is free."""
        self._note("resolve close", command)
        return self._leave(End.CLOSED)

    @resolve.validator
    def _may_resolve(self, command: Resolve) -> None:
        _require(Resolve, command)
        self._rules.resolve()

    @workflow.update(description="Move the close of the window, or open it once more")
    async def extend(self, command: Extend) -> Extended:
        """Answer when the window closes now, or nothing while it is still being opened again."""
        self._note("extend", command)
        if self._state.stage is not Stage.UNRESOLVED:
            closes = await self._extension.move(command.window)
            self._show()
            return Extended(window_closes=closes)
        self._extension.wanted = command.window
        with suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: not self._extension.running,
                timeout=ANSWERS_WITHIN,
                timeout_summary="whether the window is open again",
            )
        if self._state.leaving:
            raise refusal("The eject was ended before the window was open again")
        return Extended(window_closes=None if self._extension.running else self._window.closes)

    @extend.validator
    def _may_extend(self, command: Extend) -> None:
        _require(Extend, command)
        self._rules.extend(command)

    @workflow.query(description="Where the eject is")
    def status(self) -> Status:
        """Stage, wallets, window, park."""
        return self._status()

    def _status(self) -> Status:
        return Status(
            eject_id=self._record.eject_id,
            client_id=self._record.request.client_id,
            stage=self._rules.standing(),
            wallets=self._record.wallets,
            proven=tuple(self._record.proofs),
            fingerprint=self._record.fingerprint,
            request_digest=self._record.digest,
            approvals=tuple(self._record.approvals),
            approvals_needed=self._record.guards.approvals,
            cooling_off_until=self._record.cooling_off_until,
            window_closes=self._window.closes,
            park=self._steps.current,
        )

    def _tell(self) -> None:
        """Renew what the Temporal UI shows of the running eject; it costs no event."""
        workflow.set_current_details(markdown(self._status()))

    def _cancelled_natively(self) -> None:
        """A cancellation from the UI, the CLI or Nexus is the command; where refused, it is ignored."""
        by, why = "Temporal", "native cancellation"
        try:
            self._rules.cancel()
        except ApplicationError as refused:
            self._record.command("native cancel ignored", by, refused.message, workflow.now())
        else:
            self._record.command("native cancel", by, why, workflow.now())
            self._leave(End.CANCELLED)

    def _note(self, name: CommandName, command: Command) -> None:
        self._record.command(name, command.by, command.why, workflow.now())

    def _leave(self, end: End) -> Taken:
        self._state.leaving = end
        self._state.stage = Stage.CLOSING
        return Taken(stage=Stage.CLOSING)

    def _enter(self, stage: Stage) -> None:
        self._state.stage = stage
        self._show()

    def _show(self) -> None:
        """Tell where the eject is, wherever that is shown."""
        self._tell()
        stage = self._rules.standing()
        if self._standing is not stage:
            self._notifying.tell_of(stage)
            moved(self._standing, stage, workflow.now() - self._since)
            self._standing, self._since = stage, workflow.now()
        self._showing.show(stage, self._since)
