"""Public keys: from a secret scalar, and from the coordinates that Portal states.

SECP256K1 is libsecp256k1 (coincurve), ED25519 is libsodium (PyNaCl), whose unclamped multiplication
takes a scalar as it is, where every RFC 8032 interface would hash it as a seed.
"""

from contextlib import suppress
from typing import assert_never

import coincurve
from nacl.bindings import crypto_scalarmult_ed25519_base_noclamp

from contracts.wallets import Curve, PublicKey
from device.errors import DeviceError

ORDERS = {
    Curve.SECP256K1: 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141,
    Curve.ED25519: 0x1000000000000000000000000000000014DEF9DEA2F79CD65812631A5CF5D3ED,
}
"""The group orders; a secret scalar lies from 1 to the order - 1."""

_P = 2**255 - 19
_D = -121665 * pow(121666, -1, _P) % _P


def public_key(curve: Curve, scalar: int) -> bytes:
    """The compressed public key: 33 bytes (SEC 1) for SECP256K1, 32 bytes (RFC 8032) for ED25519."""
    match curve:
        case Curve.SECP256K1:
            return coincurve.PrivateKey(scalar.to_bytes(32, "big")).public_key.format()
        case Curve.ED25519:
            return crypto_scalarmult_ed25519_base_noclamp(scalar.to_bytes(32, "little"))
        case _:
            assert_never(curve)


def stated_key(curve: Curve, stated: PublicKey) -> bytes:
    """The same compressed form of the coordinates that Portal states; DeviceError off the curve."""
    x, y = int(stated.x), int(stated.y)
    key = None
    match curve:
        case Curve.SECP256K1:
            with suppress(ValueError, OverflowError):
                key = coincurve.PublicKey.from_point(x, y).format()
        case Curve.ED25519:
            if x < _P and y < _P and (y * y - x * x - 1 - _D * x * x * y * y) % _P == 0:
                key = (y | (x & 1) << 255).to_bytes(32, "little")
        case _:
            assert_never(curve)
    if key is None:
        raise DeviceError("the public key in the claim is not a point of its curve: claim again.")
    return key
