"""Backups from before: their three forms, what was stored, and which pair a fetch answers."""

import base64
import json
from typing import Any

import pyrage
import pytest
from nacl.secret import SecretBox

from tests.sandbox.curves import rebuild
from tests.sandbox.harness import ME, Box, Owner


async def add(box: Box, owner: Owner, form: str, **more: Any) -> Any:
    """Give a client a backup."""
    return await box.control(f"clients/{owner.client_id}/backups", {"form": form, **more})


def opened(made: Any, pair: Any) -> str:
    """Open a cipher text with the key that the control call answered."""
    box = SecretBox(bytes.fromhex(made["secret_box_key"]))
    return box.decrypt(bytes.fromhex(pair["cipher_text"])).decode()


async def key_of(box: Box, owner: Owner, curve: str) -> int:
    """Rebuild a wallet's key from a backup made now, as the truth to compare with."""
    share = (await box.back_up(owner))[curve]
    await box.confirm(owner, share["id"])
    fetched = await box.fetch(owner, (await box.wallet(owner, curve))["id"])
    return rebuild(curve, share["share"], fetched.json()["custodianBackupShare"])


async def test_enclave_form_has_a_cipher_text_for_each_pair(box: Box) -> None:
    """Each wallet's completed pair has its own cipher text, of the share that rebuilds this wallet's key."""
    owner = await box.seed()
    made = await add(box, owner, "enclave")
    assert len({pair["cipher_text"] for pair in made["pairs"]}) == 2
    for pair in made["pairs"]:
        shown = (await box.wallet(owner, pair["curve"]))["backupSharePairs"][0]
        assert [shown[name] for name in ("id", "status", "backupMethod")] == [
            *(pair["pair_id"], "completed", "UNKNOWN")
        ]
        assert opened(made, pair) == pair["plain_text"] == pair["client_share"]
        stored = await box.call(
            "GET", f"{ME}/backup-share-pairs/{pair['pair_id']}/cipher-text", owner.client_api_key
        )
        assert stored.json() == {"cipherText": pair["cipher_text"]}
        fetched = (await box.fetch(owner, pair["wallet_id"])).json()
        assert fetched["encryptedClientBackupShare"] == pair["cipher_text"]
        key = rebuild(pair["curve"], pair["client_share"], fetched["custodianBackupShare"])
        assert key == await key_of(box, owner, pair["curve"])


async def test_sdk_form_has_one_text_on_every_pair(box: Box) -> None:
    """One cipher text, the same on both pairs, opens to JSON of both curves, whose shares are JSON too."""
    owner = await box.seed()
    made = await add(box, owner, "sdk")
    (cipher_text,) = {pair["cipher_text"] for pair in made["pairs"]}
    inside = json.loads(opened(made, made["pairs"][0]))
    assert set(inside) == {"SECP256K1", "ED25519"}
    for pair in made["pairs"]:
        kept = inside[pair["curve"]]
        assert kept["id"] == pair["pair_id"] == json.loads(kept["share"])["backupSharePairId"]
        assert base64.b64encode(kept["share"].encode()).decode().rstrip("=") == pair["client_share"]
        fetched = (await box.fetch(owner, pair["wallet_id"])).json()
        assert fetched["encryptedClientBackupShare"] == cipher_text
        assert json.loads(fetched["custodianBackupShare"])["backupSharePairId"] == pair["pair_id"]
    methods = {pair["backupMethod"] for pair in (await box.wallet(owner))["backupSharePairs"]}
    assert methods == {"PASSWORD"}


async def test_own_form_stores_nothing(box: Box) -> None:
    """The owner alone holds the share: no cipher text is stored or fetched, and the pair is completed."""
    owner = await box.seed()
    for pair in (await add(box, owner, "own"))["pairs"]:
        assert pair["cipher_text"] is None
        path = f"{ME}/backup-share-pairs/{pair['pair_id']}/cipher-text"
        assert (await box.call("GET", path, owner.client_api_key)).status_code == 404
        fetched = (await box.fetch(owner, pair["wallet_id"])).json()
        assert fetched["encryptedClientBackupShare"] is None
        key = rebuild(pair["curve"], pair["client_share"], fetched["custodianBackupShare"])
        assert key == await key_of(box, owner, pair["curve"])


