"""The bundle as it arrives: the claim's answer and the sealed files, checked before any is opened."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from contracts.base import sentence
from contracts.names import Role
from contracts.owner import ClaimAnswer, ClaimedFile
from contracts.request import Backup
from contracts.sealing import SealedFile, bundle_digest, reference
from contracts.wallets import Wallet
from device.errors import DeviceError
from device.files import read_text


@dataclass(frozen=True)
class SealedWallet:
    """One wallet of the claim with its sealed halves, which are the very files that the claim names.

    The client's is missing where the backup is the owner's own.
    """

    wallet: Wallet
    pair: str
    halves: Mapping[Role, SealedFile]


def load_claim(path: Path) -> ClaimAnswer:
    """Read the claim's answer from a JSON file."""
    text = read_text(path, "The claim")
    try:
        return ClaimAnswer.model_validate_json(text)
    except ValidationError as error:
        problem = sentence(error)
    raise DeviceError(f"{path} is not a claim's answer ({problem}): save what claim printed, unchanged.")


def read_bundle(claim: ClaimAnswer, directory: Path) -> tuple[SealedWallet, ...]:
    """Read every file `{role}/{wallet id}.json` under `directory`, then check them all against the claim.

    All are read first: the vault is emptied when the window closes, and half a copy must not look whole.
    """
    _refuse_incomplete(claim)
    files = [(named, _read_sealed(directory, named)) for named in claim.files]
    references = []
    for named, file in files:
        found = reference(named.role, file)
        if (found.wallet, found.pair) != (named.wallet, named.pair):
            raise DeviceError(f"{_half(named)} is the file of another wallet or pair: {_AGAIN}")
        if found.digest != named.digest:
            raise DeviceError(f"{_half(named)} is not the file that the claim names (its digest): {_AGAIN}")
        references.append(found)
    if bundle_digest(references) != claim.bundle:
        raise DeviceError("The claim's bundle digest is not that of its files: claim again.")
    sealed = {(named.wallet, named.role): file for named, file in files}
    return tuple(
        SealedWallet(
            wallet=wallet,
            pair=sealed[wallet.id, Role.CUSTODIAN].pair,
            halves={role: sealed[wallet.id, role] for role in Role if (wallet.id, role) in sealed},
        )
        for wallet in claim.wallets
    )


_AGAIN = "copy the released files again, or claim again."


def _half(named: ClaimedFile) -> str:
    return f"The {named.role} half of wallet {named.wallet}"


def _refuse_incomplete(claim: ClaimAnswer) -> None:
    """Each wallet once, with one file for each role and the same pair in both; nothing besides.

    With an existing backup the client's file may be missing: Portal keeps none, and the owner does.
    """
    wallets = Counter(wallet.id for wallet in claim.wallets)
    files = Counter((file.wallet, file.role) for file in claim.files)
    if not wallets:
        raise DeviceError("The claim names no wallet: claim again.")
    if wallets.total() != len(wallets) or files.total() != len(files):
        raise DeviceError("The claim names a wallet or a file twice: claim again.")
    for wallet in wallets:
        for role in Role:
            own = role is Role.CLIENT and claim.backup is Backup.EXISTING
            if (wallet, role) not in files and not own:
                raise DeviceError(f"The claim names no {role} half of wallet {wallet}: claim again.")
    if any(wallet not in wallets for wallet, _ in files):
        raise DeviceError("The claim names a file of a wallet that it does not list: claim again.")
    pairs = {(file.wallet, file.pair) for file in claim.files}
    if len(pairs) != len(wallets):
        raise DeviceError("The claim names halves of different backup share pairs: claim again.")


def _read_sealed(directory: Path, named: ClaimedFile) -> SealedFile:
    # The path is made of the role and the id, whose form is checked; never of the claim's `name`.
    text = read_text(directory / named.role / f"{named.wallet}.json", _half(named))
    try:
        return SealedFile.model_validate_json(text)
    except ValidationError as error:
        problem = sentence(error)
    raise DeviceError(f"{_half(named)} is not a sealed file ({problem}): {_AGAIN}")
