"""Backups from before the eject: completed pairs, with what their makers stored beside them.

`enclave`: each pair has a cipher text of its own, of the share as the enclave answered it.
`sdk`: one cipher text holds the shares of all curves, and every pair has that same text. Its plain text is as
in Portal's SDKs: JSON of `{curve: {"id", "share"}}`, where `share` is the share's JSON, not base64 of it.
`own`: nothing is stored; the owner keeps the share.

Portal's SDKs encrypt inside a binary that is not public, and how a PASSWORD becomes a key is not documented.
Two stand-ins: age, armoured to a recipient, for a text that the device's identity opens; and a NaCl secret
box as hex, whose key the caller is told, for a text that only the owner's own tool opens.
"""

import base64
import json
from dataclasses import dataclass
from datetime import datetime

import pyrage
from nacl.secret import SecretBox
from nacl.utils import random

from sandbox.clients import make_share, wallets_of
from sandbox.store import Store

METHODS = {"enclave": "UNKNOWN", "sdk": "PASSWORD", "own": "UNKNOWN"}
"""The forms, each with the method that it has unless another is asked for."""


class BadRecipientError(Exception):
    """The recipient is not an age public key."""


class Sealer:
    """Encrypts as one of the two stand-ins does; `key_hex` opens the second kind."""

    def __init__(self, recipient: str | None) -> None:
        self._recipient, self.key_hex = None, None
        if recipient is None:
            key = random(SecretBox.KEY_SIZE)
            self._box, self.key_hex = SecretBox(key), key.hex()
            return
        try:
            self._recipient = pyrage.x25519.Recipient.from_str(recipient)
        except pyrage.RecipientError as error:
            raise BadRecipientError from error

    def seal(self, text: str) -> str:
        """Encrypt a text into a text."""
        if self._recipient is None:
            return bytes(self._box.encrypt(text.encode())).hex()
        return str(pyrage.encrypt(text.encode(), [self._recipient], armored=True).decode())


@dataclass(frozen=True)
class Kept:
    """One pair as its owner knows it: the share, and what was stored of it."""

    wallet_id: str
    curve: str
    pair_id: str
    client_share: str
    plain_text: str
    cipher_text: str | None


def make_backup(
    store: Store, client_id: str, form: str, sealer: Sealer, at: datetime, *, method: str | None, status: str
) -> list[Kept]:
    """Give every wallet of a client one more pair, made at a time."""
    wallets = wallets_of(store, client_id)
    method = METHODS[form] if method is None else method
    shares = [make_share(store, wallet, "backup", at, method=method, status=status) for wallet in wallets]
    plain = [share["share"] for share in shares]
    if form == "sdk":
        named = zip(wallets, shares, strict=True)
        together = {
            wallet["curve"]: {"id": share["id"], "share": _unpacked(share["share"])}
            for wallet, share in named
        }
        plain = [json.dumps(together)] * len(shares)
    sealed = {text: None if form == "own" else sealer.seal(text) for text in plain}
    kept = [
        Kept(wallet["id"], wallet["curve"], share["id"], share["share"], text, sealed[text])
        for wallet, share, text in zip(wallets, shares, plain, strict=True)
    ]
    for each in kept:
        store.run("UPDATE pairs SET cipher_text = ? WHERE id = ?", each.cipher_text, each.pair_id)
    return kept


def _unpacked(share: str) -> str:
    return base64.b64decode(share + "=" * (-len(share) % 4)).decode()
