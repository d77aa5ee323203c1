"""Tatum's gateway: the custodian's calls again, with its own key and its own errors, over one state."""

from typing import Any

import httpx
import pytest

from tests.sandbox.harness import CLIENTS, GATEWAY, ME, Box

CALLS = [
    ("POST", ""),
    ("GET", ""),
    ("GET", "/{client}"),
    ("POST", "/{client}/sessions"),
    ("PATCH", "/{client}/enable-eject"),
    ("GET", "/{client}/wallets/{wallet}/ejectable-backup-shares"),
]


def refused(reply: httpx.Response) -> tuple[int, str]:
    """Check Tatum's form of a refusal, and answer its status and code."""
    body = reply.json()
    assert set(body) == {"statusCode", "errorCode", "message"}
    assert body["statusCode"] == reply.status_code
    return reply.status_code, body["errorCode"]


async def test_both_surfaces_show_one_client(box: Box) -> None:
    """A client made, opened and read at the gateway is Portal's client, and the other way round."""
    made = (await box.gateway("POST", GATEWAY, json={})).json()
    assert set(made) == {"id", "clientApiKey", "clientSessionToken", "isAccountAbstracted"}
    assert (await box.call("GET", ME, made["clientApiKey"])).json() == await box.read(made["id"])
    owner = await box.seed()
    wallet = (await box.wallet(owner))["id"]
    body = {"walletId": wallet}
    opened = await box.gateway("PATCH", f"{GATEWAY}/{owner.client_id}/enable-eject", json=body)
    assert (await box.wallet(owner))["ejectableUntil"] == opened.json()["ejectableUntil"]
    assert (await box.gateway("GET", f"{GATEWAY}/{owner.client_id}")).json() == await box.read(
        owner.client_id
    )
    listed = (await box.gateway("GET", GATEWAY)).json()
    assert listed == (await box.custodian("GET", CLIENTS)).json()
    assert [client["id"] for client in listed["results"]] == [made["id"], owner.client_id]


async def test_gateway_fetches_the_same_shares_and_mints_sessions(box: Box) -> None:
    """The gateway's fetch answers what Portal's does, and its session token acts as the client."""
    owner = await box.seed()
    share = (await box.back_up(owner))["SECP256K1"]
    await box.confirm(owner, share["id"])
    wallet = (await box.wallet(owner))["id"]
    path = f"{GATEWAY}/{owner.client_id}/wallets/{wallet}/ejectable-backup-shares"
    assert (await box.gateway("GET", path)).json() == (await box.fetch(owner, wallet)).json()
    minted = (await box.gateway("POST", f"{GATEWAY}/{owner.client_id}/sessions", json={})).json()
    assert (await box.call("GET", ME, minted["clientSessionToken"])).json()["id"] == owner.client_id


@pytest.mark.parametrize(("method", "path"), CALLS)
async def test_keys_do_not_cross(box: Box, method: str, path: str) -> None:
    """Each surface takes its own key in its own header only; the gateway does not look at `Authorization`."""
    owner = await box.seed()
    filled = path.format(client=owner.client_id, wallet=(await box.wallet(owner))["id"])
    bearer = {"Authorization": f"Bearer {box.custodian_key}"}
    wrong_here: list[tuple[dict[str, str], str]] = [
        ({}, "ip-address-key.unauthorized"),
        (bearer, "ip-address-key.unauthorized"),
        ({"Authorization": f"Bearer {box.gateway_key}"}, "ip-address-key.unauthorized"),
        ({"x-api-key": box.custodian_key}, "subscription.invalid"),
        ({"x-api-key": owner.client_api_key} | bearer, "subscription.invalid"),
    ]
    for headers, code in wrong_here:
        reply = await box.http.request(method, GATEWAY + filled, headers=headers)
        assert refused(reply) == (401, code)
    wrong_there = ({"x-api-key": box.gateway_key}, {"Authorization": f"Bearer {box.gateway_key}"})
    for headers in wrong_there:
        reply = await box.http.request(method, CLIENTS + filled, headers=headers)
        assert (reply.status_code, reply.json()) == (401, {"error": "Unauthorized"})
    lines = (await box.control("journal"))["entries"]
    assert {line["effect"] for line in lines if line["status"] == 401} == {None}


