"""Read cipher texts: hand over what Portal keeps of a backup that was made before."""

from dataclasses import dataclass

from pydantic import SecretStr
from temporalio import activity

from activities.attempts import only_attempt
from activities.back_up import references
from contracts.base import canonical
from contracts.failures import Failure, StepError
from contracts.names import Role, backup_name
from contracts.sealing import SealedBackup, digest
from contracts.steps import CipherTextsRead, ReadCipherTexts
from custody.sealing import seal_half
from custody.vault import Vault
from portal.client import Clients


@dataclass(frozen=True)
class ReadCipherTextsStep:
    """Client role; sees cipher text that only the owner's own means open, and seals it like every half."""

    clients: Clients
    vault: Vault

    @activity.defn(name="read_cipher_texts")
    async def read_cipher_texts(self, what: ReadCipherTexts) -> CipherTextsRead:
        """Seal each stored cipher text once: what an earlier attempt has written is the answer."""
        name = backup_name(what.eject_id)
        written = await self.vault.read(name)
        if written is None:
            written = await self.vault.create(name, canonical(await self._read(what)))
        return CipherTextsRead(files=references(written), only_attempt=only_attempt())

    async def _read(self, what: ReadCipherTexts) -> SealedBackup:
        client = await self.clients.as_client(what.client_id)
        sealed = []
        for half in what.halves:
            if half.wallet not in what.stored:
                continue
            text = await client.read_cipher_text(half.pair)
            if digest(text) != what.stored[half.wallet]:
                raise StepError(
                    Failure.CIPHER_TEXT_CHANGED,
                    f"Portal's cipher text for wallet {half.wallet} is not the one of its custodian share",
                )
            sealed.append(
                await seal_half(
                    role=Role.CLIENT,
                    client_id=what.client_id,
                    wallet=half.wallet,
                    pair=half.pair,
                    share=SecretStr(text),
                    recipient=what.recipient,
                    encrypted=True,
                )
            )
        return SealedBackup(files=tuple(sealed))
