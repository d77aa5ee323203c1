"""The journal, the clock, faults, and changes to a client."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from sandbox.routes import CALLS
from tests.sandbox.harness import CLIENTS, GATEWAY, ME, Box


async def walk(box: Box) -> tuple[str, list[str]]:
    """Make every call of the sandbox once, with success; answer the client and every secret that was seen."""
    made = (await box.custodian("POST", CLIENTS)).json()
    client_id, key = made["id"], made["clientApiKey"]
    minted = (await box.custodian("POST", f"{CLIENTS}/{client_id}/sessions")).json()
    shares = (await box.call("POST", "/v1/generate", key)).json()
    backup = (await box.call("POST", "/v1/backup", key, json={"generateResponse": json.dumps(shares)})).json()
    pair = f"{ME}/backup-share-pairs/{backup['ED25519']['id']}"
    await box.call("PATCH", pair, key, json={"clientCipherText": "the cipher text"})
    await box.call("GET", f"{pair}/cipher-text", key)
    body = {"backupSharePairIds": [backup["ED25519"]["id"]], "status": "STORED_CLIENT_BACKUP_SHARE"}
    await box.call("PATCH", f"{ME}/backup-share-pairs", key, json=body)
    client = await box.read(client_id)
    await box.custodian("GET", CLIENTS)
    wallet = next(each["id"] for each in client["wallets"] if each["curve"] == "ED25519")
    await box.custodian("PATCH", f"{CLIENTS}/{client_id}/enable-eject", json={"walletId": wallet})
    path = f"{CLIENTS}/{client_id}/wallets/{wallet}/ejectable-backup-shares"
    custodian = (await box.custodian("GET", path)).json()["custodianBackupShare"]
    await box.call("GET", f"{ME}/wallets/{wallet}/ejectable-backup-shares?backupMethod=PASSKEY", key)
    await box.call("GET", ME, key)
    await box.control("switches", {"complete_one_by_one": True})
    await box.call("PATCH", f"{ME}/wallets/{wallet}/complete-eject", key)
    await box.call("POST", f"{ME}/eject", key)
    secrets = [
        box.custodian_key,
        box.gateway_key,
        key,
        made["clientSessionToken"],
        minted["clientSessionToken"],
        "the cipher text",
    ]
    secrets += [share["share"] for share in (*shares.values(), *backup.values())]
    return client_id, [*secrets, custodian, json.loads(custodian)["share"]]


EFFECTS = {
    "create_client": "client_made",
    "mint_session": "session_made",
    "generate": "wallets_made",
    "back_up": "pair_made",
    "store_cipher_text": "cipher_text_stored",
    "read_cipher_text": None,
    "confirm_backup": "pairs_completed",
    "read_client": None,
    "list_clients": None,
    "enable_eject": "window_set",
    "fetch_shares": "shares_released",
    "fetch_shares_as_client": "shares_released_to_client",
    "read_client_as_itself": None,
    "complete_wallet": "wallet_completed",
    "complete_client": "completed",
}


async def test_journal_has_every_call_with_its_effect(box: Box) -> None:
    """Each call leaves one line, in order, with client, status and the name of what it changed."""
    client_id, _secrets = await walk(box)
    entries = (await box.control("journal"))["entries"]
    assert {entry["call"]: entry["effect"] for entry in entries} == EFFECTS
    assert set(CALLS) == set(EFFECTS)
    assert [entry["seq"] for entry in entries] == sorted(entry["seq"] for entry in entries)
    assert {entry["client_id"] for entry in entries if entry["call"] != "list_clients"} == {client_id}
    assert all(entry["status"] in {200, 204} and entry["fault"] is None for entry in entries)
    of_wallets = {entry["call"] for entry in entries if entry["wallet_id"]}
    assert of_wallets == {
        "store_cipher_text",
        "read_cipher_text",
        "confirm_backup",
        "enable_eject",
        "fetch_shares",
        "fetch_shares_as_client",
        "complete_wallet",
    }
    assert {entry["via"] for entry in entries} == {"portal"}


async def test_journal_holds_no_secret(box: Box) -> None:
    """No credential, share or cipher text of a whole walk is found in the journal."""
    client_id, secrets = await walk(box)
    text = (await box.http.get("/_sandbox/journal")).text
    assert client_id in text  # the control: what is there is found
    assert [secret for secret in secrets if secret in text] == []


async def test_journal_answers_how_many_completions_took_effect(box: Box) -> None:
    """Filters count what took effect for one client, whatever else was called and refused."""
    owner, other = await box.seed(), await box.seed()
    for who in (owner, owner, owner, other):
        await box.call("POST", f"{ME}/eject", who.client_api_key)
    await box.http.post(f"{ME}/eject")
    params = {"call": "complete_client", "client_id": owner.client_id, "effect": "completed"}
    assert (await box.http.get("/_sandbox/journal", params=params)).json()["count"] == 1
    assert len(await box.effects(call="complete_client", client_id=owner.client_id)) == 3
    assert len(await box.effects(call="complete_client", status="401")) == 1
    assert (await box.http.get("/_sandbox/journal", params={"effekt": "completed"})).status_code == 400


async def test_clock_only_moves_forward(box: Box) -> None:
    """The clock goes as far ahead as it is told, and never back; journal lines carry its time."""
    before = datetime.fromisoformat((await box.control("clock"))["now"])
    moved = datetime.fromisoformat((await box.control("clock", {"advance_seconds": 86_400}))["now"])
    assert timedelta(days=1) <= moved - before < timedelta(days=1, minutes=1)
    await box.custodian("GET", CLIENTS)
    assert datetime.fromisoformat((await box.control("journal"))["entries"][-1]["at"]) >= moved
    for wrong in (-1, "soon", None):
        assert (await box.http.post("/_sandbox/clock", json={"advance_seconds": wrong})).status_code == 400


@pytest.mark.parametrize(
    ("fault", "status", "headers", "content"),
    [
        ({"status": 503}, 503, {}, b""),
        ({"status": 429, "headers": {"Retry-After": "7"}}, 429, {"retry-after": "7"}, b""),
        (
            {"status": 400, "body": {"error": "no"}},
            400,
            {"content-type": "application/json"},
            b'{"error":"no"}',
        ),
        (
            {"status": 502, "body": "<html>", "content_type": "text/html"},
            502,
            {"content-type": "text/html; charset=utf-8"},
            b"<html>",
        ),
    ],
)
async def test_status_fault_answers_instead_of_the_call(
    box: Box, fault: dict[str, Any], status: int, headers: dict[str, str], content: bytes
) -> None:
    """A status fault gives its status, headers and body, as often as planned, and the call is not done."""
    owner = await box.seed()
    await box.control("faults", {"call": "complete_client", "times": 2, "kind": "status", **fault})
    for left in (1, 0):
        reply = await box.call("POST", f"{ME}/eject", owner.client_api_key)
        assert (reply.status_code, reply.content) == (status, content)
        assert headers.items() <= dict(reply.headers).items()
        assert sum(each["times"] for each in (await box.control("faults"))["faults"]) == left
    assert (await box.read(owner.client_id))["ejectedAt"] is None
    assert (await box.call("POST", f"{ME}/eject", owner.client_api_key)).status_code == 204
    lines = (await box.http.get("/_sandbox/journal", params={"call": "complete_client"})).json()["entries"]
    assert [(line["status"], line["effect"], line["fault"]) for line in lines] == [
        *[(status, None, "status")] * 2,
        (204, "completed", None),
    ]


async def test_delay_fault_then_goes_on(box: Box) -> None:
    """A delayed call answers late and is done normally."""
    owner = await box.seed()
    await box.control("faults", {"call": "complete_client", "kind": "delay", "seconds": 0.05})
    reply = await box.call("POST", f"{ME}/eject", owner.client_api_key)
    assert (reply.status_code, reply.elapsed >= timedelta(seconds=0.05)) == (204, True)
    assert await box.effects(fault="delay") == ["completed"]


async def test_fault_meets_only_its_client(box: Box) -> None:
    """A fault planned for one client leaves the others alone, by path and by credential."""
    owner, other = await box.seed(), await box.seed()
    for call in ("read_client", "read_client_as_itself"):
        body = {"call": call, "kind": "status", "status": 500, "client_id": owner.client_id}
        await box.control("faults", body)
    statuses = []
    for who in (other, owner, owner):
        statuses.append((await box.custodian("GET", f"{CLIENTS}/{who.client_id}")).status_code)
        statuses.append((await box.call("GET", ME, who.client_api_key)).status_code)
    assert statuses == [200, 200, 500, 500, 200, 200]


async def test_faults_are_cleared_and_checked(box: Box) -> None:
    """DELETE forgets what is planned; an unknown call, kind or field, or a missing one, is refused."""
    planned = {"call": "back_up", "times": 3, "kind": "status", "status": 500}
    assert (await box.control("faults", planned))["faults"] == [planned]
    assert (await box.http.delete("/_sandbox/faults")).json() == {"cleared": 1}
    assert (await box.control("faults"))["faults"] == []
    wrong: list[dict[str, Any]] = [
        planned | {"call": "backup"},
        planned | {"kind": "explode"},
        planned | {"statuss": 1},
        planned | {"times": 0},
        {"call": "back_up", "kind": "status"},
        {"call": "back_up", "kind": "delay"},
    ]
    for body in wrong:
        reply = await box.http.post("/_sandbox/faults", json=body)
        assert (reply.status_code, list(reply.json())) == (400, ["error"])


async def test_client_can_be_changed(box: Box) -> None:
    """Environment flags, `ejectedAt`, the form of a public key and the deadline are shown as set."""
    owner = await box.seed()
    evm, solana = (await box.wallet(owner))["id"], (await box.wallet(owner, "ED25519"))["id"]
    at = "2030-01-02T03:04:05.000Z"
    change = {
        "backup_with_portal_enabled": False,
        "is_multi_backup_enabled": False,
        "ejected_at": at,
        "wallets": {evm: {"public_key": "upper", "ejectable_until": at}, solana: {"public_key": "null"}},
    }
    before = json.loads((await box.wallet(owner))["publicKey"])
    shown = (await box.control(f"clients/{owner.client_id}", change))["client"]
    assert shown == await box.read(owner.client_id)
    assert shown["environment"]["backupWithPortalEnabled"] is False
    assert shown["environment"]["isMultiBackupEnabled"] is False
    assert shown["ejectedAt"] == at
    assert json.loads(shown["wallets"][0]["publicKey"]) == {"X": before["x"], "Y": before["y"]}
    assert (shown["wallets"][0]["ejectableUntil"], shown["wallets"][1]["publicKey"]) == (at, None)
    shown = (await box.control(f"clients/{owner.client_id}", {"ejected_at": None}))["client"]
    assert (shown["ejectedAt"], shown["environment"]["isMultiBackupEnabled"]) == (None, False)


async def test_wallets_can_be_added_and_removed(box: Box) -> None:
    """A removed wallet is gone with its addresses; an added one has a key, and a share that backs it up."""
    owner = await box.seed()
    removed = (await box.wallet(owner))["id"]
    kept = (await box.wallet(owner, "ED25519"))["id"]
    shown = (await box.control(f"clients/{owner.client_id}", {"remove_wallet": removed}))["client"]
    assert [wallet["id"] for wallet in shown["wallets"]] == [kept]
    assert set(shown["metadata"]["namespaces"]) == {"solana", "stellar"}
    changed = await box.control(f"clients/{owner.client_id}", {"add_wallet": "SECP256K1"})
    added = changed["added_wallet"]
    assert [wallet["id"] for wallet in changed["client"]["wallets"]] == [kept, added["wallet_id"]]
    response = json.loads(owner.generate_response) | {
        "SECP256K1": {"share": added["share"], "id": added["id"]}
    }
    body = {"generateResponse": json.dumps(response)}
    reply = await box.call("POST", "/v1/backup", owner.client_api_key, json=body)
    assert reply.status_code == 200
    pairs = (await box.wallet(owner))["backupSharePairs"]
    assert [pair["id"] for pair in pairs] == [reply.json()["SECP256K1"]["id"]]


async def test_changes_are_checked_and_done_as_one(box: Box) -> None:
    """An unknown field, client or wallet is refused, and nothing of the change is done."""
    owner = await box.seed()
    before = await box.read(owner.client_id)
    path = f"/_sandbox/clients/{owner.client_id}"
    typo = await box.http.post(path, json={"signin": False})
    wallet = await box.http.post(path, json={"is_multi_backup_enabled": False, "remove_wallet": "unknown"})
    nobody = await box.http.post("/_sandbox/clients/nobody", json={})
    assert [reply.status_code for reply in (typo, wallet, nobody)] == [400, 404, 404]
    assert await box.read(owner.client_id) == before


async def test_keys_are_rolled(box: Box) -> None:
    """The custodian's, the gateway's and a client's: what is answered works, what was before does not."""
    owner, other = await box.seed(), await box.seed()
    for key in ("custodian", "gateway"):
        rolled = (await box.control("roll", {"key": key}))["key"]
        again = replace(box, **{f"{key}_key": rolled})
        for asking, status in ((box, 401), (again, 200)):
            ask = asking.gateway("GET", f"{GATEWAY}/{owner.client_id}") if key == "gateway" else None
            reply = await (ask or asking.custodian("GET", f"{CLIENTS}/{owner.client_id}"))
            assert reply.status_code == status
    mine = (await box.control(f"clients/{owner.client_id}/roll", {}))["client_api_key"]
    keys = {owner.client_api_key: 401, mine: 200, other.client_api_key: 200}
    assert {key: (await box.call("GET", ME, key)).status_code for key in keys} == keys
    assert (await box.http.post("/_sandbox/roll", json={"key": "nobody"})).status_code == 400
    assert (await box.http.post("/_sandbox/clients/nobody/roll")).status_code == 404
