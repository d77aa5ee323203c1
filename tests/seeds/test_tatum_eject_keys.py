"""Eject keys, as Tatum tells it: enable, both fetches, complete, and the guarantees."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from contracts.providers import Provider
from tests.sandbox.curves import rebuild
from tests.seeds.described import Field
from tests.seeds.service import API, Service, User
from tests.seeds.wire import CLIENTS_TOKEN, CUSTODIANS_KEY, Do, sent

CLIENT = "/v4/wallets/clients/{clientId}"
METHODS = ("PASSKEY", "PASSWORD", "GDRIVE", "ICLOUD")


def enable(service: Service, user: User, curve: str = "SECP256K1", **body: Any) -> httpx.Response:
    """The custodian enables eject at the gateway, for 7 days unless another time is given."""
    until = service.sandbox.now() + timedelta(days=7)
    sent = {"walletId": user.wallets[curve], "ejectableUntil": until.isoformat()} | body
    return service.gateway("PATCH", f"/clients/{user.id}/enable-eject", json=sent)


def fetch_as_custodian(service: Service, user: User, curve: str = "SECP256K1") -> httpx.Response:
    """The custodian fetches on behalf of the client."""
    return service.gateway("GET", f"/clients/{user.id}/wallets/{user.wallets[curve]}/ejectable-backup-shares")


def fetch_as_client(service: Service, user: User, method: str, curve: str = "SECP256K1") -> httpx.Response:
    """The client fetches its own shares, from Portal directly."""
    path = f"/clients/me/wallets/{user.wallets[curve]}/ejectable-backup-shares"
    return service.portal("GET", path, user.api_key, params={"backupMethod": method})


def complete(service: Service, user: User, curve: str = "SECP256K1") -> httpx.Response:
    """The client completes one wallet."""
    return service.portal("PATCH", f"/clients/me/wallets/{user.wallets[curve]}/complete-eject", user.api_key)


def test_description_is_the_documented_one(service: Service) -> None:
    """The custodian's calls are at the gateway with Tatum's header, the client's at Portal with a bearer."""
    described = service.described()
    key = {"type": "apiKey", "in": "header", "name": "x-api-key"}
    opened = described.operation("patch", f"{CLIENT}/enable-eject")
    assert described.security(opened) == key
    assert described.parameters(opened, "path") == {Field("clientId", required=True)}
    names = {field.name: field.required for field in described.fields(described.body(opened))}
    assert names == {"walletId": True, "ejectableUntil": False}
    assert described.fields(described.body(opened, "200")) == {Field("ejectableUntil", required=True)}
    fetched = described.operation("get", f"{CLIENT}/wallets/{{walletId}}/ejectable-backup-shares")
    assert described.security(fetched) == key
    shares = {field.name for field in described.fields(described.body(fetched, "200"))}
    assert shares == {"custodianBackupShare", "encryptedClientBackupShare"}
    error = {
        Field("statusCode", "integer", required=True),
        Field("errorCode", required=True),
        Field("message", required=True),
    }
    for call in (opened, fetched):
        for status in ("400", "401", "403", "404", "422"):
            assert described.fields(described.body(call, status)) == error
    own = described.operation("get", f"{API}/clients/me/wallets/{{walletId}}/ejectable-backup-shares")
    (query,) = (each for each in own["parameters"] if each["in"] == "query")
    assert (query["name"], set(query["schema"]["enum"])) == ("backupMethod", set(METHODS))
    completed = described.operation("patch", f"{API}/clients/me/wallets/{{walletId}}/complete-eject")
    assert "requestBody" not in completed
    for call in (own, completed):
        assert described.security(call) == {"type": "http", "scheme": "bearer"}
        assert described.parameters(call, "path") == {Field("walletId", required=True)}


