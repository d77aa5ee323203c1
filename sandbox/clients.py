"""Clients and their wallets: making them, finding them, and showing them as Portal's read client does."""

import json
import sqlite3
from datetime import datetime
from typing import Any

from sandbox import credentials
from sandbox.addresses import namespaces
from sandbox.clock import stamp
from sandbox.ids import new_id
from sandbox.keys import CURVES, Curve
from sandbox.shares import make_pair
from sandbox.store import Store

CUSTODIAN = {"id": "sandboxcustodian", "name": "Sandbox"}
_ENVIRONMENT = {"id": "sandboxenvironment", "name": "Development"}


def make_client(store: Store, now: datetime, *, is_account_abstracted: bool = False) -> dict[str, Any]:
    """Make a client without wallets and answer what create client answers."""
    client_id = new_id()
    sql = "INSERT INTO clients (id, created_at, is_account_abstracted) VALUES (?, ?, ?)"
    store.run(sql, client_id, stamp(now), is_account_abstracted)
    return {
        "id": client_id,
        "clientApiKey": credentials.issue(store, client_id, "key", now),
        "clientSessionToken": credentials.issue(store, client_id, "session", now),
        "isAccountAbstracted": is_account_abstracted,
    }


def make_wallet(store: Store, client_id: str, curve: Curve, now: datetime) -> tuple[str, dict[str, str]]:
    """Make a wallet with a random key and answer its id and its signing share as generate does."""
    secret, wallet_id = curve.scalar(), new_id()
    point = curve.point(secret)
    store.run(
        "INSERT INTO wallets (id, client_id, curve, created_at, secret, x, y, namespaces)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        *(wallet_id, client_id, curve.name, stamp(now), str(secret), str(point.x), str(point.y)),
        json.dumps(namespaces(curve, point)),
    )
    wallet = store.one("SELECT * FROM wallets WHERE id = ?", wallet_id)
    assert wallet is not None  # noqa: S101 (written above)
    return wallet_id, make_share(store, wallet, "signing", now)


def make_share(store: Store, wallet: sqlite3.Row, kind: str, now: datetime) -> dict[str, str]:
    """Split a wallet's key anew, keep the custodian's half, and answer the client's as `{share, id}`."""
    pair_id = new_id()
    pair = make_pair(
        CURVES[wallet["curve"]],
        int(wallet["secret"]),
        client_id=wallet["client_id"],
        pair_id=pair_id,
        kind=kind,
    )
    # Signing pairs count as stored at once: the call that confirms them is no part of an eject. The method
    # is "UNKNOWN" as the enclave's back up names none (inferred from Portal's default of that name).
    status = "completed" if kind == "signing" else "incomplete"
    store.run(
        "INSERT INTO pairs (id, client_id, wallet_id, kind, created_at, custodian_share, status,"
        " backup_method) VALUES (?, ?, ?, ?, ?, ?, ?, 'UNKNOWN')",
        *(pair_id, wallet["client_id"], wallet["id"], kind, stamp(now), pair.custodian, status),
    )
    return {"share": pair.client, "id": pair_id}


def find_client(store: Store, client_id: str | None) -> sqlite3.Row | None:
    """Find a client by id."""
    return store.one("SELECT * FROM clients WHERE id = ?", client_id)


def find_wallet(store: Store, client_id: str, wallet_id: str | None) -> sqlite3.Row | None:
    """Find a wallet, if it is this client's."""
    return store.one("SELECT * FROM wallets WHERE id = ? AND client_id = ?", wallet_id, client_id)


def wallets_of(store: Store, client_id: str) -> list[sqlite3.Row]:
    """Answer a client's wallets, oldest first."""
    return list(store.all("SELECT * FROM wallets WHERE client_id = ? ORDER BY seq", client_id))


def show_client(store: Store, client: sqlite3.Row) -> dict[str, Any]:
    """Write a client as read client does, for the custodian and for the client itself."""
    wallets = wallets_of(store, client["id"])
    pairs = store.all("SELECT * FROM pairs WHERE client_id = ? ORDER BY seq", client["id"])
    spaces: dict[str, Any] = {}
    for wallet in reversed(wallets):  # with two wallets of a curve, the older one names the addresses
        spaces |= json.loads(wallet["namespaces"])
    return {
        "id": client["id"],
        "createdAt": client["created_at"],
        "ejectedAt": client["ejected_at"],
        "custodian": CUSTODIAN,
        "environment": _ENVIRONMENT
        | {
            "backupWithPortalEnabled": bool(client["backup_with_portal_enabled"]),
            "isMultiBackupEnabled": bool(client["is_multi_backup_enabled"]),
        },
        "isAccountAbstracted": bool(client["is_account_abstracted"]),
        "metadata": {"namespaces": spaces},
        "wallets": [
            _show_wallet(wallet, [pair for pair in pairs if pair["wallet_id"] == wallet["id"]])
            for wallet in wallets
        ],
    }


def _show_wallet(wallet: sqlite3.Row, pairs: list[sqlite3.Row]) -> dict[str, Any]:
    x, y = ("X", "Y") if wallet["key_shown"] == "upper" else ("x", "y")
    key = json.dumps({x: wallet["x"], y: wallet["y"]}, separators=(",", ":"))
    return {
        "id": wallet["id"],
        "createdAt": wallet["created_at"],
        "curve": wallet["curve"],
        "publicKey": None if wallet["key_shown"] == "null" else key,
        "ejectableUntil": wallet["ejectable_until"],
        "backupSharePairs": [
            {
                "id": pair["id"],
                "createdAt": pair["created_at"],
                "backupMethod": pair["backup_method"],
                "status": pair["status"],
            }
            for pair in pairs
            if pair["kind"] == "backup"
        ],
        "signingSharePairs": [
            {"id": pair["id"], "createdAt": pair["created_at"], "status": pair["status"]}
            for pair in pairs
            if pair["kind"] == "signing"
        ],
    }
