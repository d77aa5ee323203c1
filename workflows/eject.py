"""The eject: one client's way out of custody, from request to receipt."""

import asyncio
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from temporalio import workflow
from temporalio.common import SearchAttributeUpdate

with workflow.unsafe.imports_passed_through():
    from contracts import steps
    from contracts.names import WORKFLOW, workflow_id
    from contracts.owner import Claim, ClaimAnswer, Prove, ProveAnswer
    from contracts.parks import Retry, RetryAnswer
    from contracts.receipt import Receipt, Status
    from contracts.request import EjectRequest
    from contracts.stages import End, Stage

from workflows import attributes, policies
from workflows.handover import Handover, refusal
from workflows.parking import Parking, Turn
from workflows.record import Record
from workflows.window import Window


class Leave(Exception):  # noqa: N818 (an end, not an error)
    """The eject ends here."""

    def __init__(self, end: End) -> None:
        super().__init__(end)
        self.end = end


# A malformed request fails at once with clean text; a defect of ours waits for the mended worker.
@workflow.defn(name=WORKFLOW, failure_exception_types=[ValidationError])
class Eject:
    """Back up, open the window, fetch, hand over, see proof, and only then complete.

    No execution or run timeout is ever set: an eject waits as long as it takes.
    """

    @workflow.init
    def __init__(self, request: EjectRequest) -> None:
        self._record = Record(workflow.info().first_execution_run_id, request, workflow.now())
        self._stage = Stage.CHECKING
        self._end: End | None = None
        # `starter` gives the first stage with the start; a plain start gives none.
        started = workflow.info().typed_search_attributes.get(attributes.STAGE)
        self._shown: Stage | End | None = Stage.CHECKING if started == Stage.CHECKING else None
        self._steps = Parking(lambda: self._stage, self._show)
        self._window = Window()
        self._handover = Handover(self._record, self._steps)

    @workflow.run
    async def run(self, request: EjectRequest) -> Receipt:
        """The lifecycle."""
        if workflow.info().workflow_id != (expected := workflow_id(request.client_id)):
            # The id is what keeps a client from being ejected twice at once.
            raise refusal(f"The workflow id must be {expected}: start it again under that id")
        self._show()
        try:
            await self._check()
            await self._back_up()
            await self._confirm_backup()
            await self._enable_eject()
            await self._fetch_shares()
            await self._await_owner()
            await self._complete()
            end = End.EJECTED
        except Leave as leave:
            end = leave.end
        return await self._close(end)

    async def _check(self) -> None:
        request = self._record.request
        found = await self._steps.run(
            policies.CHECK,
            lambda: steps.Check(
                client_id=request.client_id,
                recipient=request.recipient,
                replace_backup=request.replace_backup,
            ),
        )
        self._record.wallets = found.wallets
        self._record.reasons = found.problems
        self._record.ejected_at = found.ejected_at
        if found.ejected_at:
            raise Leave(End.ALREADY_EJECTED)
        if found.problems:
            raise Leave(End.REFUSED)

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

    async def _enable_eject(self) -> None:
        """Open the window as late as possible; one that aged while the step was tried is asked for anew."""
        self._enter(Stage.ENABLING)
        record = self._record
        enabled: steps.EjectEnabled | None = None
        while enabled is None:
            try:
                enabled = await self._steps.run(
                    policies.ENABLE_EJECT,
                    lambda: steps.EnableEject(
                        client_id=record.request.client_id,
                        wallets=record.wallets,
                        until=workflow.now() + record.request.window,
                    ),
                )
            except Turn:
                workflow.logger.info("eject.window_aged")
        record.window_opened = workflow.now()
        self._window.closes = record.window_closes = enabled.closes

    async def _fetch_shares(self) -> None:
        """Fetch inside the window; when it closes first, the eject has expired."""
        self._enter(Stage.FETCHING_SHARES)
        fetching = asyncio.create_task(self._fetch())
        if not await self._window.wait(fetching.done):
            fetching.cancel()
            await workflow.wait_condition(fetching.done)
            raise Leave(End.EXPIRED)
        try:
            self._record.custodian_halves = fetching.result().files
        except Turn:
            raise Leave(End.EXPIRED) from None

    async def _fetch(self) -> steps.SharesFetched:
        record, closes = self._record, self._closes()
        return await self._steps.run(
            policies.FETCH_SHARES,
            lambda: steps.FetchShares(
                eject_id=record.eject_id,
                client_id=record.request.client_id,
                recipient=record.request.recipient,
                backup=record.client_halves,
                not_after=closes,
            ),
        )

    async def _await_owner(self) -> None:
        """Wait for the claim and the proofs; at the close destroy our copies and see what is owed."""
        self._enter(Stage.AWAITING_CLAIM)
        if await self._window.wait(self._handover.all_proven):
            return
        await self._handover.finish()
        if self._handover.all_proven():
            return
        if not self._handover.claimed:
            raise Leave(End.EXPIRED)
        await self._purge()
        if not self._handover.all_proven():
            self._enter(Stage.UNRESOLVED)
            await workflow.wait_condition(self._handover.all_proven)

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

    async def _close(self, end: End) -> Receipt:
        """Destroy our copies, write the receipt, and be gone."""
        self._enter(Stage.CLOSING)
        record = self._record
        if end not in (End.REFUSED, End.ALREADY_EJECTED):  # those two ended before anything was written
            await self._purge()
        if end is End.EJECTED:
            await self._steps.run(
                policies.DELETE_DEPOSIT, lambda: steps.DeleteDeposit(client_id=record.request.client_id)
            )
        ended = workflow.now()
        await self._steps.run(
            policies.WRITE_RECEIPT, lambda: steps.WriteReceipt(receipt=record.receipt(end, ended))
        )
        self._end = end
        self._show()
        await workflow.wait_condition(workflow.all_handlers_finished)
        return record.receipt(end, ended)

    async def _purge(self) -> None:
        """Twice, because an attempt that was given up may still write for a moment."""
        await self._steps.run(policies.PURGE, lambda: steps.Purge(eject_id=self._record.eject_id))
        await workflow.sleep(policies.PURGE_AGAIN_AFTER, summary="for late writes, before the last look")
        await self._steps.run(policies.PURGE, lambda: steps.Purge(eject_id=self._record.eject_id))

    @workflow.update(description="The owner asks for the bundle")
    async def claim(self, command: Claim) -> ClaimAnswer:
        """Release the sealed files and answer what the owner's device needs."""
        if self._stage is Stage.AWAITING_CLAIM:
            self._enter(Stage.AWAITING_PROOF)
        return await self._handover.claim(command, self._closes())

    @claim.validator
    def _may_claim(self, command: Claim) -> None:
        if self._stage not in (Stage.AWAITING_CLAIM, Stage.AWAITING_PROOF):
            raise refusal(f"There is nothing to claim: the eject is {self._standing()}")
        self._handover.refuse_claim(self._closes())

    @workflow.update(description="The owner proves the key of one or more wallets")
    async def prove(self, command: Prove) -> ProveAnswer:
        """Take proofs; the last one makes completion owed."""
        return await self._handover.prove(command)

    @prove.validator
    def _may_prove(self, command: Prove) -> None:
        if not self._handover.claimed or self._stage in (Stage.COMPLETING, Stage.CLOSING):
            raise refusal(f"No proof is awaited: the eject is {self._standing()}")
        self._handover.refuse_proofs(command)

    @workflow.update(description="Run the parked step again, once its cause is mended")
    async def retry(self, command: Retry) -> RetryAnswer:
        """Run the parked step again and answer what became of it, within half a minute."""
        return await self._steps.retry(command)

    @retry.validator
    def _may_retry(self, command: Retry) -> None:
        self._steps.refuse(command)

    @workflow.query(description="Where the eject is")
    def status(self) -> Status:
        """Stage, wallets, window, park."""
        return Status(
            eject_id=self._record.eject_id,
            client_id=self._record.request.client_id,
            stage=self._standing(),
            wallets=self._record.wallets,
            proven=tuple(self._record.proofs),
            fingerprint=self._record.fingerprint,
            window_closes=self._window.closes,
            park=self._steps.current,
        )

    def _closes(self) -> datetime:
        assert self._window.closes is not None, "the story opens the window first"  # noqa: S101
        return self._window.closes

    def _standing(self) -> Stage | End:
        return self._end or (Stage.PARKED if self._steps.current else self._stage)

    def _enter(self, stage: Stage) -> None:
        self._stage = stage
        self._show()

    def _show(self) -> None:
        """Write the search attributes, all in one call, where the stage has changed."""
        if self._shown is (standing := self._standing()):
            return
        self._shown = standing
        values: list[SearchAttributeUpdate[Any]] = [
            attributes.STAGE.value_set(standing),
            attributes.CLIENT.value_set(self._record.request.client_id),
        ]
        if self._window.closes:
            values.append(attributes.WINDOW_CLOSES.value_set(self._window.closes))
        workflow.upsert_search_attributes(values)
