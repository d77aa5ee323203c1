"""Sealing with age: halves to the owner's recipient, deposits to an identity of the client role."""

import asyncio
import secrets
from contextlib import suppress

import pyrage
from pydantic import SecretStr, ValidationError
from pydantic_core import PydanticSerializationError

from contracts.failures import Failure, StepError
from contracts.names import Role
from contracts.sealing import Half, SealedFile, commitment, opened


def is_recipient(text: str) -> bool:
    """Whether a text is an age X25519 public key whose checksum is right."""
    if not text.isascii():  # a lone surrogate, as of an argument that is no UTF-8, would raise
        return False
    try:
        pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError:
        return False
    return True


def recipients_of(identities: SecretStr) -> tuple[str, ...]:
    """The public key of each age identity in a text; ValueError where a line is none, or there is none."""
    return tuple(str(key.to_public()) for key in _keys(identities))


def _keys(identities: SecretStr) -> list[pyrage.x25519.Identity]:
    """Identities one on a line, or as the file that `age-keygen` and the device write."""
    text = identities.get_secret_value()
    lines = [line.strip() for line in text.split("\n") if not line.startswith("#")]
    try:
        # What is no ASCII may not be encodable, and that error would hold the text.
        keys = [pyrage.x25519.Identity.from_str(line) for line in lines if line] if text.isascii() else []
    except pyrage.IdentityError:
        keys = []
    if not keys:
        raise ValueError("is not an age identity (AGE-SECRET-KEY-1...), or several, one on a line")
    return keys


def _seal(plain: bytes, recipient: str) -> str:
    to = pyrage.x25519.Recipient.from_str(recipient)
    return bytes(pyrage.encrypt(plain, [to], armored=True)).decode()


async def seal_half(
    *,
    role: Role,
    client_id: str,
    wallet: str,
    pair: str,
    share: SecretStr,
    recipient: str,
    encrypted: bool = False,
    stored: str | None = None,
) -> SealedFile:
    """Seal one half to the owner, with 32 random bytes that only someone who opens it can know of.

    What is returned is safe to store: the armoured text, and a commitment to those bytes. `encrypted` says
    that the share is the cipher text of an existing backup; `stored` is kept beside the sealed text.
    `StepError` where no sealed file can hold it.
    """
    nonce = secrets.token_hex(32)
    try:
        half = Half(
            role=role,
            client_id=client_id,
            wallet=wallet,
            pair=pair,
            nonce=nonce,
            share=share.get_secret_value(),
            encrypted=encrypted,
        )
        return SealedFile(
            wallet=wallet,
            pair=pair,
            commitment=commitment(opened(nonce)),
            stored=stored,
            # Off the event loop, which meanwhile heartbeats.
            age=await asyncio.to_thread(_seal, half.model_dump_json().encode(), recipient),
        )
    except (ValidationError, PydanticSerializationError):  # the latter for a lone surrogate
        raise StepError(
            Failure.SHARE_UNREADABLE, f"The {role} half of wallet {wallet} is too large, or is no text"
        ) from None


def seal_deposit(plain: SecretStr, recipient: str) -> bytes:
    """Seal a client's signing shares to the client role."""
    return _seal(plain.get_secret_value().encode(), recipient).encode()


def open_deposit(sealed: bytes, identities: SecretStr) -> SecretStr:
    """Open a deposit with any of the client role's identities; `StepError` where it was sealed to another."""
    return _opened(sealed, _keys(identities))


def open_unless_to(sealed: bytes, identities: SecretStr, recipient: str) -> SecretStr | None:
    """Open a deposit that was sealed to an earlier identity; None where `recipient` is whom it is sealed to.

    An age file does not name whom it is sealed to: only opening it tells. `StepError` where none opens it.
    """
    keys = _keys(identities)
    with suppress(StepError):
        _opened(sealed, [key for key in keys if str(key.to_public()) == recipient])
        return None
    return _opened(sealed, keys)


def _opened(sealed: bytes, keys: list[pyrage.x25519.Identity]) -> SecretStr:
    try:
        return SecretStr(bytes(pyrage.decrypt(sealed, keys)).decode())
    except (pyrage.DecryptError, UnicodeDecodeError):
        raise StepError(
            Failure.DEPOSIT_UNREADABLE, "The deposit was sealed to no identity in EJECT_CLIENT_IDENTITY"
        ) from None
