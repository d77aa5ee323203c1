"""The works behind Portal's Custodian API, in the order in which an eject meets them."""

import sqlite3
from datetime import timedelta

from sandbox import credentials
from sandbox.bodies import EnableEject, NewClient
from sandbox.calls import Call, RefusedError, Reply
from sandbox.clients import find_client, find_wallet, make_client, show_client
from sandbox.clock import moment, stamp
from sandbox.ids import new_id
from sandbox.keys import CURVES
from sandbox.shares import make_pair

_FLOOR = timedelta(minutes=1)
_DEFAULT_WINDOW = timedelta(minutes=5)
_MOST_PER_PAGE = 100


def create_client(call: Call) -> Reply:
    """Make a client with its two credentials; it has no wallets until generate."""
    body = call.body(NewClient)
    made = make_client(call.portal.store, call.now, is_account_abstracted=bool(body.is_account_abstracted))
    call.client_id = made["id"]
    return Reply(200, made, "client_made")


def mint_session(call: Call) -> Reply:
    """Mint a client session token."""
    body = call.body(NewClient)
    client = _client(call, unknown=404)
    wanted = body.is_account_abstracted
    abstracted = bool(client["is_account_abstracted"]) if wanted is None else wanted
    token = credentials.issue(call.portal.store, client["id"], "session", call.now)
    reply = {"id": client["id"], "clientSessionToken": token, "isAccountAbstracted": abstracted}
    return Reply(200, reply, "session_made")


def read_client(call: Call) -> Reply:
    """Read a client. That an unknown one is a 404 is inferred: the documents name no status for it."""
    return Reply(200, show_client(call.portal.store, _client(call, unknown=404)))


def list_clients(call: Call) -> Reply:
    """List clients, oldest first, `take` (100 at most) after the client that `cursor` names."""
    store, cursor = call.portal.store, call.query.get("cursor")
    take = _take(call.query.get("take"))
    after = 0
    if cursor:
        last = find_client(store, cursor)
        if last is None:
            raise RefusedError("Invalid cursor")
        after = last["seq"]
    # One more than asked for tells whether another page follows.
    found = store.all("SELECT * FROM clients WHERE seq > ? ORDER BY seq LIMIT ?", after, take + 1)
    page = found[:take]
    following = page[-1]["id"] if len(found) > take else None
    metadata = {"cursor": following, "take": take, "total": store.value("SELECT count(*) FROM clients")}
    return Reply(200, {"results": [show_client(store, client) for client in page], "metadata": metadata})


def enable_eject(call: Call) -> Reply:
    """Open or move a wallet's ejectable window; without a time it is 5 minutes."""
    body = call.body(EnableEject)
    call.wallet_id = body.wallet_id
    wallet = _wallet(call)
    until = body.ejectable_until or call.now + _DEFAULT_WINDOW
    if until < call.now + _FLOOR:
        raise RefusedError("ejectableUntil must be at least 1 minute in the future")
    call.portal.store.run("UPDATE wallets SET ejectable_until = ? WHERE id = ?", stamp(until), wallet["id"])
    return Reply(200, {"ejectableUntil": stamp(until)}, "window_set")


def fetch_shares(call: Call) -> Reply:
    """Answer both backup shares of a wallet's newest completed pair (Portal-Managed Backups only).

    Portal documents no gate by the window; the switch `gate_fetch_by_window` adds the one that Tatum claims.
    """
    store, client = call.portal.store, _client(call)
    wallet = _wallet(call)
    if not client["backup_with_portal_enabled"]:
        raise RefusedError("Portal-Managed Backups are not enabled")
    if call.portal.switch("gate_fetch_by_window") and not window_is_open(call, wallet):
        raise RefusedError("Wallet is not ejectable")
    pair = store.one(
        "SELECT * FROM pairs WHERE wallet_id = ? AND kind = 'backup' AND status = 'completed'"
        " ORDER BY seq DESC LIMIT 1",
        wallet["id"],
    )
    if pair is None:
        raise RefusedError("No completed backup share pair found")
    custodian, cipher_text = pair["custodian_share"], pair["cipher_text"]
    if (instead := wallet["next_fetch"]) is not None:
        store.run("UPDATE wallets SET next_fetch = NULL WHERE id = ?", wallet["id"])
    if instead == "other_pair":
        custodian = _other_half(wallet)
    elif instead == "garbage":
        custodian = "this is not a custodian share"
    elif instead == "no_cipher_text":
        cipher_text = None
    elif instead == "other_cipher_text":
        cipher_text = "this is not the cipher text that was stored"
    reply = {"encryptedClientBackupShare": cipher_text, "custodianBackupShare": custodian}
    return Reply(200, reply, "shares_released")


def window_is_open(call: Call, wallet: sqlite3.Row) -> bool:
    """Say whether a wallet is ejectable now."""
    until = wallet["ejectable_until"]
    return until is not None and call.now < moment(until)


def _other_half(wallet: sqlite3.Row) -> str:
    """Split the same key along another line, under another pair's name."""
    curve, secret = CURVES[wallet["curve"]], int(wallet["secret"])
    pair = make_pair(curve, secret, client_id=wallet["client_id"], pair_id=new_id(), kind="backup")
    return pair.custodian


def _client(call: Call, unknown: int = 400) -> sqlite3.Row:
    client = find_client(call.portal.store, call.client_id)
    if client is None:
        raise RefusedError("Client not found", unknown)
    return client


def _wallet(call: Call) -> sqlite3.Row:
    """Find the wallet named by the call. That an unknown one is a 400 is inferred."""
    wallet = find_wallet(call.portal.store, _client(call)["id"], call.wallet_id)
    if wallet is None:
        raise RefusedError("Wallet not found")
    return wallet


def _take(text: str | None) -> int:
    try:
        take = int(text or _MOST_PER_PAGE)
    except ValueError:
        take = 0
    if not 1 <= take <= _MOST_PER_PAGE:
        raise RefusedError("take must be between 1 and 100")
    return take
