"""The control calls about one client: seed, change, sign."""

import json
import sqlite3
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.bodies import Moment
from sandbox.clients import find_client, find_wallet, make_client, make_wallet, wallets_of
from sandbox.clock import stamp
from sandbox.control_common import ControlError, Strict, body_of, portal_of
from sandbox.credentials import rolled_client_key
from sandbox.keys import CURVES
from sandbox.portal import Portal
from sandbox.showing import show_client

router = APIRouter(prefix="/_sandbox", tags=["sandbox"])
CurveName = Literal["SECP256K1", "ED25519"]


class Seed(Strict):
    """The client that is made; no curves means that it has not generated."""

    curves: frozenset[CurveName] = frozenset(("SECP256K1", "ED25519"))
    is_account_abstracted: bool = False


class WalletChange(Strict):
    """What is changed about one wallet; fields that are absent stay as they are."""

    public_key: Literal["lower", "upper", "null"] = "lower"
    next_fetch: (
        Literal["other_pair", "garbage", "oversized", "no_cipher_text", "other_cipher_text"] | None
    ) = None
    ejectable_until: Moment | None = None
    fetch_pair: str | None = None
    """The completed pair that fetches answer; `null`: the newest again."""


class ClientChange(Strict):
    """What is changed about a client; fields that are absent stay as they are."""

    backup_with_portal_enabled: bool | None = True
    """`null`: the environment does not say."""
    is_multi_backup_enabled: bool | None = True
    is_account_abstracted: bool = False
    signing: bool = True
    ejected_at: Moment | None = None
    remove_wallet: str | None = None
    add_wallet: CurveName | None = None
    wallets: dict[str, WalletChange] = Field(default_factory=dict)


class ToSign(Strict):
    """A message for MPC signing."""

    curve: CurveName
    message_hex: Annotated[str, Field(pattern=r"^([0-9a-fA-F]{2})*$")]


@router.post("/seed")
async def seed(request: Request) -> Response:
    """Make a client that has generated, without a line in the journal."""
    wanted = await body_of(request, Seed)
    portal = portal_of(request)
    now = portal.clock.now()
    with portal.store.transaction():
        made = make_client(portal.store, now, is_account_abstracted=wanted.is_account_abstracted)
        shares = {
            name: make_wallet(portal.store, made.id, curve, now)[1]
            for name, curve in CURVES.items()
            if name in wanted.curves
        }
    reply = {
        "client_id": made.id,
        "client_api_key": made.client_api_key,
        "generate_response": json.dumps(shares, separators=(",", ":")),
    }
    return JSONResponse(reply)


@router.post("/clients/{client_id}")
async def change_client(request: Request) -> Response:
    """Change a client: all that is named, or nothing."""
    change = await body_of(request, ClientChange)
    portal, client_id = portal_of(request), request.path_params["client_id"]
    with portal.store.transaction():
        _client(portal, client_id)
        added = _apply(portal, client_id, change)
        shown = show_client(portal.store, _client(portal, client_id))
    return JSONResponse({"client": shown.model_dump(exclude_unset=True), "added_wallet": added})


@router.post("/clients/{client_id}/roll")
async def roll_client_key(request: Request) -> Response:
    """Roll a client's own API key: answer a new one, and take the one before no more."""
    portal, client_id = portal_of(request), request.path_params["client_id"]
    with portal.store.transaction():
        _client(portal, client_id)
        key = rolled_client_key(portal.store, client_id, portal.clock.now())
    return JSONResponse({"client_api_key": key})


@router.post("/clients/{client_id}/sign")
async def sign(request: Request) -> Response:
    """Sign with a client's key as Portal's MPC would, until signing is switched off."""
    wanted = await body_of(request, ToSign)
    portal, client_id = portal_of(request), request.path_params["client_id"]
    client = _client(portal, client_id)
    wallets = [wallet for wallet in wallets_of(portal.store, client_id) if wallet["curve"] == wanted.curve]
    if not client["signing"]:
        raise ControlError("signing is switched off for this client", 409)
    if client["ejected_at"] is not None and portal.switch("signing_ends_with_eject"):
        raise ControlError("the client has been ejected", 409)
    if not wallets:
        raise ControlError("the client has no wallet of this curve", 409)
    signature = CURVES[wanted.curve].sign(int(wallets[0]["secret"]), bytes.fromhex(wanted.message_hex))
    return JSONResponse({"signature_hex": signature.hex()})


def _client(portal: Portal, client_id: str) -> sqlite3.Row:
    client = find_client(portal.store, client_id)
    if client is None:
        raise ControlError("unknown client", 404)
    return client


def _apply(portal: Portal, client_id: str, change: ClientChange) -> dict[str, Any] | None:
    named = change.model_fields_set
    columns = {
        "backup_with_portal_enabled",
        "is_multi_backup_enabled",
        "is_account_abstracted",
        "signing",
    } & named
    values: dict[str, object] = {name: getattr(change, name) for name in columns}
    if "ejected_at" in named:
        values["ejected_at"] = change.ejected_at and stamp(change.ejected_at)
    _update(portal, "clients", client_id, values)
    for wallet_id, wallet_change in change.wallets.items():
        _require_wallet(portal, client_id, wallet_id)
        _update(portal, "wallets", wallet_id, _wallet_values(wallet_change))
    if change.remove_wallet is not None:
        _require_wallet(portal, client_id, change.remove_wallet)
        portal.store.run("DELETE FROM pairs WHERE wallet_id = ?", change.remove_wallet)
        portal.store.run("DELETE FROM wallets WHERE id = ?", change.remove_wallet)
    if change.add_wallet is None:
        return None
    wallet_id, share = make_wallet(portal.store, client_id, CURVES[change.add_wallet], portal.clock.now())
    return {"wallet_id": wallet_id, "curve": change.add_wallet, **share}


def _wallet_values(change: WalletChange) -> dict[str, object]:
    values: dict[str, object] = {}
    if "public_key" in change.model_fields_set:
        values["key_shown"] = change.public_key
    for name in {"next_fetch", "fetch_pair"} & change.model_fields_set:
        values[name] = getattr(change, name)
    if "ejectable_until" in change.model_fields_set:
        values["ejectable_until"] = change.ejectable_until and stamp(change.ejectable_until)
    return values


def _update(portal: Portal, table: str, row_id: str, values: dict[str, object]) -> None:
    for column, value in values.items():  # tables and columns are this module's own words
        portal.store.run(f"UPDATE {table} SET {column} = ? WHERE id = ?", value, row_id)  # noqa: S608


def _require_wallet(portal: Portal, client_id: str, wallet_id: str) -> None:
    if find_wallet(portal.store, client_id, wallet_id) is None:
        raise ControlError("the client has no such wallet", 404)
