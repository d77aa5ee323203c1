"""The works behind Portal's Client API, in the order in which an eject meets them."""

import sqlite3

from sandbox.bodies import Complete, ConfirmBackup, StoreCipherText
from sandbox.calls import Call, RefusedError, Reply
from sandbox.clients import find_client, show_client, wallets_of
from sandbox.clock import stamp
from sandbox.custodian import window_is_open


def read_client_as_itself(call: Call) -> Reply:
    """Read the client whose credential this is."""
    return Reply(200, show_client(call.portal.store, _me(call)))


def store_cipher_text(call: Call) -> Reply:
    """Keep a pair's encrypted client share, opaque to Portal; repeating it is safe."""
    body = call.body(StoreCipherText)
    pair = _pair(call, call.path["pair_id"])
    sql = "UPDATE pairs SET cipher_text = ? WHERE id = ?"
    call.portal.store.run(sql, body.client_cipher_text, pair["id"])
    return Reply(204, effect="cipher_text_stored")


def read_cipher_text(call: Call) -> Reply:
    """Answer what was stored; the name `cipherText` and the 404 for nothing stored are inferred."""
    pair = _pair(call, call.path["pair_id"], unknown=404)
    if pair["cipher_text"] is None:
        raise RefusedError("Cipher text not found", 404)
    return Reply(200, {"cipherText": pair["cipher_text"]})


def confirm_backup(call: Call) -> Reply:
    """Mark pairs as completed: all of those named, or none.

    A pair without cipher text can be confirmed too: whoever backs up without Portal's storage does so.
    """
    body = call.body(ConfirmBackup)
    pairs = [_pair(call, pair_id) for pair_id in body.backup_share_pair_ids]
    call.wallet_id = pairs[0]["wallet_id"] if len(pairs) == 1 else None
    changed = sum(
        call.portal.store.run(
            "UPDATE pairs SET status = 'completed' WHERE id = ? AND status != 'completed'", pair["id"]
        )
        for pair in pairs
    )
    return Reply(204, effect="pairs_completed" if changed else None)


def complete_client(call: Call) -> Reply:
    """Mark the client and all its wallets ejected, which cannot be undone.

    What a second call answers is not documented; here it is a 400. The switch `gate_completion_by_window`
    makes it demand an open window for every wallet.
    """
    call.body(Complete)
    client = _me(call)
    if client["ejected_at"] is not None:
        raise RefusedError("Client has already been ejected")
    wallets = wallets_of(call.portal.store, client["id"])
    if call.portal.switch("gate_completion_by_window") and not all(
        window_is_open(call, each) for each in wallets
    ):
        raise RefusedError("Wallet is not ejectable")
    call.portal.store.run("UPDATE clients SET ejected_at = ? WHERE id = ?", stamp(call.now), client["id"])
    return Reply(204, effect="completed")


def _me(call: Call) -> sqlite3.Row:
    client = find_client(call.portal.store, call.client_id)
    if client is None:
        raise RefusedError("Unauthorized", 401)
    return client


def _pair(call: Call, pair_id: str, unknown: int = 400) -> sqlite3.Row:
    """Find a backup share pair, if it is this client's."""
    sql = "SELECT * FROM pairs WHERE id = ? AND client_id = ? AND kind = 'backup'"
    pair = call.portal.store.one(sql, pair_id, call.client_id)
    if pair is None:
        raise RefusedError("Backup share pair not found", unknown)
    call.wallet_id = pair["wallet_id"]
    return pair
