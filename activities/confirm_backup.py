"""Confirm backup: have Portal keep the sealed client shares and call the pairs completed."""

from dataclasses import dataclass

from temporalio import activity

from activities.back_up import read_backup
from activities.wallets import require_client
from contracts.failures import Failure, StepError
from contracts.names import backup_name
from contracts.sealing import digest
from contracts.steps import BackupConfirmed, ConfirmBackup
from custody.vault import Vault
from portal.client import Clients


@dataclass(frozen=True)
class ConfirmBackupStep:
    """Client role; apart from back up, so that its retries make no new pairs. Every call may be repeated."""

    clients: Clients
    vault: Vault

    @activity.defn(name="confirm_backup")
    async def confirm_backup(self, what: ConfirmBackup) -> BackupConfirmed:
        """Store each cipher text by its digest, confirm the pairs, read back until they are completed."""
        written = await self.vault.read(backup_name(what.eject_id))
        sealed = {digest(file.age): file.age for file in read_backup(written).files} if written else {}
        if any(file.digest not in sealed for file in what.files):
            raise StepError(Failure.HELD_MISSING, "The vault has no longer the backup that this eject made")
        client = await self.clients.as_client(what.client_id)
        for file in what.files:
            await client.store_cipher_text(file.pair, sealed[file.digest])
        pairs = tuple(file.pair for file in what.files)
        await client.confirm_backup(pairs)
        shown = await client.read()
        require_client(shown, what.client_id)
        completed = {
            pair.id for wallet in shown.wallets for pair in wallet.backup_share_pairs if pair.completed
        }
        if not completed.issuperset(pairs):
            # A later attempt confirms and reads again: Portal may take its time.
            raise StepError(Failure.PORTAL_UNAVAILABLE, "Portal does not call the backup completed yet")
        return BackupConfirmed(pairs=pairs)
