"""The text that leaves the device: written from the scalar, and read back as a wallet would read it."""

import re
from contextlib import suppress
from typing import assert_never

import base58

from contracts.wallets import Curve
from device.curves import ORDERS
from device.errors import DeviceError

FORMS = {
    Curve.SECP256K1: "64 hex digits, big-endian: the private key as EVM, Tron and Bitcoin wallets read it",
    Curve.ED25519: "base58 of 32 bytes, the little-endian scalar, NOT an RFC 8032 seed: "
    "a wallet that reads it as a seed opens another account",
}
"""What an exported text is, for people."""


def write_text(curve: Curve, scalar: int) -> str:
    """The export text of a scalar: always 32 bytes, whatever zeros the scalar begins or ends with."""
    match curve:
        case Curve.SECP256K1:
            return scalar.to_bytes(32, "big").hex()
        case Curve.ED25519:
            return base58.b58encode(scalar.to_bytes(32, "little")).decode()
        case _:
            assert_never(curve)


def read_text(curve: Curve, text: str) -> int:
    """The scalar that an export text says; DeviceError where it says none from 1 to the order - 1."""
    scalar = 0
    match curve:
        case Curve.SECP256K1:
            if re.fullmatch(r"[0-9a-f]{64}", text):
                scalar = int.from_bytes(bytes.fromhex(text), "big")
        case Curve.ED25519:
            decoded = b""
            with suppress(ValueError):
                decoded = base58.b58decode(text)
            if len(decoded) == 32:
                scalar = int.from_bytes(decoded, "little")
        case _:
            assert_never(curve)
    if not 0 < scalar < ORDERS[curve]:
        raise DeviceError("the text to be exported is not a key of its curve: nothing was exported.")
    return scalar
