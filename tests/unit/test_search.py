"""The search for secrets finds one in every encoding, wherever it stands; and nothing where there is none."""

import base64
import json
from collections.abc import Callable
from urllib.parse import quote

import base58
import pytest

from tests.harness.search import Search

TOKEN = "s3cr3t/+token-with~all_kinds?of=letters&more"  # noqa: S105 (to be looked for)
QUOTED = 'the "share" of a\nclient\\half, which is long enough'
NUMBER = "57896044618658097711785492504343953926634992332820282019728792003956564819949"
RAW = int(NUMBER).to_bytes(32, "big")
HALF = RAW.hex()


def url_safe(data: bytes) -> str:
    """Without padding, as tokens are written."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


# By name: the secret, and how somebody else's program writes it.
ENCODED: dict[str, tuple[str, Callable[[], str]]] = {
    "raw": (TOKEN, lambda: TOKEN),
    "hex": (TOKEN, lambda: TOKEN.encode().hex()),
    "hex in capitals": (TOKEN, lambda: TOKEN.encode().hex().upper()),
    "url": (TOKEN, lambda: quote(TOKEN, safe="")),
    "json": (QUOTED, lambda: json.dumps({"a": QUOTED})),
    "json in json": (QUOTED, lambda: json.dumps({"a": json.dumps({"b": QUOTED})})),
    "json of other languages": (TOKEN, lambda: json.dumps(TOKEN).replace("/", "\\/")),
    "base64": (TOKEN, lambda: base64.b64encode(TOKEN.encode()).decode()),
    "base64 after one byte": (TOKEN, lambda: base64.b64encode(b"1" + TOKEN.encode() + b"22").decode()),
    "base64 after two bytes": (TOKEN, lambda: base64.b64encode(b"12" + TOKEN.encode() + b"3").decode()),
    "base64 of a JSON text": (TOKEN, lambda: base64.b64encode(json.dumps([TOKEN]).encode()).decode()),
    "url-safe base64": (TOKEN, lambda: url_safe(TOKEN.encode())),
    "url-safe base64 after one byte": (TOKEN, lambda: url_safe(b"\xff" + TOKEN.encode())),
    "url-safe base64 after two bytes": (TOKEN, lambda: url_safe(b"\xff\xfe" + TOKEN.encode())),
    "list of byte values": (TOKEN, lambda: str(list(TOKEN.encode()))),
    "compact list of byte values": (TOKEN, lambda: json.dumps(list(TOKEN.encode()), separators=(",", ":"))),
    "decimal": (NUMBER, lambda: json.dumps({"share": int(NUMBER)})),
    "decimal as hex": (NUMBER, lambda: f"0x{int(NUMBER):x}"),
    "decimal as hex in capitals": (NUMBER, lambda: f"{int(NUMBER):064X}"),
    "decimal as base64 of its bytes": (NUMBER, lambda: base64.b64encode(RAW).decode()),
    "decimal as base64 of its bytes, turned": (NUMBER, lambda: base64.b64encode(RAW[::-1]).decode()),
    "decimal as base58 of its bytes, turned": (NUMBER, lambda: base58.b58encode(RAW[::-1]).decode()),
    "decimal in base64": (NUMBER, lambda: base64.b64encode(f'{{"s":"{NUMBER}"}}'.encode()).decode()),
    "decimal as a list of byte values": (NUMBER, lambda: str(list(RAW))),
    "hex as decimal": (HALF, lambda: str(int(HALF, 16))),
    "hex as decimal of its bytes, turned": (HALF, lambda: str(int.from_bytes(RAW, "little"))),
    "hex as base64 of its bytes": (HALF, lambda: base64.b64encode(b"1" + bytes.fromhex(HALF)).decode()),
    "hex as base58": (HALF, lambda: base58.b58encode(RAW).decode()),
    "hex in capitals of a hex": (HALF, HALF.upper),
    "cut off": (TOKEN * 3, lambda: (TOKEN * 3)[:50]),
}


@pytest.mark.parametrize("name", ENCODED)
def test_a_secret_is_found_in_every_encoding_and_at_every_place(name: str) -> None:
    """However many bytes stand before it."""
    secret, write = ENCODED[name]
    search = Search({"the secret": secret, "another": "x" * 40})
    for before in range(17):
        text = b"." * before + write().encode() + b"!"
        assert {found for found, _ in search.found(text)} == {"the secret"}, before


def test_bytes_are_found_as_they_are() -> None:
    """In a file that is no text, either end first."""
    search = Search({"the secret": NUMBER})
    for raw in (RAW, RAW[::-1]):
        assert search.found(b"\0\xff" + raw + b"\0" * 9)


def test_nothing_is_found_where_there_is_nothing() -> None:
    """Half a secret, another one, the secret with one letter wrong, and no text at all."""
    search = Search({"the secret": TOKEN})
    wrong = TOKEN.replace("k", "K")
    for text in ("", "t", TOKEN[: len(TOKEN) // 2], wrong, TOKEN[::-1], TOKEN.swapcase()):
        assert search.found(text.encode()) == set()
    assert search.leaks({"a channel": [TOKEN.encode()], "another": [b""]}) == [
        "the secret (raw) in a channel"
    ]


def test_what_is_too_short_to_be_looked_for_is_refused() -> None:
    """It would be overlooked silently."""
    with pytest.raises(AssertionError, match="too short"):
        Search({"a pin": "1234"})