async def test_a_wrong_key_is_quoted_as_tatum_does(box: Box) -> None:
    """Tatum's documented 401 message holds the key that was sent: callers must never log it."""
    reply = await box.http.get(GATEWAY, headers={"x-api-key": "the-key-that-was-sent"})
    assert "the-key-that-was-sent" in reply.json()["message"]


async def test_the_two_403s_differ_in_their_text(box: Box) -> None:
    """Used-up credits say so, in JSON or as the bare text that is published; missing permission does not."""
    owner = await box.seed()
    path = f"{GATEWAY}/{owner.client_id}"
    await box.control("switches", {"gateway_permission_missing": True})
    missing = await box.gateway("GET", path)
    assert refused(missing) == (403, "permission.missing")
    assert "credits" not in missing.text
    await box.control("switches", {"gateway_permission_missing": False, "gateway_credits_used_up": True})
    used_up = await box.gateway("GET", path)
    assert refused(used_up) == (403, "credits.limit.reached")
    assert "reached the limit" in used_up.json()["message"] and "credits" in used_up.text
    await box.control("switches", {"gateway_credits_as_text": True})
    prose = await box.gateway("GET", path)
    assert (prose.status_code, prose.headers["content-type"]) == (403, "text/plain; charset=utf-8")
    assert prose.text.startswith("{") and "credits" in prose.text
    assert (await box.custodian("GET", f"{CLIENTS}/{owner.client_id}")).status_code == 200
    await box.control("switches", {"gateway_credits_as_text": False, "gateway_credits_used_up": False})
    assert (await box.gateway("GET", path)).status_code == 200


async def test_refusals_have_tatums_form(box: Box) -> None:
    """Unknown things are 404, wrong forms 422, what Portal refuses 400, each with Tatum's fields."""
    owner = await box.seed()
    enable = f"{GATEWAY}/{owner.client_id}/enable-eject"
    wallet = (await box.wallet(owner))["id"]
    past = {"walletId": wallet, "ejectableUntil": "2020-01-01T00:00:00Z"}
    bodies: list[tuple[str, str, Any, int]] = [
        ("GET", f"{GATEWAY}/nobody", None, 404),
        ("POST", f"{GATEWAY}/nobody/sessions", {}, 404),
        ("GET", "/v4/wallets/elsewhere", None, 404),
        ("PATCH", enable, {}, 422),
        ("PATCH", enable, {"walletId": 1}, 422),
        ("GET", f"{GATEWAY}?take=101", None, 422),
        ("PATCH", enable, past, 400),
        ("PATCH", enable, {"walletId": "unknown"}, 400),
    ]
    for method, path, body, status in bodies:
        assert refused(await box.gateway(method, path, json=body))[0] == status
    assert (await box.wallet(owner))["ejectableUntil"] is None


async def test_faults_meet_both_surfaces_and_the_journal_tells_them_apart(box: Box) -> None:
    """A fault planned for a call meets it at either surface; `via` says where each line came in."""
    owner = await box.seed()
    body = {"walletId": (await box.wallet(owner))["id"]}
    await box.control("faults", {"call": "enable_eject", "kind": "status", "status": 503, "times": 2})
    path = f"/{owner.client_id}/enable-eject"
    statuses = [
        (await call("PATCH", base + path, json=body)).status_code
        for call, base in ((box.gateway, GATEWAY), (box.custodian, CLIENTS)) * 2
    ]
    assert statuses == [503, 503, 200, 200]
    lines = (await box.http.get("/_sandbox/journal", params={"call": "enable_eject"})).json()["entries"]
    assert [line["via"] for line in lines] == ["gateway", "portal"] * 2
    assert await box.effects(via="gateway") == [None, "window_set"]
    assert [line["client_id"] for line in lines] == [owner.client_id] * 4
