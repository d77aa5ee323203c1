"""Finding secrets in bytes, in every form in which one could stand there, quickly for thousands of them."""

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from urllib.parse import quote

import base58

# An occurrence of this many bytes holds a whole window that begins at a multiple of its length, so that a
# text is looked at in every eighth place only.
_WINDOW = 8
_SHORTEST = 2 * _WINDOW - 1
# So much of a secret is enough to know it, and is found where the rest of it was cut off.
_LONGEST = 48

Forms = Iterator[tuple[str, bytes]]


def _text_forms(raw: bytes) -> Forms:
    yield "raw", raw
    yield from _byte_forms(raw)
    text = raw.decode()
    yield "json", json.dumps(text)[1:-1].encode()
    yield "json twice", json.dumps(json.dumps(text))[3:-3].encode()
    yield "json with escaped slashes", text.replace("/", "\\/").encode()
    yield "url", quote(text, safe="").encode()


def _byte_forms(raw: bytes) -> Forms:
    yield "hex", raw.hex().encode()
    yield "hex in capitals", raw.hex().upper().encode()
    yield "list of decimals", json.dumps(list(raw))[1:-1].encode()
    yield "short list of decimals", json.dumps(list(raw), separators=(",", ":"))[1:-1].encode()
    for place in range(3):
        # Cut to what does not depend on the neighbours of the secret in a longer text, nor on padding.
        shifted = base64.b64encode(b"\0" * place + raw)[4 if place else 0 :].rstrip(b"=")
        whole = shifted if (place + len(raw)) % 3 == 0 else shifted[:-1]
        yield f"base64 at {place}", whole
        yield f"base64 at {place}, url-safe", whole.translate(bytes.maketrans(b"+/", b"-_"))


def _number_forms(number: int, length: int) -> Forms:
    yield "decimal", str(number).encode()
    for order in ("big", "little"):
        raw = number.to_bytes(length, "big")[:: 1 if order == "big" else -1]
        yield f"bytes, {order} end first", raw
        yield f"number of the bytes, {order} end first", str(int.from_bytes(raw, "big")).encode()
        yield f"base58, {order} end first", base58.b58encode(raw)
        for name, form in _byte_forms(raw):
            yield f"{name}, {order} end first", form
        # A hex without its leading zeros stands in the one with them.
        yield f"hex of the number, {order} end first", f"{int.from_bytes(raw, 'big'):x}".encode()


def forms(secret: str) -> Forms:
    """A secret by encoding; a number (decimal, or 32 bytes as hex) as a number and as bytes too."""
    found: Callable[[], Forms] | None = None
    if re.fullmatch(r"[0-9]{16,}", secret):
        number = int(secret)
        found = lambda: _number_forms(number, max(32, (number.bit_length() + 7) // 8))  # noqa: E731
    elif re.fullmatch(r"[0-9a-f]{64}", secret):
        found = lambda: _number_forms(int(secret, 16), 32)  # noqa: E731
    for name, form in _text_forms(secret.encode()):
        yield name, form[:_LONGEST]
    for name, form in found() if found else ():
        yield name, form[:_LONGEST]


class Search:
    """An index over the forms of many secrets, each by a name for people."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self.secrets = secrets
        self._known: dict[bytes, tuple[str, str]] = {}
        for name, secret in secrets.items():
            for encoding, form in forms(secret):
                assert len(form) >= _SHORTEST, f"{name} is too short to be looked for: {encoding}"
                self._known.setdefault(form, (name, encoding))
        self._windows: dict[bytes, list[tuple[int, bytes]]] = {}
        for form in self._known:
            for place in range(_WINDOW):
                window = form[place : place + _WINDOW]
                self._windows.setdefault(window, []).append((place, form))

    @property
    def patterns(self) -> int:
        """How many texts are looked for."""
        return len(self._known)

    def found(self, text: bytes) -> set[tuple[str, str]]:
        """Which secrets stand in a text, and in which encoding."""
        windows = self._windows
        hits = set()
        for at in range(0, len(text) - _WINDOW + 1, _WINDOW):
            known = windows.get(text[at : at + _WINDOW])
            if known:
                hits |= {
                    form for place, form in known if text.startswith(form, max(0, at - place)) and at >= place
                }
        return {self._known[form] for form in hits}

    def leaks(self, channels: Mapping[str, Iterable[bytes]]) -> list[str]:
        """Each secret with its encoding and channel; empty when nothing leaked."""
        return sorted(
            {
                f"{name} ({encoding}) in {channel}"
                for channel, texts in channels.items()
                for text in texts
                for name, encoding in self.found(text)
            }
        )
