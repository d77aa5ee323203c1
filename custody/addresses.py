"""The one address of a wallet that stands in its challenge, derived from the public key."""

import base58
from Crypto.Hash import keccak

from contracts.wallets import Curve, PublicKey


def address(curve: Curve, key: PublicKey) -> str:
    """The EVM address (lower case, with 0x) of a SECP256K1 key, the Solana address of an ED25519 key.

    ValueError or OverflowError where the coordinates are not 32 bytes each.
    """
    if curve is Curve.SECP256K1:
        point = int(key.x).to_bytes(32, "big") + int(key.y).to_bytes(32, "big")
        return "0x" + keccak.new(digest_bits=256, data=point).digest()[-20:].hex()
    return base58.b58encode(ed25519_bytes(key)).decode()


def ed25519_bytes(key: PublicKey) -> bytes:
    """The 32 bytes of an ED25519 key: y little-endian, the lowest bit of x on top (RFC 8032, 5.1.2)."""
    return (int(key.y) | (int(key.x) & 1) << 255).to_bytes(32, "little")
