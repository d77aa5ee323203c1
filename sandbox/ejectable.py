"""Handing out both backup shares of a wallet, to the custodian and to the client itself."""

import json
import sqlite3

from sandbox.bodies import BACKUP_METHODS
from sandbox.calls import Call, Reply
from sandbox.errors import InvalidError, RefusedError
from sandbox.ids import new_id
from sandbox.keys import CURVES
from sandbox.named import client_of, me, wallet_of, window_is_open
from sandbox.replies import EjectableBackupSharesResponse, WrappedEjectableBackupSharesResponse
from sandbox.shares import make_pair
from sandbox.store import COMPLETED


def fetch_shares(call: Call) -> Reply:
    """Answer both backup shares of a wallet's newest completed pair (Portal-Managed Backups only).

    Portal documents no gate by the window; the switch `gate_fetch_by_window` adds the one that Tatum claims.
    """
    client, wallet = client_of(call), wallet_of(call)
    _demand_managed_backups(client)
    if call.portal.switch("gate_fetch_by_window") and not window_is_open(call, wallet):
        raise RefusedError("Wallet is not ejectable")
    return Reply(_hand_out(call, wallet, method=None), "shares_released")


def fetch_shares_as_client(call: Call) -> Reply:
    """Answer both backup shares of a wallet inside its window, and close the window: the read works once.

    The pair is the newest completed one of the method. The enclave's back up names no method, yet Portal
    gives this call to the enclave's clients: where no pair has the method, the newest without one answers
    (inferred).
    """
    method = call.query.get("backupMethod")
    if method not in BACKUP_METHODS:
        raise InvalidError(f"backupMethod must be one of {', '.join(BACKUP_METHODS)}")
    client, wallet = me(call), wallet_of(call)
    _demand_managed_backups(client)
    if not window_is_open(call, wallet):
        raise RefusedError("Wallet is not ejectable")
    shares = _hand_out(call, wallet, method=method)
    call.portal.store.run("UPDATE wallets SET ejectable_until = NULL WHERE id = ?", wallet["id"])
    wrapped = call.portal.switch("wrap_client_fetch")
    body = WrappedEjectableBackupSharesResponse(data=shares) if wrapped else shares
    return Reply(body, "shares_released_to_client")


def _demand_managed_backups(client: sqlite3.Row) -> None:
    if client["backup_with_portal_enabled"] == 0:  # where the flag is not shown, they are
        raise RefusedError("Portal-Managed Backups are not enabled")


def _hand_out(call: Call, wallet: sqlite3.Row, method: str | None) -> EjectableBackupSharesResponse:
    pair = _pair(call, wallet, method)
    custodian, cipher_text = pair["custodian_share"], pair["cipher_text"]
    if (instead := wallet["next_fetch"]) is not None:
        call.portal.store.run("UPDATE wallets SET next_fetch = NULL WHERE id = ?", wallet["id"])
    if instead == "other_pair":
        custodian = _other_half(wallet)
    elif instead == "garbage":
        custodian = "this is not a custodian share"
    elif instead == "oversized":
        custodian = json.dumps(json.loads(custodian) | {"padding": "0" * 800_000})
    elif instead == "no_cipher_text":
        cipher_text = None
    elif instead == "other_cipher_text":
        cipher_text = "this is not the cipher text that was stored"
    return EjectableBackupSharesResponse(
        encrypted_client_backup_share=cipher_text, custodian_backup_share=custodian
    )


def _pair(call: Call, wallet: sqlite3.Row, method: str | None) -> sqlite3.Row:
    named = wallet["fetch_pair"]  # by a control call
    found = call.portal.store.one(
        f"SELECT * FROM pairs WHERE wallet_id = ? AND kind = 'backup' AND status IN ({COMPLETED})"  # noqa: S608
        " AND (? IS NULL OR id = ?) AND (? IS NULL OR backup_method IN (?, 'UNKNOWN'))"
        " ORDER BY backup_method = ? DESC, created_at DESC, seq DESC LIMIT 1",
        *(wallet["id"], named, named),
        *([None] * 3 if named else [method] * 3),
    )
    if found is None:
        raise RefusedError("No completed backup share pair found")
    return found


def _other_half(wallet: sqlite3.Row) -> str:
    """Split the same key along another line, under another pair's name."""
    curve, secret = CURVES[wallet["curve"]], int(wallet["secret"])
    pair = make_pair(curve, secret, client_id=wallet["client_id"], pair_id=new_id(), kind="backup")
    return pair.custodian
