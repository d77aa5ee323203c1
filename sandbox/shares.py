"""Splitting a key 2 of 2, in the two texts in which Portal hands its halves out.

Both halves are points `(x, share)` on a line modulo the group's order, the secret at 0. The Paillier and
Pedersen numbers only have the right size: nothing in an eject computes with them.
"""

import base64
import binascii
import json
import secrets
from dataclasses import dataclass
from typing import Any

from sandbox.keys import SECP256K1, Curve

_PAILLIER_PRIME_BITS = 1024


class BadShareError(Exception):
    """The text is not a client share."""


@dataclass(frozen=True)
class Pair:
    """The two halves of one split, as texts."""

    client: str
    custodian: str


@dataclass(frozen=True)
class ClientPoint:
    """What a client share's text tells about the line."""

    ssid: str
    pubkey: tuple[int, int]
    x: int
    share: int


def make_pair(curve: Curve, secret: int, *, client_id: str, pair_id: str, kind: str) -> Pair:
    """Split a key along a fresh random line, under a fresh ssid."""
    slope, client_x, server_x = curve.scalar(), curve.scalar(), curve.scalar()
    client_share = (secret + slope * client_x) % curve.order
    server_share = (secret + slope * server_x) % curve.order
    public = {
        "key": curve.point(secret),
        "client": curve.point(client_share),
        "server": curve.point(server_share),
        "y_client": curve.point(curve.scalar()),
        "y_server": curve.point(curve.scalar()),
    }
    ssid = base64.b64encode(secrets.token_bytes(32)).decode()
    pedersen = {
        side: {name: _number(2 * _PAILLIER_PRIME_BITS) for name in "nst"} for side in ("client", "server")
    }
    upper = curve is SECP256K1  # key case varies in what is published: one curve shows each
    x, y, rank = ("X", "Y", "Rank") if upper else ("x", "y", "rank")

    def coordinates(name: str) -> dict[str, str]:
        return {x: str(public[name].x), y: str(public[name].y)}

    client = {
        "clientId": "",  # empty in Portal's published example
        "backupSharePairId": pair_id if kind == "backup" else "",
        "signingSharePairId": pair_id if kind == "signing" else "",
        "share": str(client_share),
        "ssid": ssid,
        "pubkey": coordinates("key"),
        "partialPubkey": {"client": coordinates("client"), "server": coordinates("server")},
        "allY": {"client": coordinates("y_client"), "server": coordinates("y_server")},
        "p": _number(_PAILLIER_PRIME_BITS),
        "q": _number(_PAILLIER_PRIME_BITS),
        "pederson": pedersen,
        "bks": {"client": {x: str(client_x), rank: 0}, "server": {x: str(server_x), rank: 0}},
    }
    custodian = {
        "backupSharePairId": pair_id,
        "clientBk": str(client_x),
        "serverBk": str(server_x),
        "clientId": client_id,
        "share": str(server_share),
        "ssid": ssid,
        "x": str(public["key"].x),
        "y": str(public["key"].y),
        "clientPartialPubKey_x": str(public["client"].x),
        "clientPartialPubKey_y": str(public["client"].y),
        "serverPartialPubKey_x": str(public["server"].x),
        "serverPartialPubKey_y": str(public["server"].y),
        "pailler_p": _number(_PAILLIER_PRIME_BITS),
        "pailler_q": _number(_PAILLIER_PRIME_BITS),
        **{f"pedersenClient_{name}": value for name, value in pedersen["client"].items()},
        **{f"pedersenServer_{name}": value for name, value in pedersen["server"].items()},
        "yClient_x": str(public["y_client"].x),
        "yClient_y": str(public["y_client"].y),
        "yServer_x": str(public["y_server"].x),
        "yServer_y": str(public["y_server"].y),
    }
    return Pair(
        _unpadded(json.dumps(client, separators=(",", ":"))), json.dumps(custodian, separators=(",", ":"))
    )


def read_client_share(curve: Curve, text: str) -> ClientPoint:
    """Read the text back, as the enclave does with what a client sends."""
    try:
        content = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), validate=True))
        fields = _lower(content)
        point = ClientPoint(
            ssid=fields["ssid"],
            pubkey=(int(fields["pubkey"]["x"]), int(fields["pubkey"]["y"])),
            x=int(fields["bks"]["client"]["x"]),
            share=int(fields["share"]),
        )
    except (binascii.Error, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise BadShareError from None  # the cause would quote the share
    if not (0 < point.x < curve.order and 0 <= point.share < curve.order):
        raise BadShareError
    return point


def rebuild(curve: Curve, client: ClientPoint, custodian: str) -> int:
    """Join both halves: the value at 0 of the line through them."""
    fields = json.loads(custodian)
    x, share = int(fields["serverBk"]), int(fields["share"])
    weight = pow(x - client.x, -1, curve.order)
    return (client.share * x - share * client.x) * weight % curve.order


def _unpadded(text: str) -> str:
    """Encode as the enclave does: the standard alphabet without padding."""
    return base64.b64encode(text.encode()).decode().rstrip("=")


def _number(bits: int) -> str:
    return str(secrets.randbits(bits) | 1 << (bits - 1) | 1)


def _lower(content: Any) -> Any:
    if isinstance(content, dict):
        return {key.lower(): _lower(value) for key, value in content.items()}
    return content
