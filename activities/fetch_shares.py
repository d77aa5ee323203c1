"""Fetch shares: take the custodian halves while the window is open, and seal them to the owner."""

from dataclasses import dataclass

from pydantic import ValidationError
from temporalio import activity

from activities.clock import AttemptClock
from contracts.base import canonical
from contracts.failures import Failure, StepError
from contracts.names import Role, custodian_half_name
from contracts.sealing import SealedFile, SealedRef, digest, reference
from contracts.steps import FetchShares, SharesFetched
from contracts.window import may_fetch
from custody.sealing import seal_half
from custody.shares import check_custodian_share
from custody.vault import Vault
from portal.custodian import CustodianApi


@dataclass(frozen=True)
class FetchSharesStep:
    """Custodian role; the only step that holds custodian halves in the clear."""

    custodian: CustodianApi
    vault: Vault

    @activity.defn(name="fetch_shares")
    async def fetch_shares(self, what: FetchShares) -> SharesFetched:
        """Fetch each half once: what an earlier attempt has written is the answer."""
        clock = AttemptClock()
        files = []
        for backup in what.backup:
            name = custodian_half_name(what.eject_id, backup.wallet)
            written = await self.vault.read(name)
            if written is None:
                half = await self._fetch(what, backup, clock)
                _require_open(what, clock)
                written = await self.vault.create(name, canonical(half))
            files.append(reference(Role.CUSTODIAN, read_sealed(written)))
        return SharesFetched(files=tuple(files))

    async def _fetch(self, what: FetchShares, backup: SealedRef, clock: AttemptClock) -> SealedFile:
        _require_open(what, clock)
        shares = await self.custodian.fetch_shares(what.client_id, backup.wallet)
        check_custodian_share(shares.custodian_backup_share, backup.pair, backup.wallet)
        stored = shares.encrypted_client_backup_share
        if stored is None or digest(stored) != backup.digest:
            raise StepError(
                Failure.CIPHER_TEXT_CHANGED,
                f"Portal's cipher text for wallet {backup.wallet} is not the one that this eject stored",
            )
        return await seal_half(
            role=Role.CUSTODIAN,
            client_id=what.client_id,
            wallet=backup.wallet,
            pair=backup.pair,
            share=shares.custodian_backup_share,
            recipient=what.recipient,
        )


def _require_open(what: FetchShares, clock: AttemptClock) -> None:
    if not may_fetch(what.not_after, clock.now()):
        raise StepError(Failure.WINDOW_CLOSED, "The window closes too soon to fetch a share")


def read_sealed(written: bytes) -> SealedFile:
    """A sealed half in the vault; `StepError` where it is not one."""
    try:
        return SealedFile.model_validate_json(written)
    except ValidationError:
        raise StepError(Failure.HELD_MISSING, "A sealed file in the vault is damaged") from None
