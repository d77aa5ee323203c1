"""An approver's signature, with a key file that only its owner can read."""

from pathlib import Path

from contracts.approvals import approval_text
from contracts.receipt import Status
from custody.keys import read_key
from ejects.service import EjectError


def sign(path: Path, status: Status, digest: str, by: str) -> str:
    """Sign the approval of a request; the digest is what the approver has read and named."""
    try:
        key = read_key(path.read_bytes())
    except (OSError, ValueError):
        raise EjectError(f"{path} holds no Ed25519 private key in PEM: name a file of `make-key`") from None
    text = approval_text(eject_id=status.eject_id, client_id=status.client_id, digest=digest, by=by)
    return key.sign(text.encode()).hex()