def test_enable_answers_the_window(service: Service) -> None:
    """Seven days are taken, answered as an ISO time, and shown for that wallet."""
    user = service.new_user()
    until = service.sandbox.now() + timedelta(days=7)
    reply = enable(service, user, ejectableUntil=until.isoformat())
    assert reply.status_code == 200
    assert abs(datetime.fromisoformat(reply.json()["ejectableUntil"]) - until) < timedelta(milliseconds=1)
    shown = {wallet["curve"]: wallet["ejectableUntil"] for wallet in service.read(user.id)["wallets"]}
    assert shown == {"SECP256K1": reply.json()["ejectableUntil"], "ED25519": None}


def test_custodian_enables_explicitly(service: Service) -> None:
    """Before the custodian enables it, the client gets nothing; neither can the client enable it."""
    user = service.new_user()
    assert fetch_as_client(service, user, "PASSKEY").status_code == 400
    for key in (user.api_key, user.session):
        path = f"/clients/{user.id}/enable-eject"
        body = {"walletId": user.wallets["SECP256K1"]}
        assert service.gateway("PATCH", path, key, json=body).status_code == 401
    assert enable(service, user).status_code == 200
    assert fetch_as_client(service, user, "PASSKEY").status_code == 200


def test_custodian_fetches_on_behalf_of_the_client(service: Service) -> None:
    """The custodian's share comes plain; the client's encrypted one only if it was stored with Portal."""
    for stored in (True, False):
        user = service.new_user(stored=stored)
        enable(service, user)
        shares = fetch_as_custodian(service, user).json()
        assert json.loads(shares["custodianBackupShare"])["share"].isdigit()
        assert (shares["encryptedClientBackupShare"] is not None) == stored


@pytest.mark.parametrize("method", METHODS)
def test_client_fetches_its_own(service: Service, method: str) -> None:
    """Each of the four backup methods is taken, and both shares come."""
    user = service.new_user()
    enable(service, user)
    shares = fetch_as_client(service, user, method).json()
    assert set(shares) == {"custodianBackupShare", "encryptedClientBackupShare"}
    assert json.loads(shares["custodianBackupShare"])["backupSharePairId"] == user.shares["SECP256K1"]["id"]


def test_complete_sets_ejected_at_on_the_client(service: Service) -> None:
    """One wallet's completion, whichever it is, sets the client's `ejectedAt`."""
    for curve in ("SECP256K1", "ED25519"):
        user = service.new_user()
        assert service.read(user.id)["ejectedAt"] is None
        assert complete(service, user, curve).is_success
        assert service.read(user.id)["ejectedAt"] is not None


def test_complete_is_irreversible(service: Service) -> None:
    """Neither a repeat nor a new window takes `ejectedAt` away or moves it."""
    user = service.new_user()
    complete(service, user)
    marked = service.read(user.id)["ejectedAt"]
    for ok in (False, True):
        service.sandbox.switch(repeat_completion_ok=ok)
        assert complete(service, user).is_success is ok
        enable(service, user)
        assert service.read(user.id)["ejectedAt"] == marked


def test_no_signing_after_eject(service: Service) -> None:
    """Where it is as Tatum says, the MPC key signs until the eject and no more after it."""
    service.sandbox.switch(signing_ends_with_eject=True)
    user = service.new_user()
    path = f"/_sandbox/clients/{user.id}/sign"
    body = {"curve": "SECP256K1", "message_hex": "00"}
    assert service.http.post(path, json=body).is_success
    complete(service, user)
    assert service.http.post(path, json=body).status_code == 409


def test_nothing_is_released_after_the_window(service: Service) -> None:
    """Where it is as Tatum says, both fetches work inside the window and neither works after it."""
    service.sandbox.switch(gate_fetch_by_window=True)
    user = service.new_user()
    assert fetch_as_custodian(service, user).status_code == 400
    enable(service, user)
    assert fetch_as_custodian(service, user).status_code == 200
    service.sandbox.advance(timedelta(days=7, seconds=1))
    assert fetch_as_custodian(service, user).status_code == 400
    assert fetch_as_client(service, user, "PASSWORD").status_code == 400


