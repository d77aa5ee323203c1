"""Receipts as they lie in the vault: signed, and each named by one entry of a chain without holes."""

from typing import Annotated

from pydantic import Field, StringConstraints

from contracts.base import Digest, Id, Result
from contracts.receipt import Receipt

# What is signed begins so, that a signature over the one is none over the other, nor over anything else.
RECEIPT = b"eject receipt 1\n"
ENTRY = b"eject chain entry 1\n"

ReceiptKey = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""The Ed25519 public key by which receipts are verified, 32 bytes as lower-case hex."""

KeySignature = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{128}$")]
"""64 bytes as lower-case hex, over `RECEIPT` or `ENTRY` and then all other fields as canonical JSON."""

ReceiptName = Annotated[
    str, StringConstraints(pattern=r"^receipts/[A-Za-z0-9_-]{1,64}/[A-Za-z0-9_-]{1,129}\.json$")
]


class ReceiptFile(Result):
    """One receipt in the vault, create-only.

    `run` is the run that ended so; `after` the last entry of the chain when the file was made, so that its
    own entry stands behind that one. `key` and `signature` are null where the worker has no receipt key.
    """

    receipt: Receipt
    run: Id
    after: int = Field(ge=0)
    key: ReceiptKey | None
    signature: KeySignature | None


class ChainEntry(Result):
    """One entry: `receipt` is the SHA-256 of the file `name`, `previous` that of the entry before, if any."""

    number: int = Field(ge=1)
    previous: Digest | None
    receipt: Digest
    name: ReceiptName
    key: ReceiptKey | None
    signature: KeySignature | None
