"""The owner's existing backup: client shares that only the owner's own means decrypt.

A cipher text of an earlier eject is age, which an identity opens. One of Portal's SDKs is opened by the
wallet's own app, whose result the owner gives as a file: the share of one curve as the enclave answers it,
or the JSON of both curves, in which the SDKs write each share as JSON and the enclave as base64.
"""

import base64
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from contracts.wallets import Curve
from device.curves import ORDERS
from device.errors import DeviceError
from device.files import read_text
from device.identity import Identity
from device.shares import client_half


@dataclass(frozen=True)
class OwnersBackup:
    """What the owner has to open a backup with: age identities, and texts that are decrypted already."""

    identities: Sequence[Identity] = ()
    plain: Sequence[str] = field(default=(), repr=False)

    @classmethod
    def load(cls, identities: Sequence[Path], plain: Sequence[Path]) -> "OwnersBackup":
        """Read identity files, and files of decrypted shares."""
        return cls(
            tuple(Identity.load(path) for path in identities),
            tuple(read_text(path, "The decrypted backup") for path in plain),
        )

    def share(self, curve: Curve, pair: str, cipher_text: str | None) -> str:
        """The client share of one backup share pair, as the enclave writes it; DeviceError without one."""
        for text in self._texts(cipher_text):
            for share in _shares(text, curve):
                if _pair(share, curve) == pair:
                    return share
        raise DeviceError(
            f"the owner's own backup of pair {pair} is needed: decrypt it with the wallet's app and name the "
            "file with --backup, or name the age identity that opens it with --backup-identity."
        )

    def _texts(self, cipher_text: str | None) -> Iterator[str]:
        yield from self.plain
        for identity in self.identities if cipher_text else ():
            opened = identity.open(cipher_text or "")
            with suppress(UnicodeDecodeError):
                yield (opened or b"").decode()


def _shares(text: str, curve: Curve) -> Iterator[str]:
    """The share texts of one curve: the bare text, `{share, id}`, or those of both curves in one object."""
    value: object = text
    with suppress(ValueError, RecursionError):
        value = json.loads(text)
    if isinstance(value, dict):
        found = [inner for name, inner in value.items() if name.upper() == curve]
        value = found[0] if found else value
    if isinstance(value, dict) and "backupSharePairId" not in value:
        value = value.get("share")
    if isinstance(value, dict):
        value = json.dumps(value)
    if isinstance(value, str):
        yield _packed(value)


def _packed(share: str) -> str:
    """A share as the enclave writes it, where it was written as bare JSON."""
    bare = share.strip()
    return base64.b64encode(bare.encode()).decode().rstrip("=") if bare.startswith("{") else bare


def _pair(share: str, curve: Curve) -> str | None:
    with suppress(DeviceError):
        return client_half(share, order=ORDERS[curve]).pair
    return None
