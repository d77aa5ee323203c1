"""Clients and their wallets: making them, and finding them."""

import json
import sqlite3
from datetime import datetime

from sandbox import credentials
from sandbox.addresses import namespaces
from sandbox.clock import stamp
from sandbox.ids import new_id
from sandbox.keys import CURVES, Curve
from sandbox.replies import NewClientResponse
from sandbox.shares import make_pair
from sandbox.store import Store


def make_client(store: Store, now: datetime, *, is_account_abstracted: bool = False) -> NewClientResponse:
    """Make a client without wallets and answer what create client answers."""
    client_id = new_id()
    sql = "INSERT INTO clients (id, created_at, is_account_abstracted) VALUES (?, ?, ?)"
    store.run(sql, client_id, stamp(now), is_account_abstracted)
    return NewClientResponse(
        id=client_id,
        client_api_key=credentials.issue(store, client_id, "key", now),
        client_session_token=credentials.issue(store, client_id, "session", now),
        is_account_abstracted=is_account_abstracted,
    )


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


def make_share(
    store: Store, wallet: sqlite3.Row, kind: str, at: datetime, *, method: str = "UNKNOWN", status: str = ""
) -> dict[str, str]:
    """Split a wallet's key anew, keep the custodian's half, and answer the client's as `{share, id}`.

    A backup pair is incomplete unless a status is given.
    """
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
    status = status or ("completed" if kind == "signing" else "incomplete")
    store.run(
        "INSERT INTO pairs (id, client_id, wallet_id, kind, created_at, custodian_share, status,"
        " backup_method) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        *(pair_id, wallet["client_id"], wallet["id"], kind, stamp(at), pair.custodian, status, method),
    )
    return {"share": pair.client, "id": pair_id}


def find_client(store: Store, client_id: str | None) -> sqlite3.Row | None:
    """Find a client by id."""
    return store.one("SELECT * FROM clients WHERE id = ?", client_id)


def find_wallet(store: Store, client_id: str | None, wallet_id: str | None) -> sqlite3.Row | None:
    """Find a wallet, if it is this client's."""
    return store.one("SELECT * FROM wallets WHERE id = ? AND client_id = ?", wallet_id, client_id)


def wallets_of(store: Store, client_id: str) -> list[sqlite3.Row]:
    """Answer a client's wallets, oldest first."""
    return list(store.all("SELECT * FROM wallets WHERE client_id = ? ORDER BY seq", client_id))
