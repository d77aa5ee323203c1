"""An approver's own key: Ed25519, in a PEM file that only its owner can read."""

import os
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from contracts.approvals import approval_text
from contracts.receipt import Status
from ejects.service import EjectError


def make_key(path: Path) -> str:
    """Make a key file, mode 0600; an existing one is never touched. Returns the public key as hex."""
    key = Ed25519PrivateKey.generate()
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise EjectError(f"{path} cannot be made ({error.strerror}): name a new file") from None
    with os.fdopen(handle, "wb") as file:
        file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def sign(path: Path, status: Status, digest: str, by: str) -> str:
    """Sign the approval of a request; the digest is what the approver has read and named."""
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise EjectError(f"{path} holds no Ed25519 private key in PEM: name the file of `approver-key`")
    text = approval_text(eject_id=status.eject_id, client_id=status.client_id, digest=digest, by=by)
    return key.sign(text.encode()).hex()
