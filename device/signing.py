"""Signatures by a wallet's key over a text, each verified before it is given away."""

import hashlib
import secrets
from typing import assert_never

import coincurve
from Crypto.Hash import keccak
from nacl.bindings import crypto_scalarmult_ed25519_base_noclamp
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from contracts.wallets import Curve
from device.curves import ORDERS, public_key
from device.errors import DeviceError


def sign(curve: Curve, scalar: int, text: str) -> str:
    """Sign a text: EIP-191 `personal_sign` for SECP256K1, the raw text for ED25519; hex without 0x."""
    message = text.encode()
    match curve:
        case Curve.SECP256K1:
            signature, good = _personal_sign(scalar, message)
        case Curve.ED25519:
            signature, good = _sign_raw_scalar(scalar, message)
        case _:
            assert_never(curve)
    if not good:
        # A computer that miscalculates can give the key away in a wrong signature.
        raise DeviceError("a signature came out wrong: nothing was signed; try on another machine.")
    return signature.hex()


def _personal_sign(scalar: int, message: bytes) -> tuple[bytes, bool]:
    """65 bytes r, s, v with v 27 or 28, over the Keccak-256 of the prefixed message."""
    prefixed = b"\x19Ethereum Signed Message:\n%d%s" % (len(message), message)
    digest = keccak.new(digest_bits=256, data=prefixed).digest()
    signature = coincurve.PrivateKey(scalar.to_bytes(32, "big")).sign_recoverable(digest, hasher=None)
    signer = coincurve.PublicKey.from_signature_and_message(signature, digest, hasher=None)
    good = signer.format() == public_key(Curve.SECP256K1, scalar)
    return signature[:64] + bytes([27 + signature[64]]), good


def _sign_raw_scalar(scalar: int, message: bytes) -> tuple[bytes, bool]:
    """64 bytes R, s that any RFC 8032 verifier accepts, although there is no seed.

    RFC 8032 draws the nonce from the other half of the hashed seed; here 32 random bytes stand for it,
    hashed with the scalar and the text so that a weak source of randomness alone does not repeat it.
    """
    order = ORDERS[Curve.ED25519]
    key = public_key(Curve.ED25519, scalar)
    nonce = _hashed(secrets.token_bytes(32), scalar.to_bytes(32, "little"), message) % order
    commitment = crypto_scalarmult_ed25519_base_noclamp(nonce.to_bytes(32, "little"))
    answer = (nonce + _hashed(commitment, key, message) * scalar) % order
    signature = commitment + answer.to_bytes(32, "little")
    try:
        VerifyKey(key).verify(message, signature)
    except BadSignatureError:
        return signature, False
    return signature, True


def _hashed(*parts: bytes) -> int:
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little")