def test_both_shares_make_the_key(service: Service) -> None:
    """The client's backup share and the custodian's rebuild one key, and shares of two backups do not."""
    user, other = service.new_user(), service.new_user()
    keys = set()
    for half in (fetch_as_custodian(service, user), fetch_as_custodian(service, user)):
        share = user.shares["SECP256K1"]["share"]
        keys.add(rebuild("SECP256K1", share, half.json()["custodianBackupShare"]))
    assert len(keys) == 1
    foreign = fetch_as_custodian(service, other).json()["custodianBackupShare"]
    assert rebuild("SECP256K1", user.shares["SECP256K1"]["share"], foreign) not in keys


def test_without_a_backup_there_is_nothing_to_fetch(service: Service) -> None:
    """A wallet that was never backed up can be enabled, and then neither fetch has shares for it."""
    user = service.new_user(backed_up=False)
    assert enable(service, user).status_code == 200
    assert fetch_as_custodian(service, user).status_code == 400
    assert fetch_as_client(service, user, "PASSKEY").status_code == 400


@pytest.mark.parametrize(
    ("switch", "status"), [("gateway_credits_used_up", 403), ("gateway_permission_missing", 403)]
)
def test_gateway_refuses_in_its_own_form(service: Service, switch: str, status: int) -> None:
    """Used-up credits and missing permission are 403, with three fields; the client's calls go on."""
    user = service.new_user()
    enable(service, user)
    service.sandbox.switch(**{switch: True})
    for reply in (enable(service, user), fetch_as_custodian(service, user)):
        assert reply.status_code == reply.json()["statusCode"] == status
        assert set(reply.json()) == {"statusCode", "errorCode", "message"}
    assert fetch_as_client(service, user, "PASSKEY").status_code == 200
    assert complete(service, user).is_success


SHARES = {"custodianBackupShare": "{}"}
UNTIL = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("do", "reply", "method", "place", "body"),
    [
        (
            lambda custodian, _: custodian.enable_eject("cli_1", "wallet-id", UNTIL),
            {"ejectableUntil": UNTIL.isoformat()},
            "PATCH",
            "/enable-eject",
            {"walletId": "wallet-id", "ejectableUntil": "2026-03-04T05:06:07Z"},
        ),
        (
            lambda custodian, _: custodian.fetch_shares("cli_1", "wallet-id"),
            SHARES,
            "GET",
            "/wallets/wallet-id/ejectable-backup-shares",
            None,
        ),
    ],
    ids=["enable", "fetch"],
)
async def test_our_custodian_calls_go_to_the_gateway(
    do: Do, reply: Any, method: str, place: str, body: Any
) -> None:
    """With Tatum's header and no bearer."""
    request = await sent(do, reply, Provider.TATUM)
    at = f"https://api.tatum.io/v4/wallets/clients/cli_1{place}"
    assert (request.method, str(request.url)) == (method, at)
    assert request.headers["x-api-key"] == CUSTODIANS_KEY
    assert "Authorization" not in request.headers
    assert json.loads(request.content or b"null") == body


@pytest.mark.parametrize(
    ("do", "reply", "method", "place"),
    [
        (
            lambda _, client: client.fetch_shares("wallet-id", "PASSKEY"),
            SHARES,
            "GET",
            "/ejectable-backup-shares?backupMethod=PASSKEY",
        ),
        (lambda _, client: client.complete_wallet("wallet-id"), None, "PATCH", "/complete-eject"),
    ],
    ids=["fetch", "complete"],
)
async def test_our_client_calls_go_to_portal(do: Do, reply: Any, method: str, place: str) -> None:
    """With the client's bearer, and never Tatum's key."""
    request = await sent(do, reply, Provider.TATUM)
    at = f"https://api.portalhq.io/api/v3/clients/me/wallets/wallet-id{place}"
    assert (request.method, str(request.url)) == (method, at)
    assert request.headers["Authorization"] == f"Bearer {CLIENTS_TOKEN}"
    assert "x-api-key" not in request.headers
    assert request.content == b""
