"""Every secret that existed in a place: what its programs were given, and what Portal itself knew."""

import base64
import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import bech32
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import SecretStr

from sandbox.keys import CURVES
from tests.harness.secrets import part_of
from tests.planted.place import APPROVERS, Place
from tests.planted.scene import Scene

CONTROL = "control: "
# What a custodian share says that nobody else may know; the rest of it is public, or the key's own point.
_NUMBERS = ("share", "clientBk", "serverBk", "pailler_p", "pailler_q", "ssid")


def secrets_of_all(place: Place, scenes: Iterable[Scene], controls: Iterable[str]) -> dict[str, str]:
    """All of them by name; those of the control's clients are named as the control's."""
    found = {
        # Tokens that the worker minted are known to nobody; each begins so.
        "any session token": "sandbox-session-",
        "gateway key": place.sandbox.gateway_key.get_secret_value(),
        "notice secret": place.receiver.secret,
        "notice secret's bytes": base64.b64decode(place.receiver.secret.removeprefix("whsec_")).hex(),
    }
    for name, room in place.rooms.items():
        for field, value in room.world.settings:
            if isinstance(value, SecretStr):
                found |= dict(_of_setting(f"{name} {field}", value.get_secret_value()))
    for name in APPROVERS:
        key = load_pem_private_key((place.folder / f"{name}.pem").read_bytes(), password=None)
        assert isinstance(key, Ed25519PrivateKey)
        found[f"{name}'s private key"] = key.private_bytes_raw().hex()
    for scene in scenes:
        for name, secret in scene.secrets.items():
            found[name] = secret
            if name.endswith("identity"):
                found |= dict(_of_setting(name, secret))
    return found | dict(_of_portal(place.state, set(controls)))


def _of_setting(name: str, value: str) -> Iterator[tuple[str, str]]:
    line = value.splitlines()[-1]
    yield name, line
    if line.startswith("AGE-SECRET-KEY-1"):
        yield f"{name} in small letters", line.lower()
        words = bech32.bech32_decode(line)[1] or []
        yield f"{name}'s bytes", bytes(bech32.convertbits(words, 5, 8, False) or []).hex()


def _of_portal(state: Path, controls: set[str]) -> Iterator[tuple[str, str]]:
    """Each wallet's whole key, and of every pair, those of lost answers too, the numbers of both halves."""
    with closing(sqlite3.connect(state)) as portal:
        portal.row_factory = sqlite3.Row
        wallets = {row["id"]: row for row in portal.execute("SELECT * FROM wallets")}
        pairs = portal.execute("SELECT * FROM pairs").fetchall()
    for wallet in wallets.values():
        name = CONTROL if wallet["client_id"] in controls else ""
        yield f"{name}private key of wallet {wallet['id']}", wallet["secret"]
    for pair in pairs:
        wallet = wallets.get(pair["wallet_id"])
        if wallet is None:
            continue  # a scenario removed it
        name = f"{CONTROL if wallet['client_id'] in controls else ''}{pair['kind']} pair {pair['id']}"
        half = json.loads(pair["custodian_share"])
        yield from ((f"{name}, custodian's {number}", half[number]) for number in _NUMBERS)
        yield (
            f"{name}, client's share",
            str(_client_share(CURVES[wallet["curve"]].order, wallet["secret"], half)),
        )
        if cipher_text := pair["cipher_text"]:
            yield f"{name}, cipher text", part_of(cipher_text)


def _client_share(order: int, secret: str, custodian: dict[str, str]) -> int:
    """The other point of the line: Portal keeps none of it, but the whole key."""
    slope = (int(custodian["share"]) - int(secret)) * pow(int(custodian["serverBk"]), -1, order)
    return (int(secret) + slope * int(custodian["clientBk"])) % order
