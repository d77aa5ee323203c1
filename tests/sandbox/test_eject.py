"""Enable, fetch, complete."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.sandbox.curves import rebuild
from tests.sandbox.harness import CLIENTS, ME, Box, Owner, backed_up


async def enable(box: Box, owner: Owner, **body: Any) -> httpx.Response:
    """Call enable eject."""
    return await box.custodian("PATCH", f"{CLIENTS}/{owner.client_id}/enable-eject", json=body)


async def sandbox_time(box: Box) -> datetime:
    """Answer the sandbox's time."""
    return datetime.fromisoformat((await box.control("clock"))["now"])


async def test_window_is_what_was_asked_for(box: Box) -> None:
    """Enable answers the deadline, read client shows it for that wallet only, and a repeat moves it."""
    owner = await box.seed()
    wallet = await box.wallet(owner)
    now = await sandbox_time(box)
    for ahead in (timedelta(days=7), timedelta(seconds=90)):
        until = (now + ahead).astimezone(UTC).isoformat()
        reply = await enable(box, owner, walletId=wallet["id"], ejectableUntil=until)
        assert reply.status_code == 200
        assert datetime.fromisoformat(reply.json()["ejectableUntil"]) == now + ahead
        assert (await box.wallet(owner))["ejectableUntil"] == reply.json()["ejectableUntil"]
    assert (await box.wallet(owner, "ED25519"))["ejectableUntil"] is None


async def test_window_floor_is_one_minute_of_the_sandboxs_clock(box: Box) -> None:
    """Less than a minute ahead of the moved clock is a 400 that sets nothing; a little more is taken."""
    owner = await box.seed()
    wallet = await box.wallet(owner)
    await box.control("clock", {"advance_seconds": 1_000_000})
    now = await sandbox_time(box)
    for seconds in (-3600, 0, 59.9):
        until = (now + timedelta(seconds=seconds)).isoformat()
        reply = await enable(box, owner, walletId=wallet["id"], ejectableUntil=until)
        assert (reply.status_code, list(reply.json())) == (400, ["error"])
    assert (await box.wallet(owner))["ejectableUntil"] is None
    until = (now + timedelta(seconds=75)).isoformat()
    assert (await enable(box, owner, walletId=wallet["id"], ejectableUntil=until)).status_code == 200


async def test_window_without_a_time_is_five_minutes_and_stays_shown(box: Box) -> None:
    """An omitted time means five minutes, and the deadline is still shown when it has passed."""
    owner = await box.seed()
    wallet = await box.wallet(owner)
    before = await sandbox_time(box)
    until = (await enable(box, owner, walletId=wallet["id"])).json()["ejectableUntil"]
    ahead = datetime.fromisoformat(until) - before
    assert timedelta(minutes=5) <= ahead < timedelta(minutes=5, seconds=30)
    await box.control("clock", {"advance_seconds": 3600})
    assert (await box.wallet(owner))["ejectableUntil"] == until


async def test_enable_refuses_what_it_cannot_read(box: Box) -> None:
    """A missing, unknown or foreign wallet, or a time without offset, is a 400 with `{error}`."""
    owner, stranger = await box.seed(), await box.seed()
    own, other = (await box.wallet(owner))["id"], (await box.wallet(stranger))["id"]
    bodies: list[dict[str, Any]] = [{}, {"walletId": "unknown"}, {"walletId": other}]
    times = ("tomorrow", "2999-01-01T00:00:00", 32503680000, "9999-12-31T23:59:59-23:00")
    bodies += [{"walletId": own, "ejectableUntil": time} for time in times]
    for body in bodies:
        reply = await enable(box, owner, **body)
        assert (reply.status_code, list(reply.json())) == (400, ["error"])
    assert await box.effects(effect="window_set") == []


async def test_fetch_answers_the_newest_completed_pair(box: Box) -> None:
    """The custodian gets cipher text and half of the newest completed pair, not of a newer incomplete one."""
    owner, wallet_id, share = await backed_up(box)
    await box.back_up(owner)
    shares = (await box.fetch(owner, wallet_id)).json()
    assert set(shares) == {"encryptedClientBackupShare", "custodianBackupShare"}
    assert shares["encryptedClientBackupShare"] == "sealed"
    assert json.loads(shares["custodianBackupShare"])["backupSharePairId"] == share["id"]
    newer = (await box.back_up(owner))["SECP256K1"]["id"]
    await box.confirm(owner, newer)
    shares = (await box.fetch(owner, wallet_id)).json()
    assert shares["encryptedClientBackupShare"] is None
    assert json.loads(shares["custodianBackupShare"])["backupSharePairId"] == newer


