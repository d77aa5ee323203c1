"""Generate, back up, store, read back, confirm."""

import base64
import json
from typing import Any

import pytest

from tests.sandbox.curves import ORDERS, decode_share, lower, multiply, rebuild
from tests.sandbox.harness import CLIENTS, ME, Box, Owner

CURVES = sorted(ORDERS)
CUSTODIAN_FIELDS = {
    *("backupSharePairId", "clientBk", "serverBk", "clientId", "share", "ssid", "x", "y"),
    *("clientPartialPubKey_x", "clientPartialPubKey_y", "serverPartialPubKey_x", "serverPartialPubKey_y"),
    *("pailler_p", "pailler_q", "pedersenClient_n", "pedersenClient_s", "pedersenClient_t"),
    *("pedersenServer_n", "pedersenServer_s", "pedersenServer_t"),
    *("yClient_x", "yClient_y", "yServer_x", "yServer_y"),
}


async def complete_backup(box: Box, owner: Owner) -> dict[str, dict[str, str]]:
    """Back up and confirm both pairs."""
    shares = await box.back_up(owner)
    assert (await box.confirm(owner, *(share["id"] for share in shares.values()))).status_code == 204
    return shares


async def test_generate_makes_both_wallets_once(box: Box) -> None:
    """Generate answers a share for both curves and makes the wallets; a second is a 400 and makes none."""
    made = (await box.custodian("POST", CLIENTS)).json()
    reply = await box.call("POST", "/v1/generate", made["clientSessionToken"])
    assert reply.status_code == 200
    assert {curve: set(share) for curve, share in reply.json().items()} == {
        c: {"share", "id"} for c in CURVES
    }
    wallets = (await box.read(made["id"]))["wallets"]
    for wallet in wallets:
        assert [pair["id"] for pair in wallet["signingSharePairs"]] == [reply.json()[wallet["curve"]]["id"]]
        assert (wallet["backupSharePairs"], wallet["ejectableUntil"]) == ([], None)
    again = await box.call("POST", "/v1/generate", made["clientApiKey"])
    assert (again.status_code, set(again.json())) == (400, {"id", "message"})
    assert (await box.read(made["id"]))["wallets"] == wallets


@pytest.mark.parametrize("curve", CURVES)
async def test_backup_halves_rebuild_the_wallets_key(box: Box, curve: str) -> None:
    """Both halves lie on one line, whose value at 0 gives the public key that Portal shows."""
    owner = await box.seed()
    share = (await complete_backup(box, owner))[curve]
    wallet = await box.wallet(owner, curve)
    custodian = (await box.fetch(owner, wallet["id"])).json()["custodianBackupShare"]
    point = multiply(curve, rebuild(curve, share["share"], custodian))
    assert point is not None
    assert {"x": str(point[0]), "y": str(point[1])} == json.loads(wallet["publicKey"])
    assert json.loads(custodian)["backupSharePairId"] == share["id"]
    assert json.loads(custodian)["ssid"] == decode_share(share["share"])["ssid"]


@pytest.mark.parametrize("curve", CURVES)
async def test_share_texts_have_the_documented_form(box: Box, curve: str) -> None:
    """Both texts hold the documented fields, numbers as decimal strings, and each curve its own key case."""
    owner = await box.seed()
    share = (await complete_backup(box, owner))[curve]
    wallet = await box.wallet(owner, curve)
    client = decode_share(share["share"])
    assert {"clientId", "backupSharePairId", "share", "ssid", "pubkey", "bks", "partialPubkey", "allY"} < set(
        client
    )
    assert {"p", "q", "pederson"} < set(client)
    assert client["backupSharePairId"] == share["id"]
    assert set(client["bks"]["server"]) == ({"X", "Rank"} if curve == "SECP256K1" else {"x", "rank"})
    assert lower(client)["pubkey"] == json.loads(wallet["publicKey"])
    custodian = json.loads((await box.fetch(owner, wallet["id"])).json()["custodianBackupShare"])
    assert set(custodian) == CUSTODIAN_FIELDS
    texts = {"backupSharePairId", "clientId", "ssid"}
    assert all(custodian[name].isdecimal() for name in CUSTODIAN_FIELDS - texts)
    assert len(base64.b64decode(custodian["ssid"])) == 32
    bks = lower(client)["bks"]
    assert (bks["client"]["x"], bks["server"]["x"]) == (custodian["clientBk"], custodian["serverBk"])


