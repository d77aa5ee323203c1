"""Fetch shares: take the custodian halves while the window is open, and seal them to the owner."""

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import ValidationError
from temporalio import activity

from activities.attempts import only_attempt
from activities.clock import AttemptClock
from activities.wallets import require_client
from contracts.base import canonical
from contracts.failures import Failure, StepError
from contracts.names import Role, custodian_half_name
from contracts.sealing import SealedFile, digest, reference
from contracts.steps import FetchShares, FetchSharesAsClient, SharesFetched
from contracts.window import may_fetch
from custody.sealing import seal_half
from custody.shares import check_custodian_share
from custody.vault import Vault
from portal.client import Clients
from portal.custodian import CustodianApi
from portal.replies import SharesReply


@dataclass(frozen=True)
class Wanted:
    """One wallet's half as it must be: of one of these pairs, beside this cipher text where it is known."""

    wallet: str
    pairs: tuple[str, ...]
    stored: str | None = None


@dataclass(frozen=True)
class FetchSharesStep:
    """Custodian role; the only steps that hold custodian halves in the clear.

    `clients` opens the Client API with a session token, for the halves that only the client may fetch.
    """

    custodian: CustodianApi
    vault: Vault
    clients: Clients

    @activity.defn(name="fetch_shares")
    async def fetch_shares(self, what: FetchShares) -> SharesFetched:
        """Fetch each half once: what an earlier attempt has written is the answer."""
        clock = AttemptClock()
        files = []
        for wanted in _wanted(what):
            written = await self.vault.read(custodian_half_name(what.eject_id, wanted.wallet))
            if written is None:
                _require_open(what, clock)
                shares = await self.custodian.fetch_shares(what.client_id, wanted.wallet)
                written = await self._keep(what, wanted, shares, clock)
            files.append(read_sealed(written))
        return _answer(files)

    @activity.defn(name="fetch_shares_as_client")
    async def fetch_shares_as_client(self, what: FetchSharesAsClient) -> SharesFetched:
        """Fetch one half as the client itself; a success closes Portal's window, so there is one attempt."""
        name = custodian_half_name(what.eject_id, what.wallet)
        written = await self.vault.read(name)
        if written is None:
            try:
                written = await self._fetch_once(what)
            except StepError:
                # An attempt that was given up may have been here all the same, with this very window.
                written = await self.vault.read(name)
                if written is None:
                    raise
        return _answer([read_sealed(written)])

    async def _fetch_once(self, what: FetchSharesAsClient) -> bytes:
        clock = AttemptClock()
        await self._require_unspent(what)
        client = await self.clients.as_client(what.client_id)
        _require_open(what, clock)
        shares = await client.fetch_shares(what.wallet, what.backup_method)
        return await self._keep(what, Wanted(what.wallet, what.completed), shares, clock)

    async def _require_unspent(self, what: FetchSharesAsClient) -> None:
        client = await self.custodian.read_client(what.client_id)
        require_client(client, what.client_id)
        for wallet in client.wallets:
            # What was opened and reads null has been used; what Portal does not show may be open.
            shown = "ejectable_until" in wallet.model_fields_set
            if wallet.id == what.wallet and shown and wallet.ejectable_until is None:
                raise StepError(
                    Failure.WINDOW_SPENT,
                    f"Somebody else has fetched the shares of wallet {wallet.id} in the window of this eject",
                )

    async def _keep(
        self,
        what: FetchShares | FetchSharesAsClient,
        wanted: Wanted,
        shares: SharesReply,
        clock: AttemptClock,
    ) -> bytes:
        """Seal and write a half that is the wanted one, inside the window."""
        half = await _sealed(what, wanted, shares)
        _require_open(what, clock)
        return await self.vault.create(custodian_half_name(what.eject_id, wanted.wallet), canonical(half))


def _wanted(what: FetchShares) -> list[Wanted]:
    fresh = [Wanted(backup.wallet, (backup.pair,), backup.digest) for backup in what.backup]
    return fresh + [Wanted(wallet, pairs) for wallet, pairs in what.completed.items()]


async def _sealed(what: FetchShares | FetchSharesAsClient, wanted: Wanted, shares: SharesReply) -> SealedFile:
    pair = check_custodian_share(shares.custodian_backup_share, wanted.pairs, wanted.wallet)
    text = shares.encrypted_client_backup_share
    stored = None if text is None else digest(text)
    if wanted.stored is not None and stored != wanted.stored:
        raise StepError(
            Failure.CIPHER_TEXT_CHANGED,
            f"Portal's cipher text for wallet {wanted.wallet} is not the one that this eject stored",
        )
    return await seal_half(
        role=Role.CUSTODIAN,
        client_id=what.client_id,
        wallet=wanted.wallet,
        pair=pair,
        share=shares.custodian_backup_share,
        recipient=what.recipient,
        stored=stored,
    )


def _answer(files: Iterable[SealedFile]) -> SharesFetched:
    kept = list(files)
    return SharesFetched(
        files=tuple(reference(Role.CUSTODIAN, file) for file in kept),
        stored={file.wallet: file.stored for file in kept if file.stored is not None},
        only_attempt=only_attempt(),
    )


def _require_open(what: FetchShares | FetchSharesAsClient, clock: AttemptClock) -> None:
    if not may_fetch(what.not_after, clock.now()):
        raise StepError(Failure.WINDOW_CLOSED, "The window closes too soon to fetch a share")


def read_sealed(written: bytes) -> SealedFile:
    """A sealed half in the vault; `StepError` where it is not one."""
    try:
        return SealedFile.model_validate_json(written)
    except ValidationError:
        raise StepError(Failure.HELD_MISSING, "A sealed file in the vault is damaged") from None
