"""Back up: make new backup shares and seal the client's to the owner."""

from dataclasses import dataclass

from pydantic import ValidationError
from temporalio import activity

from activities.attempts import only_attempt
from activities.wallets import require_client
from contracts.base import canonical
from contracts.failures import Failure, StepError
from contracts.names import Role, backup_name
from contracts.sealing import SealedBackup, SealedRef, reference
from contracts.steps import BackedUp, BackUp
from custody.deposits import Deposits
from custody.sealing import seal_half
from custody.shares import check_client_share, check_deposit
from custody.vault import Vault
from portal.client import Clients
from portal.replies import MpcSharesReply


@dataclass(frozen=True)
class BackUpStep:
    """Client role; the only step that holds client halves in the clear, and none after it has returned."""

    clients: Clients
    vault: Vault
    deposits: Deposits

    @activity.defn(name="back_up")
    async def back_up(self, what: BackUp) -> BackedUp:
        """Back up once: what an earlier attempt has written is the answer."""
        name = backup_name(what.eject_id)
        written = await self.vault.read(name)
        if written is None:
            made = await self._make(what)
            written = await self.vault.create(name, canonical(made))
        return BackedUp(files=references(written), only_attempt=only_attempt())

    async def _make(self, what: BackUp) -> SealedBackup:
        signing_shares = await self.deposits.signing_shares(what.client_id)
        check_deposit(signing_shares, what.wallets)
        client = await self.clients.as_client(what.client_id)
        # Another client's deposited API key must not make a backup of that client.
        require_client(await client.read(), what.client_id)
        return await self._seal(what, await client.back_up(signing_shares))

    async def _seal(self, what: BackUp, shares: MpcSharesReply) -> SealedBackup:
        sealed = []
        for wallet in what.wallets:
            made = shares.of(wallet.curve)
            if made is None:
                raise StepError(
                    Failure.SHARE_UNREADABLE, f"The backup has no {wallet.curve} share for wallet {wallet.id}"
                )
            check_client_share(made.share, made.id, wallet)
            sealed.append(
                await seal_half(
                    role=Role.CLIENT,
                    client_id=what.client_id,
                    wallet=wallet.id,
                    pair=made.id,
                    share=made.share,
                    recipient=what.recipient,
                )
            )
        return SealedBackup(files=tuple(sealed))


def references(written: bytes) -> tuple[SealedRef, ...]:
    """What history may hold of the backup that lies in the vault."""
    return tuple(reference(Role.CLIENT, file) for file in read_backup(written).files)


def read_backup(written: bytes) -> SealedBackup:
    """The backup file; `StepError` where it is not one."""
    try:
        return SealedBackup.model_validate_json(written)
    except ValidationError:
        raise StepError(Failure.HELD_MISSING, "The backup file in the vault is damaged") from None
