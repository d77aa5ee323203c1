"""After a change of the client role's identity: which deposits are still sealed to the one before."""

from dataclasses import dataclass

from pydantic import SecretStr

from contracts.failures import StepError
from custody.sealing import open_unless_to, recipients_of, seal_deposit
from custody.vault import Vault
from ejects.service import EjectError


@dataclass(frozen=True)
class Resealed:
    """Names of deposits: those that were sealed to an earlier identity, and those that none of ours opens."""

    earlier: tuple[str, ...]
    unreadable: tuple[str, ...]


async def reseal(vault: Vault, identities: SecretStr, recipient: str, *, write: bool) -> Resealed:
    """Seal to `recipient` whatever was deposited to another of the client role's identities.

    Without `write` it only looks. `EjectError` where the recipient's own identity is not among them, because
    then no worker could open what it seals.
    """
    try:
        if recipient not in recipients_of(identities):
            raise EjectError(
                "EJECT_CLIENT_RECIPIENT is of no identity in EJECT_CLIENT_IDENTITY: add the new one first"
            )
    except ValueError as error:
        raise EjectError(f"EJECT_CLIENT_IDENTITY {error}") from None
    try:
        return await _reseal(vault, identities, recipient, write=write)
    except StepError as error:
        raise EjectError(error.sentence) from None


async def _reseal(vault: Vault, identities: SecretStr, recipient: str, *, write: bool) -> Resealed:
    earlier, unreadable = [], []
    for name in sorted(await vault.names("deposits/")):
        if (sealed := await vault.read(name)) is None:
            continue
        try:
            plain = open_unless_to(sealed, identities, recipient)
        except StepError:
            unreadable.append(name)
            continue
        if plain is None:
            continue
        earlier.append(name)
        # Whatever was deposited, or deleted at an end, while this one was opened stays as it is.
        if write and await vault.read(name) == sealed:
            await vault.replace(name, seal_deposit(plain, recipient))
    return Resealed(tuple(earlier), tuple(unreadable))
