"""What passes between an eject and the owner: the claim, the challenge, the proofs."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, StringConstraints

from contracts.base import Digest, Id, Message, Moment, Result, Words
from contracts.names import Role
from contracts.request import Backup
from contracts.wallets import Curve, PublicKey, Wallet

Signature = Annotated[str, StringConstraints(pattern=r"^(0x)?[0-9a-fA-F]{128}([0-9a-fA-F]{2})?$")]
"""64 bytes (ED25519) or 65 bytes (SECP256K1: r, s, v) as hex, with or without 0x."""

MOST_WALLETS = 16


class Claim(Message):
    """The owner asks for the bundle; `claimed_by` is asserted by the caller."""

    claimed_by: Words


class ClaimedFile(Result):
    """One sealed half that was released: its name in the vault, never a URL."""

    name: str
    role: Role
    wallet: Id
    pair: Id
    digest: Digest


class ClaimAnswer(Result):
    """All that the owner's device needs besides the files; public data only.

    `closes` is when our copies are destroyed; `bundle` the digest of the lines `role wallet pair digest`.
    With an `existing` backup a wallet has no client file where Portal keeps no cipher text: the owner does.
    """

    eject_id: Id
    client_id: Id
    recipient: str
    fingerprint: str
    closes: Moment
    wallets: tuple[Wallet, ...]
    files: tuple[ClaimedFile, ...]
    bundle: Digest
    backup: Backup = Backup.FRESH


class Proof(Message):
    """The owner's word for one wallet: the opened value of each half, and a signature over the challenge."""

    wallet: Id
    bundle: Digest
    opened: dict[Role, Digest]
    signature: Signature


class Prove(Message):
    """Proofs for one or more wallets; all of them must be right, or none is taken."""

    proofs: tuple[Proof, ...] = Field(min_length=1, max_length=MOST_WALLETS)


class ProveAnswer(Result):
    """Which wallets are proven now, and which are still awaited."""

    proven: tuple[Id, ...]
    awaited: tuple[Id, ...]


class ProofCheck(Result):
    """One proof as it is verified: public data only.

    `opened` pairs each value that the owner sent with the commitment of the half that it belongs to.
    """

    wallet: Id
    curve: Curve
    public_key: PublicKey
    text: str
    signature: Signature
    opened: tuple[tuple[Digest, Digest], ...]


class Verify(Result):
    """What the verifying local activity is given."""

    checks: tuple[ProofCheck, ...]


class Verified(Result):
    """What is wrong, one sentence for each bad proof; empty when all are right."""

    problems: tuple[str, ...] = ()


def challenge(
    *, eject_id: str, client_id: str, wallet: Wallet, bundle: str, opened: Mapping[Role, str]
) -> str:
    """The text that a wallet's key signs, rebuilt by whoever needs it from the claim's answer.

    Any ordinary EVM wallet can show and sign it; it names the one eject, so that it proves nothing elsewhere.
    """
    lines = [
        "I have rebuilt the key of this wallet and take it out of custody for good.",
        f"eject: {eject_id}",
        f"client: {client_id}",
        f"wallet: {wallet.id}",
        f"address: {wallet.address}",
        f"bundle: {bundle}",
    ]
    lines += [f"opened {role}: {opened[role]}" for role in sorted(opened)]
    return "\n".join(lines)
