"""Closing: destroy our copies, write what remains."""

from dataclasses import dataclass

from temporalio import activity

from contracts.base import canonical
from contracts.names import deposit_name, held_prefix, receipt_name, released_prefix
from contracts.steps import DeleteDeposit, DepositDeleted, Purge, Purged, ReceiptWritten, WriteReceipt
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
    """Custodian role; the receipt is written once and never changed."""

    vault: Vault

    @activity.defn(name="write_receipt")
    async def write_receipt(self, what: WriteReceipt) -> ReceiptWritten:
        """Write the receipt; one that an earlier attempt wrote stands, one of a run before a reset too."""
        receipt, content = what.receipt, canonical(what.receipt)
        name = receipt_name(receipt.client_id, receipt.eject_id)
        if await self.vault.create(name, content) != content:
            name = receipt_name(receipt.client_id, receipt.eject_id, what.run_id)
            await self.vault.create(name, content)
        return ReceiptWritten(name=name)


@dataclass(frozen=True)
class DeleteDepositStep:
    """Client role; only once the client has left, because another eject would need the deposit."""

    vault: Vault

    @activity.defn(name="delete_deposit")
    async def delete_deposit(self, what: DeleteDeposit) -> DepositDeleted:
        """Remove everything that was deposited for the client."""
        prefix = deposit_name(what.client_id).rpartition("/")[0] + "/"
        return DepositDeleted(removed=await self.vault.remove_all(prefix))
