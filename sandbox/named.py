"""What a call names: its client, its wallet, a pair of the client's."""

import sqlite3

from sandbox.calls import Call
from sandbox.clients import find_client, find_wallet
from sandbox.clock import moment
from sandbox.errors import RefusedError


def client_of(call: Call, unknown: int = 400) -> sqlite3.Row:
    """Find the client that the custodian names. That an unknown one is a 400 is inferred."""
    client = find_client(call.portal.store, call.client_id)
    if client is None:
        raise RefusedError("Client not found", unknown)
    return client


def me(call: Call) -> sqlite3.Row:
    """Find the client whose credential this is."""
    client = find_client(call.portal.store, call.client_id)
    if client is None:
        raise RefusedError("Unauthorized", 401)
    return client


def wallet_of(call: Call) -> sqlite3.Row:
    """Find the wallet named by the call, if it is this client's. That an unknown one is a 400 is inferred."""
    wallet = find_wallet(call.portal.store, call.client_id, call.wallet_id)
    if wallet is None:
        raise RefusedError("Wallet not found")
    return wallet


def pair_of(call: Call, pair_id: str, unknown: int = 400) -> sqlite3.Row:
    """Find a backup share pair, if it is this client's."""
    sql = "SELECT * FROM pairs WHERE id = ? AND client_id = ? AND kind = 'backup'"
    pair = call.portal.store.one(sql, pair_id, call.client_id)
    if pair is None:
        raise RefusedError("Backup share pair not found", unknown)
    call.wallet_id = pair["wallet_id"]
    return pair


def window_is_open(call: Call, wallet: sqlite3.Row) -> bool:
    """Say whether a wallet is ejectable now."""
    until = wallet["ejectable_until"]
    return until is not None and call.now < moment(until)