async def test_every_backup_is_a_fresh_split(box: Box) -> None:
    """Two backups of a key have no pair id, ssid or number of the line in common, and stay incomplete."""
    owner = await box.seed()
    first, second = await box.back_up(owner), await box.back_up(owner)
    for curve in CURVES:
        one, other = lower(decode_share(first[curve]["share"])), lower(decode_share(second[curve]["share"]))
        signing = lower(decode_share(json.loads(owner.generate_response)[curve]["share"]))
        assert len({first[curve]["id"], second[curve]["id"]}) == 2
        splits = (one, other, signing)
        assert len({each["ssid"] for each in splits}) == 3
        assert len({each["share"] for each in splits}) == 3
        assert len({each["bks"][side]["x"] for each in splits for side in ("client", "server")}) == 6
        pairs = (await box.wallet(owner, curve))["backupSharePairs"]
        assert [pair["status"] for pair in pairs] == ["incomplete", "incomplete"]
        assert set(pairs[0]) == {"id", "createdAt", "backupMethod", "status"}


def _without(response: dict[str, Any], curve: str) -> dict[str, Any]:
    return {name: share for name, share in response.items() if name != curve}


async def test_backup_takes_only_current_signing_shares(box: Box) -> None:
    """Another client's shares, backup shares, a changed share or a missing curve are a 400 and no pair."""
    owner, stranger = await box.seed(), await box.seed()
    own, other = json.loads(owner.generate_response), json.loads(stranger.generate_response)
    backup = await box.back_up(owner)
    content = decode_share(own["SECP256K1"]["share"]) | {"share": "12345"}
    changed = base64.b64encode(json.dumps(content).encode()).decode().rstrip("=")
    wrong: list[Any] = [
        other,
        backup,
        own | {"ED25519": {"share": own["ED25519"]["share"], "id": other["ED25519"]["id"]}},
        own | {"SECP256K1": {"share": changed, "id": own["SECP256K1"]["id"]}},
        _without(own, "ED25519"),
        {},
        [],
        "text",
    ]
    for response in wrong:
        body = {"generateResponse": json.dumps(response)}
        reply = await box.call("POST", "/v1/backup", owner.client_api_key, json=body)
        assert (reply.status_code, reply.json()["id"]) == (400, "BAD_REQUEST")
    assert len((await box.wallet(owner))["backupSharePairs"]) == 1


@pytest.mark.parametrize("text", ["", "!!!", "bm8ganNvbg", "W10", "e30", "eyJzaGFyZSI6IjEifQ"])
async def test_backup_says_when_a_share_does_not_parse(box: Box, text: str) -> None:
    """A share that is no base64, no JSON or lacks its fields is a 400 `SHARE_PARSING_FAILED`."""
    owner = await box.seed()
    response = json.loads(owner.generate_response)
    response["ED25519"]["share"] = text
    body = {"generateResponse": json.dumps(response)}
    reply = await box.call("POST", "/v1/backup", owner.client_api_key, json=body)
    assert (reply.status_code, reply.json()["id"]) == (400, "SHARE_PARSING_FAILED")


@pytest.mark.parametrize("content", [b"", b"{", b'{"generateResponse": {}}', b'{"generateResponse": "{"}'])
async def test_backup_refuses_bad_bodies(box: Box, content: bytes) -> None:
    """A body that cannot be read is a 400 with `{id, message}`."""
    owner = await box.seed()
    reply = await box.call("POST", "/v1/backup", owner.client_api_key, content=content)
    assert (reply.status_code, reply.json()["id"], set(reply.json())) == (
        400,
        "BAD_REQUEST",
        {"id", "message"},
    )


