"""The works behind Portal's Enclave MPC API: generate and back up."""

import sqlite3

from pydantic import RootModel

from sandbox.bodies import BackupRequest, BadBodyError, MpcShare, parse
from sandbox.calls import Call, Reply
from sandbox.clients import make_share, make_wallet, wallets_of
from sandbox.errors import RefusedError
from sandbox.keys import CURVES
from sandbox.shares import BadShareError, read_client_share, rebuild


class _Shares(RootModel[dict[str, MpcShare]]):
    """The body that generate answered: a share for each curve."""


def generate(call: Call) -> Reply:
    """Make one wallet per curve, once per client. The body may be empty and is not looked at."""
    client_id = _client_id(call)
    if wallets_of(call.portal.store, client_id):
        raise RefusedError("Client already has wallets", error_id="STATE_INVALID")
    made = {
        name: make_wallet(call.portal.store, client_id, curve, call.now)[1] for name, curve in CURVES.items()
    }
    return Reply(made, "wallets_made")


def back_up(call: Call) -> Reply:
    """Split every key anew for backup, given the client's current signing shares.

    Not idempotent: each call makes new pairs, which stay incomplete until they are confirmed.
    """
    try:
        shares = parse(_Shares, call.body(BackupRequest).generate_response).root
    except BadBodyError:
        raise RefusedError("Can't parse generateResponse") from None
    held = {wallet["curve"] for wallet in wallets_of(call.portal.store, _client_id(call))}
    if not held or held != set(shares):
        raise RefusedError("generateResponse must hold a share for each of the client's curves")
    wallets = {name: _wallet_of_share(call, name, share) for name, share in shares.items()}
    made = {
        name: make_share(call.portal.store, wallet, "backup", call.now) for name, wallet in wallets.items()
    }
    return Reply(made, "pair_made")


def _wallet_of_share(call: Call, curve_name: str, given: MpcShare) -> sqlite3.Row:
    """Find the wallet that a signing share belongs to, by joining it with the half kept here."""
    curve = CURVES[curve_name]
    try:
        point = read_client_share(curve, given.share)
    except BadShareError:
        raise RefusedError(
            f"The {curve_name} share does not parse", error_id="SHARE_PARSING_FAILED"
        ) from None
    sql = (
        "SELECT wallets.*, pairs.custodian_share FROM pairs JOIN wallets ON wallets.id = pairs.wallet_id"
        " WHERE pairs.id = ? AND pairs.client_id = ? AND pairs.kind = 'signing' AND wallets.curve = ?"
    )
    wallet = call.portal.store.one(sql, given.id, call.client_id, curve_name)
    try:
        secret = None if wallet is None else rebuild(curve, point, wallet["custodian_share"])
    except ValueError:  # both halves claim the same x
        secret = None
    if wallet is None or secret != int(wallet["secret"]):
        raise RefusedError(f"The {curve_name} share is not this client's signing share")
    return wallet


def _client_id(call: Call) -> str:
    if call.client_id is None:
        raise RefusedError("Unauthorized", 401)
    return call.client_id
