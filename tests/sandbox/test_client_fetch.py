"""Fetch shares as client: inside the window, once, by method."""

import json

import pytest

from tests.sandbox.curves import rebuild
from tests.sandbox.harness import CLIENTS, ME, Box, backed_up


async def test_a_success_closes_the_window(box: Box) -> None:
    """The shares come once: the success clears `ejectableUntil`, and the next read is a 400."""
    owner, wallet, share = await backed_up(box)
    await box.enable(owner, wallet)
    first = await box.fetch_as_client(owner, wallet)
    assert first.status_code == 200
    assert set(first.json()) == {"encryptedClientBackupShare", "custodianBackupShare"}
    assert first.json()["encryptedClientBackupShare"] == "sealed"
    half = first.json()["custodianBackupShare"]
    assert json.loads(half)["backupSharePairId"] == share["id"]
    assert rebuild("SECP256K1", share["share"], half)
    assert (await box.wallet(owner))["ejectableUntil"] is None
    second = await box.fetch_as_client(owner, wallet)
    assert (second.status_code, list(second.json())) == (400, ["error"])
    assert await box.effects(call="fetch_shares_as_client") == ["shares_released_to_client", None]
    await box.enable(owner, wallet)
    assert (await box.fetch_as_client(owner, wallet)).json() == first.json()


async def test_the_custodians_fetch_leaves_the_window_open(box: Box) -> None:
    """Only the client's read is single use."""
    owner, wallet, _share = await backed_up(box)
    await box.enable(owner, wallet)
    before = (await box.wallet(owner))["ejectableUntil"]
    assert (await box.fetch(owner, wallet)).status_code == 200
    assert (await box.wallet(owner))["ejectableUntil"] == before


async def test_refused_outside_the_window(box: Box) -> None:
    """Without a window, after its end, and for another client's wallet it is a 400 with `{error}`."""
    owner, wallet, _share = await backed_up(box)
    other = (await box.wallet(await box.seed()))["id"]
    refused = [await box.fetch_as_client(owner, wallet), await box.fetch_as_client(owner, other)]
    await box.enable(owner, wallet)
    await box.control("clock", {"advance_seconds": 301})
    refused.append(await box.fetch_as_client(owner, wallet))
    assert [(reply.status_code, list(reply.json())) for reply in refused] == [(400, ["error"])] * 3
    assert await box.effects(effect="shares_released_to_client") == []


async def test_refusals_leave_the_window_open(box: Box) -> None:
    """A wrong method, self-managed backups or no completed pair is a 400 that does not use the window up."""
    owner, wallet, _share = await backed_up(box)
    unbacked = (await box.wallet(owner, "ED25519"))["id"]
    await box.enable(owner, wallet)
    await box.enable(owner, unbacked)
    statuses = [
        (await box.fetch_as_client(owner, wallet, method)).status_code
        for method in (None, "", "password", "FIREBASE", "UNKNOWN")
    ]
    statuses.append((await box.fetch_as_client(owner, unbacked)).status_code)
    await box.control(f"clients/{owner.client_id}", {"backup_with_portal_enabled": False})
    statuses.append((await box.fetch_as_client(owner, wallet)).status_code)
    assert statuses == [400] * 7
    await box.control(f"clients/{owner.client_id}", {"backup_with_portal_enabled": True})
    for method in ("GDRIVE", "ICLOUD", "PASSWORD", "PASSKEY"):
        assert (await box.fetch_as_client(owner, wallet, method)).status_code == 200
        await box.enable(owner, wallet)


async def test_only_the_client_may(box: Box) -> None:
    """The custodian's keys are a 401 here, and so is no credential."""
    owner, wallet, _share = await backed_up(box)
    await box.enable(owner, wallet)
    path = f"{ME}/wallets/{wallet}/ejectable-backup-shares?backupMethod=PASSWORD"
    for headers in (
        {},
        {"Authorization": f"Bearer {box.custodian_key}"},
        {"x-api-key": box.gateway_key},
    ):
        reply = await box.http.get(path, headers=headers)
        assert (reply.status_code, list(reply.json())) == (401, ["error"])
    minted = await box.custodian("POST", f"{CLIENTS}/{owner.client_id}/sessions", json={})
    token = minted.json()["clientSessionToken"]
    assert (await box.call("GET", path, token)).status_code == 200


@pytest.mark.parametrize("wrapped", [False, True])
async def test_body_is_flat_or_wrapped(box: Box, wrapped: bool) -> None:
    """A switch puts the client's answer under `data`; the custodian's stays flat."""
    owner, wallet, _share = await backed_up(box)
    await box.control("switches", {"wrap_client_fetch": wrapped})
    flat = (await box.fetch(owner, wallet)).json()
    await box.enable(owner, wallet)
    assert (await box.fetch_as_client(owner, wallet)).json() == ({"data": flat} if wrapped else flat)
