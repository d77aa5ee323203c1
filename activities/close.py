"""Closing: destroy our copies, write what remains."""

from dataclasses import dataclass

from temporalio import activity

from contracts.names import deposit_name, held_prefix, released_prefix
from contracts.steps import DeleteDeposit, DepositDeleted, Purge, Purged, ReceiptWritten, WriteReceipt
from custody.chain import Receipts
from custody.vault import Vault


@dataclass(frozen=True)
class PurgeStep:
    """Custodian role; every sealed file of one eject, held and released."""

    vault: Vault

    @activity.defn(name="purge")
    async def purge(self, what: Purge) -> Purged:
        """Remove until the listing is empty."""
        held = await self.vault.remove_all(held_prefix(what.eject_id))
        released = await self.vault.remove_all(released_prefix(what.eject_id))
        return Purged(removed=held + released)


@dataclass(frozen=True)
class WriteReceiptStep:
    """Custodian role; the receipt is written once, named once in the chain, and never changed."""

    receipts: Receipts

    @activity.defn(name="write_receipt")
    async def write_receipt(self, what: WriteReceipt) -> ReceiptWritten:
        """Write the receipt and its entry; what an earlier attempt, or a run before a reset, wrote stands."""
        written = await self.receipts.write(what.receipt, what.run_id)
        return ReceiptWritten(name=written.name, number=written.number, digest=written.digest)


@dataclass(frozen=True)
class DeleteDepositStep:
    """Client role; only once the client has left, because another eject would need the deposit."""

    vault: Vault

    @activity.defn(name="delete_deposit")
    async def delete_deposit(self, what: DeleteDeposit) -> DepositDeleted:
        """Remove everything that was deposited for the client."""
        prefix = deposit_name(what.client_id).rpartition("/")[0] + "/"
        return DepositDeleted(removed=await self.vault.remove_all(prefix))
