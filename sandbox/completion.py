"""The two ways to complete. Neither can be undone.

What a second call answers is not documented: a 400 here, with `repeat_completion_ok` the first call's answer.
With `gate_completion_by_window` completion wants open windows.
"""

import sqlite3

from sandbox.bodies import Complete
from sandbox.calls import Call, Reply
from sandbox.clients import wallets_of
from sandbox.clock import stamp
from sandbox.errors import RefusedError
from sandbox.named import me, wallet_of, window_is_open


def complete_client(call: Call) -> Reply:
    """Mark the client and all its wallets ejected, which cannot be undone."""
    call.body(Complete)
    client = me(call)
    if client["ejected_at"] is not None:
        return _repeated(call, "Client has already been ejected")
    _demand_windows(call, wallets_of(call.portal.store, client["id"]))
    sql = "UPDATE wallets SET completed_at = ? WHERE client_id = ? AND completed_at IS NULL"
    call.portal.store.run(sql, stamp(call.now), client["id"])
    _mark(call)
    return Reply(effect="completed")


def complete_wallet(call: Call) -> Reply:
    """Mark one wallet ejected, which cannot be undone; its first or last one marks the client.

    By Tatum's document the first sets the client's `ejectedAt`; with `complete_one_by_one` the last does.
    """
    client = me(call)
    wallet = wallet_of(call)
    if wallet["completed_at"] is not None:
        return _repeated(call, "Wallet has already been ejected")
    _demand_windows(call, [wallet])
    call.portal.store.run("UPDATE wallets SET completed_at = ? WHERE id = ?", stamp(call.now), wallet["id"])
    left = [each for each in wallets_of(call.portal.store, client["id"]) if each["completed_at"] is None]
    if client["ejected_at"] is not None or (left and call.portal.switch("complete_one_by_one")):
        return Reply(effect="wallet_completed")
    _mark(call)
    return Reply(effect="wallet_completed completed")


def _repeated(call: Call, reason: str) -> Reply:
    if call.portal.switch("repeat_completion_ok"):
        return Reply()
    raise RefusedError(reason)


def _demand_windows(call: Call, wallets: list[sqlite3.Row]) -> None:
    gated = call.portal.switch("gate_completion_by_window")
    if gated and not all(window_is_open(call, wallet) for wallet in wallets):
        raise RefusedError("Wallet is not ejectable")


def _mark(call: Call) -> None:
    call.portal.store.run("UPDATE clients SET ejected_at = ? WHERE id = ?", stamp(call.now), call.client_id)
