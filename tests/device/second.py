"""A second opinion on keys and addresses, sharing no arithmetic with the device.

SECP256K1: the device uses libsecp256k1 (coincurve), this file OpenSSL (cryptography). ED25519: the device
uses libsodium (PyNaCl), this file PyCryptodome's curve. Base58, bech32 and CRC-16 are written out here
where the device takes a library; Keccak and RIPEMD-160 are anchored in test_addresses by published vectors.
"""

import base64
import hashlib

from Crypto.Hash import RIPEMD160, keccak
from Crypto.PublicKey.ECC import EccPoint
from cryptography.hazmat.primitives.asymmetric import ec

from contracts.wallets import Curve, PublicKey

ORDER = {
    Curve.SECP256K1: 2**256 - 432420386565659656852420866394968145599,
    Curve.ED25519: 2**252 + 27742317777372353535851937790883648493,
}

_ED25519_BASE = EccPoint(
    15112221349535400772501151409588531511454012693041857206046113283949847762202,
    46316835694926478169428394003475163141307993866256225615783033603165251855960,
    curve="Ed25519",
)
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def public_key(curve: Curve, scalar: int) -> PublicKey:
    """Affine coordinates of scalar * G."""
    if curve is Curve.SECP256K1:
        numbers = ec.derive_private_key(scalar, ec.SECP256K1()).public_key().public_numbers()
        return PublicKey(x=str(numbers.x), y=str(numbers.y))
    point = _ED25519_BASE * scalar
    return PublicKey(x=str(int(point.x)), y=str(int(point.y)))


def scalar_of(curve: Curve, text: str) -> int:
    """Read an exported text as its documentation says."""
    if curve is Curve.SECP256K1:
        assert len(text) == 64
        return int(text, 16)
    raw = unbase58(text)
    assert len(raw) == 32
    return int.from_bytes(raw, "little")


def addresses(curve: Curve, key: PublicKey) -> dict[str, str]:
    """Every address that Portal publishes for a key of this curve, by namespace."""
    x, y = int(key.x), int(key.y)
    if curve is Curve.SECP256K1:
        bare = x.to_bytes(32, "big") + y.to_bytes(32, "big")
        account = keccak.new(digest_bits=256, data=bare).digest()[12:]
        compressed = bytes([2 + y % 2]) + bare[:32]
        program = RIPEMD160.new(hashlib.sha256(compressed).digest()).digest()
        return {
            "eip155": "0x" + account.hex(),
            "tron": tron_of(account),
            "bip122.mainnet": segwit("bc", program),
            "bip122.testnet": segwit("tb", program),
        }
    raw = (y + ((x % 2) << 255)).to_bytes(32, "little")
    return {"solana": base58(raw), "stellar": stellar_of(raw)}


def tron_of(account: bytes) -> str:
    """Base58Check with prefix 0x41."""
    body = b"\x41" + account
    return base58(body + hashlib.sha256(hashlib.sha256(body).digest()).digest()[:4])


def stellar_of(raw: bytes) -> str:
    """StrKey of an account."""
    body = b"\x30" + raw
    return base64.b32encode(body + xmodem(body).to_bytes(2, "little")).decode()


def base58(raw: bytes) -> str:
    """Bitcoin's base58."""
    number, text = int.from_bytes(raw, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = _BASE58[digit] + text
    return "1" * (len(raw) - len(raw.lstrip(b"\0"))) + text


def unbase58(text: str) -> bytes:
    """The bytes of a base58 text."""
    number = 0
    for letter in text:
        number = number * 58 + _BASE58.index(letter)
    zeros = len(text) - len(text.lstrip("1"))
    return b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8, "big")


def segwit(prefix: str, program: bytes) -> str:
    """BIP 173, witness version 0."""
    bits = int.from_bytes(program, "big")
    data = [0] + [(bits >> shift) & 31 for shift in range(155, -1, -5)]
    expanded = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    check = _polymod(expanded + data + [0] * 6) ^ 1
    data += [(check >> shift) & 31 for shift in range(25, -1, -5)]
    return f"{prefix}1" + "".join(_BECH32[value] for value in data)


def _polymod(values: list[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for i, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= generator if (top >> i) & 1 else 0
    return check


def xmodem(data: bytes) -> int:
    """CRC-16/XMODEM, bit by bit."""
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = ((crc << 1) ^ (0x1021 if crc & 0x8000 else 0)) & 0xFFFF
    return crc
