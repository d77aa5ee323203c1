"""Restore backup: put the client halves back after a purge, from the cipher text that Portal keeps."""

from dataclasses import dataclass

from temporalio import activity

from activities.attempts import only_attempt
from contracts.base import canonical
from contracts.failures import Failure, StepError
from contracts.names import backup_name
from contracts.sealing import SealedBackup, SealedFile, digest
from contracts.steps import BackupRestored, RestoreBackup
from custody.vault import Vault
from portal.client import Clients


@dataclass(frozen=True)
class RestoreBackupStep:
    """Client role; sealed text only, which no half of any key is."""

    clients: Clients
    vault: Vault

    @activity.defn(name="restore_backup")
    async def restore_backup(self, what: RestoreBackup) -> BackupRestored:
        """Read each cipher text back and keep it where its digest is the one in history."""
        client = await self.clients.as_client(what.client_id)
        files = []
        for ref in what.files:
            text = await client.read_cipher_text(ref.pair)
            if digest(text) != ref.digest:
                raise StepError(
                    Failure.CIPHER_TEXT_CHANGED,
                    f"Portal's cipher text for wallet {ref.wallet} is not the one that this eject stored",
                )
            files.append(SealedFile(wallet=ref.wallet, pair=ref.pair, commitment=ref.commitment, age=text))
        await self.vault.create(backup_name(what.eject_id), canonical(SealedBackup(files=tuple(files))))
        return BackupRestored(restored=len(files), only_attempt=only_attempt())