async def test_fetch_refuses_without_a_completed_pair(box: Box) -> None:
    """No completed pair, an unknown wallet or client, or self-managed backups are a 400 with `{error}`."""
    owner, wallet_id, _share = await backed_up(box)
    other = (await box.wallet(owner, "ED25519"))["id"]
    nobody = Owner("nobody", "", "")
    refused = [
        await box.fetch(owner, other),
        await box.fetch(owner, "unknown"),
        await box.fetch(nobody, wallet_id),
    ]
    await box.control(f"clients/{owner.client_id}", {"backup_with_portal_enabled": False})
    refused.append(await box.fetch(owner, wallet_id))
    assert [(reply.status_code, list(reply.json())) for reply in refused] == [(400, ["error"])] * 4
    assert await box.effects(effect="shares_released") == []


async def test_fetch_is_gated_by_the_window_only_when_told(box: Box) -> None:
    """Portal documents no gate; with the switch on, shares come inside the open window only."""
    owner, wallet_id, _share = await backed_up(box)
    assert (await box.fetch(owner, wallet_id)).status_code == 200
    await box.control("switches", {"gate_fetch_by_window": True})
    assert (await box.fetch(owner, wallet_id)).status_code == 400
    await enable(box, owner, walletId=wallet_id)
    assert (await box.fetch(owner, wallet_id)).status_code == 200
    await box.control("clock", {"advance_seconds": 301})
    assert (await box.fetch(owner, wallet_id)).status_code == 400


async def test_fetch_can_be_told_to_answer_wrongly_once(box: Box) -> None:
    """Another pair's half, garbage, and missing or other cipher text come once each, then the truth again."""
    owner, wallet_id, share = await backed_up(box)
    truth = (await box.fetch(owner, wallet_id)).json()
    key = rebuild("SECP256K1", share["share"], truth["custodianBackupShare"])
    wrong = {}
    for kind in ("other_pair", "garbage", "no_cipher_text", "other_cipher_text"):
        await box.control(f"clients/{owner.client_id}", {"wallets": {wallet_id: {"next_fetch": kind}}})
        wrong[kind] = (await box.fetch(owner, wallet_id)).json()
        assert (await box.fetch(owner, wallet_id)).json() == truth
    other = wrong["other_pair"]["custodianBackupShare"]
    assert json.loads(other)["backupSharePairId"] != share["id"]
    assert rebuild("SECP256K1", share["share"], other) != key
    with pytest.raises(json.JSONDecodeError):
        json.loads(wrong["garbage"]["custodianBackupShare"])
    assert wrong["no_cipher_text"]["encryptedClientBackupShare"] is None
    assert wrong["other_cipher_text"]["encryptedClientBackupShare"] not in {None, "sealed"}


async def test_completion_marks_the_client_once(box: Box) -> None:
    """Complete answers 204 and sets `ejectedAt`; a second call is a 400 that leaves the first time."""
    owner = await box.seed()
    body = {"clientPlatform": "tests", "clientPlatformVersion": "1"}
    first = await box.call("POST", f"{ME}/eject", owner.client_api_key, json=body)
    assert (first.status_code, first.content) == (204, b"")
    ejected_at = (await box.read(owner.client_id))["ejectedAt"]
    assert datetime.fromisoformat(ejected_at) <= await sandbox_time(box)
    await box.control("clock", {"advance_seconds": 60})
    second = await box.call("POST", f"{ME}/eject", owner.client_api_key)
    assert (second.status_code, list(second.json())) == (400, ["error"])
    assert (await box.read(owner.client_id))["ejectedAt"] == ejected_at
    assert await box.effects(call="complete_client") == ["completed", None]


async def test_completion_refuses_a_bad_body(box: Box) -> None:
    """A body of wrong types is a 400 and completes nothing."""
    owner = await box.seed()
    reply = await box.call("POST", f"{ME}/eject", owner.client_api_key, json={"clientPlatform": 1})
    assert (reply.status_code, list(reply.json())) == (400, ["error"])
    assert (await box.read(owner.client_id))["ejectedAt"] is None


async def test_completion_is_gated_by_the_windows_only_when_told(box: Box) -> None:
    """With the switch on, completion needs an open window for every wallet."""
    owner = await box.seed()
    await box.control("switches", {"gate_completion_by_window": True})
    statuses = []
    for curve in ("SECP256K1", "ED25519"):
        statuses.append((await box.call("POST", f"{ME}/eject", owner.client_api_key)).status_code)
        await enable(box, owner, walletId=(await box.wallet(owner, curve))["id"])
    statuses.append((await box.call("POST", f"{ME}/eject", owner.client_api_key)).status_code)
    assert statuses == [400, 400, 204]
