"""Verifying an owner's proof and an approver's signature. Everything here is public data."""

from coincurve import PublicKey as CurvePoint
from Crypto.Hash import keccak
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from contracts.approvals import ApprovalCheck
from contracts.owner import ProofCheck
from contracts.sealing import commitment
from contracts.wallets import Curve, PublicKey
from custody.addresses import ed25519_bytes
from custody.keys import signed_by


def problem(check: ProofCheck) -> str | None:
    """Say in one sentence what is wrong with a proof, or None where it is right.

    The key is the one that Portal stated for the wallet, never one that the caller names.
    """
    if any(commitment(value) != committed for value, committed in check.opened):
        return f"The opened values for wallet {check.wallet} are not those inside its sealed files"
    signature = bytes.fromhex(check.signature.removeprefix("0x"))
    verify = _signed_secp256k1 if check.curve is Curve.SECP256K1 else _signed_ed25519
    if not verify(check.public_key, check.text, signature):
        return f"The signature for wallet {check.wallet} is not by its key over this eject's challenge"
    return None


def approval_problem(check: ApprovalCheck) -> str | None:
    """Say in one sentence what is wrong with a signed approval, or None where it is right."""
    if signed_by(check.key, check.signature, check.text.encode()):
        return None
    return f"The signature is not by {check.by}'s key over this eject's request"


def personal_message_hash(text: str) -> bytes:
    """The hash that `personal_sign` signs (EIP-191, version 0x45)."""
    data = text.encode()
    return keccak.new(
        digest_bits=256, data=b"\x19Ethereum Signed Message:\n" + str(len(data)).encode() + data
    ).digest()


def _signed_secp256k1(key: PublicKey, text: str, signature: bytes) -> bool:
    if len(signature) != 65:
        return False
    # Wallets write the recovery id as 27 or 28, some libraries as 0 or 1.
    recovery = signature[64] - 27 if signature[64] >= 27 else signature[64]
    try:
        signer = CurvePoint.from_signature_and_message(
            signature[:64] + bytes([recovery]), personal_message_hash(text), hasher=None
        )
    except ValueError:  # also what coincurve raises for a recovery id or a point that does not exist
        return False
    return signer.point() == (int(key.x), int(key.y))


def _signed_ed25519(key: PublicKey, text: str, signature: bytes) -> bool:
    if len(signature) != 64:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(ed25519_bytes(key)).verify(signature, text.encode())
    except (InvalidSignature, ValueError, OverflowError):
        return False
    return True
