"""The payload codec: what Temporal stores of an eject is encrypted with keys that Temporal does not have.

The form is that of Temporal's samples but for the associated data, so that other languages have it nearly
done: the whole payload, as protobuf bytes, encrypted with AES-256-GCM. `data` is the nonce of 12 bytes, the
cipher text and its tag; the metadata are `encoding`, which is `binary/encrypted`, and `encryption-key-id`,
whose bytes are the associated data.
"""

import base64
import json
import os
import re
from collections.abc import Mapping, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

ENCODING = b"binary/encrypted"
KEY_ID = "encryption-key-id"
KEY_BYTES = 32

_NONCE_BYTES = 12
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_FORM = 'must be {"key id": "base64 of 32 bytes", ...}, the first of which encrypts'


class CodecError(Exception):
    """A payload cannot be opened; the text is one sentence for people, without any of its data.

    No `ApplicationError`, which could end an eject: this holds its workflow task until the keys are mended.
    """


UNOPENED = "unopened"
"""Metadata of a payload that `decode` could not open: the sentence that says why."""


class EjectCodec(PayloadCodec):
    """Encrypts every payload with the first of its keys, and decrypts what any of them encrypted.

    `keys` are 32 bytes each, by their ids; without any, nothing is encrypted. What is not encrypted is taken
    as it is: a start as plain JSON, and history that is older than the keys. So the codec keeps secrets, and
    proves nothing about who wrote.
    """

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._ciphers = {key: AESGCM(secret) for key, secret in keys.items()}
        self._active = next(iter(keys), None)

    @property
    def encrypts(self) -> bool:
        """Whether there is a key."""
        return self._active is not None

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encrypt each payload, its metadata included."""
        if self._active is None:
            return list(payloads)
        return [self._encrypted(payload, self._active) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Open what is encrypted; what cannot be opened stays shut, until somebody reads it.

        Raising here would fail the whole task that brings it: one update under a wrong key would hold an
        eject for as long as its sender repeats it. `runtime.converter` raises where it is read.
        """
        decoded = []
        for payload in payloads:
            try:
                decoded.append(self.open(payload))
            except CodecError as error:
                shut = Payload()
                shut.CopyFrom(payload)
                shut.metadata[UNOPENED] = str(error).encode()
                decoded.append(shut)
        return decoded

    def open(self, payload: Payload) -> Payload:
        """One payload in the clear; `CodecError` for an unknown key, or for data that were changed."""
        if payload.metadata.get("encoding") != ENCODING:
            return payload
        key = payload.metadata.get(KEY_ID, b"").decode(errors="replace")
        if not _ID.fullmatch(key):  # anybody's text, so it is not repeated
            raise CodecError("An encrypted payload names no key of ours: another codec wrote it")
        if key not in self._ciphers:
            raise CodecError(f"A payload is encrypted with the key {key}: add that key to EJECT_CODEC_KEYS")
        nonce, sealed = payload.data[:_NONCE_BYTES], payload.data[_NONCE_BYTES:]
        try:
            return Payload.FromString(self._ciphers[key].decrypt(nonce, sealed, key.encode()))
        except (InvalidTag, ValueError, DecodeError):
            raise CodecError(
                f"A payload does not open with the key {key}: it was changed, or another key has that id in "
                "EJECT_CODEC_KEYS"
            ) from None

    def _encrypted(self, payload: Payload, key: str) -> Payload:
        nonce, name = os.urandom(_NONCE_BYTES), key.encode()
        sealed = self._ciphers[key].encrypt(nonce, payload.SerializeToString(), name)
        return Payload(metadata={"encoding": ENCODING, KEY_ID: name}, data=nonce + sealed)


def read_keys(text: str) -> dict[str, bytes]:
    """Keys by id from JSON, in its order; `ValueError` says what is wrong and never a value."""
    try:
        given = json.loads(text, object_pairs_hook=list)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, list) or not given or not all(isinstance(pair, tuple) for pair in given):
        raise ValueError(_FORM)
    keys = {key: _read_key(encoded) for key, encoded in given}
    if not all(_ID.fullmatch(key) for key in keys):
        raise ValueError("has a key id that is not 1 to 64 letters, digits, '-' and '_'")
    if len(keys) < len(given):
        raise ValueError("names a key id twice")
    return keys


def _read_key(encoded: object) -> bytes:
    try:
        key = base64.b64decode(encoded, validate=True) if isinstance(encoded, str) else b""
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError(_FORM)
    return key