async def test_cipher_text_is_kept_as_it_came(box: Box) -> None:
    """Stored text comes back unchanged, storing again replaces it, and storing completes nothing."""
    owner = await box.seed()
    pair = (await box.back_up(owner))["ED25519"]["id"]
    path = f"{ME}/backup-share-pairs/{pair}"
    assert (await box.call("GET", f"{path}/cipher-text", owner.client_api_key)).status_code == 404
    for text in ("-----BEGIN\n\N{SNOWMAN}", "second", "second"):
        reply = await box.call("PATCH", path, owner.client_api_key, json={"clientCipherText": text})
        assert (reply.status_code, reply.content) == (204, b"")
        read = await box.call("GET", f"{path}/cipher-text", owner.client_api_key)
        assert read.json() == {"cipherText": text}
    assert (await box.wallet(owner, "ED25519"))["backupSharePairs"][0]["status"] == "incomplete"


async def test_another_clients_pair_is_out_of_reach(box: Box) -> None:
    """Storing, reading or confirming a pair of another client, or a signing pair, is refused."""
    owner, stranger = await box.seed(), await box.seed()
    own = (await box.back_up(owner))["ED25519"]["id"]
    others = (await box.back_up(stranger))["ED25519"]["id"]
    signing = json.loads(owner.generate_response)["ED25519"]["id"]
    for pair in (others, signing, "unknown"):
        path = f"{ME}/backup-share-pairs/{pair}"
        stored = await box.call("PATCH", path, owner.client_api_key, json={"clientCipherText": "x"})
        assert (stored.status_code, list(stored.json())) == (400, ["error"])
        read = await box.call("GET", f"{path}/cipher-text", owner.client_api_key)
        assert (read.status_code, list(read.json())) == (404, ["error"])
        confirmed = await box.confirm(owner, own, pair)
        assert (confirmed.status_code, confirmed.json()) == (400, {})
    for who in (owner, stranger):
        assert (await box.wallet(who, "ED25519"))["backupSharePairs"][0]["status"] == "incomplete"


async def test_confirming_completes_the_named_pairs(box: Box) -> None:
    """Confirm answers 204 and completes exactly the pairs it names; repeating it changes nothing."""
    owner = await box.seed()
    pair = (await box.back_up(owner))["SECP256K1"]["id"]
    for _ in range(2):
        reply = await box.confirm(owner, pair)
        assert (reply.status_code, reply.content) == (204, b"")
    assert [each["status"] for each in (await box.wallet(owner))["backupSharePairs"]] == ["completed"]
    assert [each["status"] for each in (await box.wallet(owner, "ED25519"))["backupSharePairs"]] == [
        "incomplete"
    ]
    assert await box.effects(call="confirm_backup") == ["pairs_completed", None]


@pytest.mark.parametrize(
    "body",
    [{}, {"backupSharePairIds": [], "status": "STORED_CLIENT_BACKUP_SHARE"}, {"backupSharePairIds": ["p"]}],
)
async def test_confirm_refuses_bad_bodies(box: Box, body: dict[str, Any]) -> None:
    """Confirm without pairs or without a status is a 400 with an empty object."""
    owner = await box.seed()
    reply = await box.call("PATCH", f"{ME}/backup-share-pairs", owner.client_api_key, json=body)
    assert (reply.status_code, reply.json()) == (400, {})


async def test_confirm_refuses_another_status(box: Box) -> None:
    """Of the statuses only the two documented ones are taken."""
    owner = await box.seed()
    pair = (await box.back_up(owner))["ED25519"]["id"]
    statuses = {}
    for status in ("STORED_CUSTODIAN_BACKUP_SHARE", "completed", "STORED_CLIENT_BACKUP_SHARE_KEY"):
        body = {"backupSharePairIds": [pair], "status": status}
        reply = await box.call("PATCH", f"{ME}/backup-share-pairs", owner.client_api_key, json=body)
        statuses[status] = reply.status_code
    assert list(statuses.values()) == [400, 400, 204]
