"""Portal's two share texts, read as far as a key needs them.

The client half is the enclave's `MpcShare`: standard base64, unpadded, of JSON. The custodian half is a
JSON string. In both, the case of keys varies and numbers are decimal strings.
"""

import base64
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from device.errors import DeviceError

_DECIMAL = re.compile(r"[0-9]{1,100}")


@dataclass(frozen=True)
class ShareHalf:
    """One half of a key: its share, and the x of the *other* half's point, which is how Portal keeps them."""

    pair: str
    ssid: str
    share: int = field(repr=False)
    other_x: int = field(repr=False)


def client_half(text: str, *, order: int) -> ShareHalf:
    """Read the client's backup share; the custodian point's x is its `bks.server.x`."""
    share = _json_object(_unpacked(text), "client")
    ranks = _Fields(share.inner("bks"), "client")
    server = _Fields(ranks.inner("server"), "client")
    for party in (server, _Fields(ranks.inner("client"), "client")):
        party.refuse_rank()
    return ShareHalf(
        pair=share.word("backupSharePairId"),
        ssid=share.word("ssid"),
        share=share.number("share", below=order),
        other_x=server.number("x", below=order),
    )


def custodian_half(text: str, *, order: int) -> ShareHalf:
    """Read the custodian's backup share; the client point's x is its `clientBk`."""
    share = _json_object(text, "custodian")
    return ShareHalf(
        pair=share.word("backupSharePairId"),
        ssid=share.word("ssid"),
        share=share.number("share", below=order),
        other_x=share.number("clientBk", below=order),
    )


class _Fields:
    """The fields of a JSON object, found whatever the case of their names."""

    def __init__(self, fields: Mapping[str, object], half: str) -> None:
        self._fields = fields
        self._half = half

    def _refused(self, name: str, problem: str) -> DeviceError:
        return DeviceError(
            f"the {self._half} share's {name} {problem}: the share was damaged, or is of another kind."
        )

    def _get(self, name: str) -> object:
        values = [value for key, value in self._fields.items() if key.lower() == name.lower()]
        if any(value != values[0] for value in values):
            raise self._refused(name, "is there twice, with two values")
        return values[0] if values else None

    def inner(self, name: str) -> Mapping[str, object]:
        value = self._get(name)
        if not isinstance(value, dict):
            raise self._refused(name, "is missing")
        return value

    def word(self, name: str) -> str:
        value = self._get(name)
        if not isinstance(value, str) or not value:
            raise self._refused(name, "is missing")
        return value

    def number(self, name: str, *, below: int) -> int:
        value = self._get(name)
        if not isinstance(value, str) or not _DECIMAL.fullmatch(value):
            raise self._refused(name, "is not a decimal number")
        number = int(value)
        if not 0 < number < below:
            raise self._refused(name, "is zero or outside the curve's order")
        return number

    def refuse_rank(self) -> None:
        # Two points on a line are two points only where neither is a derivative.
        if self._get("rank") not in (None, 0, "0"):
            raise self._refused("rank", "is not 0")


def _unpacked(text: str) -> str:
    bare = text.strip()  # padded or not: only what is missing is added
    unpacked = None
    with suppress(ValueError):  # binascii.Error and UnicodeDecodeError are both ValueErrors
        unpacked = base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True).decode()
    if unpacked is None:
        raise DeviceError("the client share is not base64: it was damaged, or is of another kind.")
    return unpacked


def _json_object(text: str, half: str) -> _Fields:
    value = None
    with suppress(ValueError, RecursionError):
        value = json.loads(text)
    if not isinstance(value, dict):
        raise DeviceError(f"the {half} share is not a JSON object: it was damaged, or is of another kind.")
    return _Fields(value, half)
