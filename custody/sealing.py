"""Sealing with age: halves to the owner's recipient, deposits to the client role's identity."""

import asyncio
import secrets

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


def recipient_of(identity: SecretStr) -> str:
    """The public key of an age identity; ValueError where it is none."""
    return str(_key(identity).to_public())


def _key(identity: SecretStr) -> pyrage.x25519.Identity:
    """An identity as a line, or as the file that `age-keygen` and the device write."""
    lines = identity.get_secret_value().split("\n")
    keys = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    # What is no ASCII may not be encodable, and that error would hold the text.
    text = "".join(keys) if identity.get_secret_value().isascii() else ""
    try:
        return pyrage.x25519.Identity.from_str(text)
    except pyrage.IdentityError:
        raise ValueError("is not an age identity (AGE-SECRET-KEY-1...)") from None


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


def open_deposit(sealed: bytes, identity: SecretStr) -> SecretStr:
    """Open a deposit with the client role's identity; `StepError` where it was sealed to another."""
    try:
        return SecretStr(bytes(pyrage.decrypt(sealed, [_key(identity)])).decode())
    except (pyrage.DecryptError, UnicodeDecodeError):
        raise StepError(
            Failure.DEPOSIT_UNREADABLE, "The deposit was not sealed to this worker's client identity"
        ) from None
