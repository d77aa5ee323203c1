"""Sealed halves: what is inside, what lies in the vault, and what the history may say of them."""

import hashlib
from collections.abc import Iterable

from pydantic import Field

from contracts.base import Digest, Id, Result
from contracts.names import Role


class Half(Result):
    """What is sealed to the recipient: one half of one wallet's key, and 32 random bytes.

    `share` is Portal's own text: for the client half the unpadded base64 of the enclave's backup share,
    for the custodian half the JSON of the custodian backup share. `nonce` is hex; whoever opened the half
    can write SHA-256(nonce) into the challenge, and nobody else can. `encrypted` tells that `share` is the
    cipher text of an existing backup, which only the owner's own means open.
    """

    role: Role
    client_id: Id
    wallet: Id
    pair: Id
    nonce: Digest = Field(repr=False)
    share: str = Field(repr=False)
    encrypted: bool = False


class SealedFile(Result):
    """One sealed half as it lies in the vault; of a fresh backup, `age` is Portal's cipher text too.

    `stored` is, beside a custodian half, the digest of the cipher text that Portal keeps for the same pair.
    """

    wallet: Id
    pair: Id
    commitment: Digest
    age: str = Field(repr=False, max_length=1_000_000)
    stored: Digest | None = None


class SealedBackup(Result):
    """Every client half of one backup, in one file, because one enclave call made them all."""

    files: tuple[SealedFile, ...]


class SealedRef(Result):
    """What history holds of a sealed half: never the half, its digest."""

    role: Role
    wallet: Id
    pair: Id
    digest: Digest
    commitment: Digest


def digest(age: str) -> str:
    """*The digest* of a sealed half: the SHA-256 of its armoured text, as hex."""
    return hashlib.sha256(age.encode()).hexdigest()


def opened(nonce: str) -> str:
    """What only someone who opened a half can say: SHA-256 of its 32 random bytes, as hex."""
    return hashlib.sha256(bytes.fromhex(nonce)).hexdigest()


def commitment(opened_value: str) -> str:
    """What may be known of a half before it is opened: SHA-256 of `opened`, as hex."""
    return hashlib.sha256(bytes.fromhex(opened_value)).hexdigest()


def reference(role: Role, file: SealedFile) -> SealedRef:
    """What may be said in history of a file in the vault."""
    return SealedRef(
        role=role, wallet=file.wallet, pair=file.pair, digest=digest(file.age), commitment=file.commitment
    )


def bundle_digest(files: Iterable[SealedRef]) -> str:
    """The bundle: SHA-256 of the sorted lines `role wallet pair digest`, each ended by a newline, as hex."""
    lines = sorted(f"{file.role} {file.wallet} {file.pair} {file.digest}\n" for file in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def fingerprint(recipient: str) -> str:
    """A recipient in short, for people to compare: 16 bytes of its SHA-256, in groups of four hex digits."""
    text = hashlib.sha256(recipient.encode()).hexdigest()[:32]
    return " ".join(text[i : i + 4] for i in range(0, 32, 4))
