"""From a sealed bundle to wallets whose keys are rebuilt and checked: the whole road, or a sentence."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from contracts.names import Role
from contracts.owner import ClaimAnswer
from contracts.sealing import Half, SealedFile, commitment, opened
from contracts.wallets import Wallet
from device.backups import OwnersBackup
from device.bundle import SealedWallet, read_bundle
from device.check import AddressCheck, check
from device.errors import DeviceError
from device.export import write_text
from device.identity import Identity
from device.rebuild import rebuild


@dataclass(frozen=True)
class OpenedWallet:
    """A wallet whose key was rebuilt and leads to its published addresses.

    `text` is the export text, the key itself. `opened` is, for each half, the SHA-256 of its random bytes.
    """

    wallet: Wallet
    text: str = field(repr=False)
    opened: Mapping[Role, str] = field(repr=False)
    addresses: tuple[AddressCheck, ...]


_NO_BACKUP = OwnersBackup()


def open_bundle(
    identity: Identity, claim: ClaimAnswer, directory: Path, backup: OwnersBackup = _NO_BACKUP
) -> tuple[OpenedWallet, ...]:
    """Open every wallet of a claim from the copy of its released files, in the claim's order.

    `backup` opens an existing backup's client halves, which are still encrypted inside the sealed files.
    All files are read and checked before one is opened. Raises DeviceError at the first thing wrong;
    then nothing is opened by half: either every wallet is right, or none is returned.
    """
    if claim.recipient != identity.recipient:
        raise DeviceError(
            "The bundle is sealed to another recipient: use the identity whose fingerprint is the claim's."
        )
    if claim.fingerprint != identity.fingerprint:
        raise DeviceError("The claim's fingerprint is not that of its recipient: claim again.")
    sealed = read_bundle(claim, directory)
    return tuple(_open_wallet(identity, claim.client_id, wallet, backup) for wallet in sealed)


def cipher_texts(identity: Identity, claim: ClaimAnswer, directory: Path) -> Mapping[str, str]:
    """By wallet: the cipher text of an existing backup, for the owner's own means to decrypt."""
    found = {}
    for sealed in read_bundle(claim, directory):
        if Role.CLIENT in sealed.halves:
            half = _open_half(identity, Role.CLIENT, claim.client_id, sealed)
            if half.encrypted:
                found[sealed.wallet.id] = half.share
    return found


def _open_wallet(
    identity: Identity, client_id: str, sealed: SealedWallet, backup: OwnersBackup
) -> OpenedWallet:
    wallet = sealed.wallet
    problem = None
    try:
        halves = {role: _open_half(identity, role, client_id, sealed) for role in sealed.halves}
        scalar = rebuild(
            wallet.curve,
            pair=sealed.pair,
            client=_client_share(halves.get(Role.CLIENT), sealed, backup),
            custodian=halves[Role.CUSTODIAN].share,
        )
        text = write_text(wallet.curve, scalar)
        return OpenedWallet(
            wallet=wallet,
            text=text,
            opened={role: opened(half.nonce) for role, half in halves.items()},
            addresses=check(wallet, text),
        )
    except DeviceError as error:
        problem = str(error)
    raise DeviceError(f"Wallet {wallet.id}: {problem}")


def _client_share(half: Half | None, sealed: SealedWallet, backup: OwnersBackup) -> str:
    if half is not None and not half.encrypted:
        return half.share
    return backup.share(sealed.wallet.curve, sealed.pair, half.share if half else None)


def _open_half(identity: Identity, role: Role, client_id: str, sealed: SealedWallet) -> Half:
    file: SealedFile = sealed.halves[role]
    plain = identity.open(file.age)
    if plain is None:
        raise DeviceError(f"the {role} half does not open with this identity: claim again.")
    half = None
    with suppress(ValidationError):
        half = Half.model_validate_json(plain)
    if half is None:
        raise DeviceError(f"what is sealed as the {role} half is not a half of a key: claim again.")
    named = (role, client_id, sealed.wallet.id, sealed.pair)
    if (half.role, half.client_id, half.wallet, half.pair) != named:
        raise DeviceError(f"the {role} half is of another client, wallet or pair: claim again.")
    if commitment(opened(half.nonce)) != file.commitment:
        raise DeviceError(f"the {role} half is not the one that was committed to: claim again.")
    return half
