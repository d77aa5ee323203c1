"""Files that carry their own signature: canonical JSON, signed over all of it but the signature."""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.base import canonical_json
from custody.keys import public_key, signed_by


def signed(beginning: bytes, fields: Mapping[str, Any], key: Ed25519PrivateKey | None) -> bytes:
    """The file of these fields, with `key` and `signature`; both null where there is no key."""
    content = {**fields, "key": public_key(key) if key else None}
    signature = key.sign(beginning + canonical_json(content)).hex() if key else None
    return canonical_json(content | {"signature": signature})


def parsed(data: bytes) -> dict[str, Any] | None:
    """The fields of a file; None where it is not an object in canonical JSON, byte for byte.

    What a newer version added is kept, because it was signed too. Only one form is taken, so that no two
    readers can see different things in the same file.
    """
    try:
        fields = json.loads(data)
        if isinstance(fields, dict) and canonical_json(fields) == data:
            return fields
    except (ValueError, RecursionError):
        pass
    return None


def sha256(data: bytes) -> str:
    """SHA-256 of a whole file, as hex."""
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True)
class Trust:
    """Whose signatures count, as hex, and whether a file without any does."""

    keys: Collection[str] = ()
    unsigned: bool = False

    def problem(self, beginning: bytes, fields: Mapping[str, Any]) -> str | None:
        """Say what is wrong with a parsed file's signature, to go on a sentence that begins with its name."""
        content = {name: value for name, value in fields.items() if name != "signature"}
        key, signature = fields.get("key"), fields.get("signature")
        if key is None and signature is None:
            return None if self.unsigned else "is unsigned"
        if key not in self.keys:
            return "is signed with a key that was not named with --key"
        try:
            right = signed_by(str(key), str(signature), beginning + canonical_json(content))
        except ValueError:
            right = False
        return None if right else "was changed, or its signature: it is not by its key over this content"
