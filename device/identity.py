"""The owner's age X25519 identity: the key that opens the sealed halves, and never leaves the device."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pyrage
from pyrage import x25519

from contracts.sealing import fingerprint
from device.errors import DeviceError
from device.files import read_text, write_private


class Identity:
    """An age X25519 identity; shows its recipient, never itself."""

    def __init__(self, key: Any) -> None:
        self._key = key
        self.recipient = str(key.to_public())

    @property
    def fingerprint(self) -> str:
        """The recipient in short, to be compared by people with the claim's and the approvers'."""
        return fingerprint(self.recipient)

    def __repr__(self) -> str:
        return f"Identity({self.recipient})"

    @classmethod
    def generate(cls) -> "Identity":
        """A new identity from the system's randomness."""
        return cls(x25519.Identity.generate())

    @classmethod
    def load(cls, path: Path) -> "Identity":
        """Read an identity file of `keygen` or `age-keygen`: comments and one AGE-SECRET-KEY-1 line."""
        lines = [line.strip() for line in read_text(path, "The identity file").splitlines()]
        keys = [line for line in lines if line and not line.startswith("#")]
        key = None
        if len(keys) == 1:
            with suppress(pyrage.IdentityError):
                key = x25519.Identity.from_str(keys[0])
        if key is None:
            raise DeviceError(
                f"{path} does not hold exactly one age X25519 identity: name the file that keygen wrote."
            )
        return cls(key)

    def save(self, path: Path) -> None:
        """Write the identity in age-keygen's format, mode 0600; an existing file is never touched."""
        write_private(path, f"# public key: {self.recipient}\n{self._key}\n")

    def open(self, age: str) -> bytes | None:
        """The plain bytes of an armoured age text, or None where this identity does not open it."""
        with suppress(pyrage.DecryptError):
            return bytes(pyrage.decrypt(age.encode(), [self._key]))
        return None


def keygen(path: Path) -> Identity:
    """Make an identity and keep it in a new file, mode 0600; DeviceError where the file exists."""
    identity = Identity.generate()
    identity.save(path)
    return identity
