"""Closing: withdraw what is ours, and write what remains."""

import asyncio

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from contracts.receipt import Receipt
    from contracts.stages import End
    from contracts.steps import DeleteDeposit, Purge, ShrinkWindow, WriteReceipt

from workflows.parking import Parking
from workflows.policies import (
    DELETE_DEPOSIT,
    PURGE,
    PURGE_AGAIN_AFTER,
    SHRINK_WINDOW,
    WRITE_RECEIPT,
)
from workflows.record import Record


class Closing:
    """The last steps of an eject; each may park, and then waits for its `retry` like any other."""

    def __init__(self, record: Record, steps: Parking) -> None:
        self._record = record
        self._steps = steps

    async def withdraw(self, *, shrink: bool, left: bool = False) -> None:
        """Destroy our copies, and what a client who has left had deposited; close a window that may be open.

        Our copies first, so that they do not wait for Portal. Both twice where an attempt was given up, which
        may still act for a moment. Where none was, nothing waits for anything: never so in an eject that an
        earlier version began, because its results do not say it.
        """
        again = shrink or not self._steps.settled
        if left and not again:
            await asyncio.gather(self._once(shrink=False), self._delete_deposit())
            return
        await self._once(shrink=shrink)
        if again:
            await workflow.sleep(PURGE_AGAIN_AFTER, summary="for late writes, before the last look")
            await self._once(shrink=shrink)
        if left:
            await self._delete_deposit()

    async def _once(self, *, shrink: bool) -> None:
        record = self._record
        await self._steps.run(PURGE, lambda: Purge(eject_id=record.eject_id))
        if shrink:
            await self._steps.run(
                SHRINK_WINDOW,
                lambda: ShrinkWindow(client_id=record.request.client_id, wallets=record.wallets),
            )

    async def _delete_deposit(self) -> None:
        client_id = self._record.request.client_id
        await self._steps.run(DELETE_DEPOSIT, lambda: DeleteDeposit(client_id=client_id))

    async def conclude(self, end: End) -> Receipt:
        """Write the receipt."""
        record = self._record
        ended = workflow.now()
        await self._steps.run(
            WRITE_RECEIPT,
            lambda: WriteReceipt(receipt=record.receipt(end, ended), run_id=workflow.info().run_id),
        )
        return record.receipt(end, ended)
