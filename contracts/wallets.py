"""The wallets of a client, as an eject compares them."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from contracts.base import Id, Result

Coordinate = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,78}$")]
Namespace = Annotated[str, StringConstraints(pattern=r"^[a-z0-9.]{1,40}$")]
Address = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]{1,128}$")]


class Curve(StrEnum):
    """The curves of Portal's wallets, as its API writes them."""

    SECP256K1 = "SECP256K1"
    ED25519 = "ED25519"


class PublicKey(Result):
    """Affine coordinates in decimal, as Portal's `publicKey` states them."""

    x: Coordinate
    y: Coordinate


class Wallet(Result):
    """A wallet that has a key.

    `address` is derived from the public key (EVM for SECP256K1, Solana for ED25519) and stands in the
    challenge; `addresses` are those that Portal publishes for the curve, by namespace.
    """

    id: Id
    curve: Curve
    public_key: PublicKey
    address: Address
    addresses: dict[Namespace, Address] = Field(default_factory=dict)


def difference(before: Iterable[Wallet], now: Iterable[Wallet]) -> str | None:
    """Say in words how the client's wallets differ from those first checked, or None where they do not."""
    old = {wallet.id: wallet for wallet in before}
    new = {wallet.id: wallet for wallet in now}
    words = [f"wallet {i} is gone" for i in old.keys() - new.keys()]
    words += [f"wallet {i} is new" for i in new.keys() - old.keys()]
    words += [
        f"wallet {i} has another key"
        for i in old.keys() & new.keys()
        if (old[i].public_key, old[i].curve) != (new[i].public_key, new[i].curve)
    ]
    return ", ".join(sorted(words)) or None
