"""How a client is shown, by the custodian's read and by its own."""

import json
import sqlite3
from typing import Any

from sandbox.clients import wallets_of
from sandbox.portal import Portal
from sandbox.replies import (
    BackupSharePair,
    ClientResponse,
    CustodianName,
    Environment,
    Metadata,
    SigningSharePair,
    WalletResponse,
)
from sandbox.store import Store

_CUSTODIAN = CustodianName(id="sandboxcustodian", name="Sandbox")


def show(portal: Portal, client: sqlite3.Row) -> ClientResponse:
    """Write a client as its readers get it, with as much left out as the switches say."""
    if portal.switch("bare_clients"):
        return ClientResponse(id=client["id"])
    shown = show_client(portal.store, client)
    return _sparse(shown) if portal.switch("sparse_clients") else shown


def show_client(store: Store, client: sqlite3.Row) -> ClientResponse:
    """Write a client with everything that Portal shows of it."""
    wallets = wallets_of(store, client["id"])
    pairs = store.all("SELECT * FROM pairs WHERE client_id = ? ORDER BY seq", client["id"])
    spaces: dict[str, Any] = {}
    for wallet in reversed(wallets):  # with two wallets of a curve, the older one names the addresses
        spaces |= json.loads(wallet["namespaces"])
    return ClientResponse(
        id=client["id"],
        created_at=client["created_at"],
        ejected_at=client["ejected_at"],
        custodian=_CUSTODIAN,
        environment=_environment(client),
        is_account_abstracted=bool(client["is_account_abstracted"]),
        metadata=Metadata(namespaces=spaces),
        wallets=[
            _wallet(wallet, [pair for pair in pairs if pair["wallet_id"] == wallet["id"]])
            for wallet in wallets
        ],
    )


def _environment(client: sqlite3.Row) -> Environment:
    names = ("backup_with_portal_enabled", "is_multi_backup_enabled")
    flags = {name: bool(client[name]) for name in names if client[name] is not None}
    return Environment(id="sandboxenvironment", name="Development", **flags)


def _wallet(wallet: sqlite3.Row, pairs: list[sqlite3.Row]) -> WalletResponse:
    x, y = ("X", "Y") if wallet["key_shown"] == "upper" else ("x", "y")
    key = json.dumps({x: wallet["x"], y: wallet["y"]}, separators=(",", ":"))
    return WalletResponse(
        id=wallet["id"],
        created_at=wallet["created_at"],
        curve=wallet["curve"],
        public_key=None if wallet["key_shown"] == "null" else key,
        ejectable_until=wallet["ejectable_until"],
        backup_share_pairs=[
            BackupSharePair(
                id=pair["id"],
                created_at=pair["created_at"],
                backup_method=pair["backup_method"],
                status=pair["status"],
            )
            for pair in pairs
            if pair["kind"] == "backup"
        ],
        signing_share_pairs=[
            SigningSharePair(id=pair["id"], created_at=pair["created_at"], status=pair["status"])
            for pair in pairs
            if pair["kind"] == "signing"
        ],
    )


def _sparse(client: ClientResponse) -> ClientResponse:
    """Keep what no eject can do without; a time that is not set is absent instead of null."""
    kept: dict[str, Any] = {"id": client.id, "wallets": [_sparse_wallet(wallet) for wallet in client.wallets]}
    if client.ejected_at is not None:
        kept["ejected_at"] = client.ejected_at
    return ClientResponse(**kept)


def _sparse_wallet(wallet: WalletResponse) -> WalletResponse:
    pairs = [BackupSharePair(id=pair.id, status=pair.status) for pair in wallet.backup_share_pairs]
    kept: dict[str, Any] = {"id": wallet.id, "curve": wallet.curve, "backup_share_pairs": pairs}
    for name in ("public_key", "ejectable_until"):
        if getattr(wallet, name) is not None:
            kept[name] = getattr(wallet, name)
    return WalletResponse(**kept)