@pytest.mark.parametrize("form", ["enclave", "sdk"])
async def test_a_recipient_opens_the_text(box: Box, form: str) -> None:
    """With a recipient, the text is armoured age that its identity opens, and no key is answered."""
    owner, identity = await box.seed(), pyrage.x25519.Identity.generate()
    made = await add(box, owner, form, recipient=str(identity.to_public()))
    assert made["secret_box_key"] is None
    for pair in made["pairs"]:
        assert pair["cipher_text"].startswith("-----BEGIN AGE ENCRYPTED FILE-----")
        assert pyrage.decrypt(pair["cipher_text"].encode(), [identity]).decode() == pair["plain_text"]


async def test_fetch_answers_the_newest_or_the_named_pair(box: Box) -> None:
    """Of several completed pairs the one made last answers, until a control call names another."""
    owner = await box.seed()
    newest = (await add(box, owner, "own", seconds_ago=60))["pairs"][0]
    older = (await add(box, owner, "enclave", seconds_ago=9_999))["pairs"][0]
    wallet = newest["wallet_id"]
    change = f"clients/{owner.client_id}"
    for named, answer in ((None, newest), (older["pair_id"], older), (None, newest)):
        await box.control(change, {"wallets": {wallet: {"fetch_pair": named}}})
        fetched = (await box.fetch(owner, wallet)).json()
        assert json.loads(fetched["custodianBackupShare"])["backupSharePairId"] == answer["pair_id"]
        assert fetched["encryptedClientBackupShare"] == answer["cipher_text"]


async def test_client_fetches_by_method(box: Box) -> None:
    """The client gets the newest pair of the method it names, or else the newest without a method."""
    owner = await box.seed()
    for form, method, ago in (("sdk", "PASSKEY", 900), ("sdk", "GDRIVE", 800), ("enclave", "UNKNOWN", 700)):
        await add(box, owner, form, backup_method=method, seconds_ago=ago)
    await add(box, owner, "sdk", backup_method="A-METHOD-OF-TOMORROW", seconds_ago=1)
    wallet = await box.wallet(owner)
    methods = {pair["id"]: pair["backupMethod"] for pair in wallet["backupSharePairs"]}
    answered = []
    for method in ("PASSKEY", "GDRIVE", "PASSWORD"):
        await box.enable(owner, wallet["id"])
        shares = (await box.fetch_as_client(owner, wallet["id"], method)).json()
        answered.append(methods[json.loads(shares["custodianBackupShare"])["backupSharePairId"]])
    assert answered == ["PASSKEY", "GDRIVE", "UNKNOWN"]
    assert "A-METHOD-OF-TOMORROW" in methods.values()


@pytest.mark.parametrize(
    ("status", "fetched"),
    [
        ("incomplete", 400),
        ("STORED_CUSTODIAN_BACKUP_SHARE", 400),
        ("STORED_CLIENT_BACKUP_SHARE", 200),
        ("STORED_CLIENT_BACKUP_SHARE_KEY", 200),
    ],
)
async def test_raw_statuses_are_shown(box: Box, status: str, fetched: int) -> None:
    """A pair shows the raw status it was given; the two that say that the client stored it are completed."""
    owner = await box.seed()
    pair = (await add(box, owner, "enclave", status=status))["pairs"][0]
    assert (await box.wallet(owner))["backupSharePairs"][0]["status"] == status
    assert (await box.fetch(owner, pair["wallet_id"])).status_code == fetched


async def test_backups_are_refused_without_wallets_or_with_nonsense(box: Box) -> None:
    """No wallet is a 409, an unknown client a 404, a wrong form or recipient a 400; nothing is made."""
    nothing = await box.seed(curves=[])
    owner = await box.seed()
    statuses = [
        (await box.http.post(f"/_sandbox/clients/{client}/backups", json=body)).status_code
        for client, body in (
            (nothing.client_id, {"form": "own"}),
            ("nobody", {"form": "own"}),
            (owner.client_id, {"form": "other"}),
            (owner.client_id, {"form": "sdk", "recipient": "age1nonsense"}),
        )
    ]
    assert statuses == [409, 404, 400, 400]
    assert (await box.wallet(owner))["backupSharePairs"] == []
