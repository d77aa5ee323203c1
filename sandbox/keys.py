"""The two curves of Portal's wallets: scalars, public points, signatures."""

import hashlib
import secrets
from dataclasses import dataclass

from coincurve import PrivateKey
from Crypto.Hash import keccak
from nacl.bindings import crypto_scalarmult_ed25519_base_noclamp

_P25519 = 2**255 - 19
_D25519 = -121665 * pow(121666, -1, _P25519) % _P25519
_SQRT_MINUS_1 = pow(2, (_P25519 - 1) // 4, _P25519)


@dataclass(frozen=True)
class Point:
    """A public point: affine coordinates, and the bytes in which its curve writes public keys."""

    x: int
    y: int
    encoded: bytes


@dataclass(frozen=True)
class Curve:
    """A curve by Portal's name, with the order of its group."""

    name: str
    order: int

    def scalar(self) -> int:
        """Draw a random scalar that is not zero."""
        return secrets.randbelow(self.order - 1) + 1

    def point(self, scalar: int) -> Point:
        """Multiply the base point."""
        if self is SECP256K1:
            public = PrivateKey(scalar.to_bytes(32, "big")).public_key
            return Point(*public.point(), public.format(compressed=True))
        encoded = crypto_scalarmult_ed25519_base_noclamp(scalar.to_bytes(32, "little"))
        return Point(*_affine(encoded), encoded)

    def sign(self, scalar: int, message: bytes) -> bytes:
        """Sign as an owner would: EIP-191 `personal_sign`, or a signature that RFC 8032 verifies."""
        return _personal_sign(scalar, message) if self is SECP256K1 else _sign_ed25519(scalar, message)


SECP256K1 = Curve("SECP256K1", 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141)
ED25519 = Curve("ED25519", 0x1000000000000000000000000000000014DEF9DEA2F79CD65812631A5CF5D3ED)
CURVES = {curve.name: curve for curve in (SECP256K1, ED25519)}


def keccak256(data: bytes) -> bytes:
    """Hash as Ethereum does."""
    return keccak.new(digest_bits=256, data=data).digest()


def _affine(encoded: bytes) -> tuple[int, int]:
    """Recover both coordinates from RFC 8032's encoding of a point."""
    number = int.from_bytes(encoded, "little")
    y, odd = number & ((1 << 255) - 1), number >> 255
    square = (y * y - 1) * pow(_D25519 * y * y + 1, -1, _P25519) % _P25519
    x = pow(square, (_P25519 + 3) // 8, _P25519)
    if x * x % _P25519 != square:
        x = x * _SQRT_MINUS_1 % _P25519
    return (x if x & 1 == odd else _P25519 - x), y


def _personal_sign(scalar: int, message: bytes) -> bytes:
    text = b"\x19Ethereum Signed Message:\n" + str(len(message)).encode() + message
    signature = PrivateKey(scalar.to_bytes(32, "big")).sign_recoverable(keccak256(text), hasher=None)
    return signature[:64] + bytes([27 + signature[64]])


def _sign_ed25519(scalar: int, message: bytes) -> bytes:
    """Sign with the bare scalar: there is no seed, so the nonce is random instead of derived from one."""
    secret = scalar.to_bytes(32, "little")
    nonce = _hash_to_scalar(secrets.token_bytes(32) + secret + message)
    commitment = ED25519.point(nonce).encoded
    challenge = _hash_to_scalar(commitment + ED25519.point(scalar).encoded + message)
    response = (nonce + challenge * scalar) % ED25519.order
    return commitment + response.to_bytes(32, "little")


def _hash_to_scalar(data: bytes) -> int:
    return int.from_bytes(hashlib.sha512(data).digest(), "little") % ED25519.order
