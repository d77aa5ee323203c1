"""The one address of a wallet that stands in its challenge, derived from the public key."""

import base58
from Crypto.Hash import keccak

from contracts.wallets import Curve, PublicKey

# RFC 8032, 5.1: the field and the constant of edwards25519.
_P = 2**255 - 19
_D = -121665 * pow(121666, -1, _P) % _P


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


def on_ed25519(key: PublicKey) -> bool:
    """Whether the coordinates are a point of the curve; the 32 bytes of a key hold only one bit of x."""
    x, y = int(key.x), int(key.y)
    return max(x, y) < _P and (y * y - x * x - 1 - _D * x * x * y * y) % _P == 0
