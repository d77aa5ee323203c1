"""Ed25519 keys in PEM files: an approver's, and the one that signs receipts."""

import os
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)


def make_key(path: Path) -> str:
    """Make a key file, mode 0600, and return the public key as hex; OSError where it cannot be made."""
    key = Ed25519PrivateKey.generate()
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return public_key(key)


def read_key(pem: bytes) -> Ed25519PrivateKey:
    """The key in a PEM text without a password; ValueError where there is none."""
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("is not an Ed25519 private key in PEM (`starter.py make-key` makes one)") from None
    return key


def public_key(key: Ed25519PrivateKey) -> str:
    """Its public key, 32 bytes as hex."""
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def signed_by(public: str, signature: str, data: bytes) -> bool:
    """Whether a signature over these bytes is by this key, both as hex; ValueError where one is not."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(bytes.fromhex(signature), data)
    except InvalidSignature:
        return False
    return True
