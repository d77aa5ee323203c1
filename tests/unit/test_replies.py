"""What Portal answers, in all the forms that its documents and its SDKs show."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from contracts.wallets import Curve, PublicKey
from portal.replies import (
    CipherTextReply,
    ClientReply,
    EjectableReply,
    MpcSharesReply,
    PairReply,
    SessionReply,
    SharesReply,
    WalletReply,
)
from tests.unit.fakes import NOW

SECRET = "Zq7planted0share1that2nobody3may4see"  # noqa: S105 (planted to be looked for)
LONG = "9" * 78


@pytest.mark.parametrize(
    ("public_key", "expected"),
    [
        ('{"x":"12","y":"34"}', ("12", "34")),
        ('{"X":"12","Y":"34"}', ("12", "34")),
        ('{"X":"12","y":"34","curve":"secp256k1"}', ("12", "34")),
        ('{"x":12,"y":34}', ("12", "34")),
        (json.dumps({"x": int(LONG), "y": 0}), (LONG, "0")),
        ({"x": "12", "y": "34"}, ("12", "34")),
        (None, None),
    ],
)
def test_a_public_key_is_read_in_every_documented_form(public_key: object, expected: Any) -> None:
    """A JSON string of coordinates in either case, or null; numbers as text or as numbers."""
    wallet = WalletReply.model_validate({"id": "w", "curve": "SECP256K1", "publicKey": public_key})
    assert wallet.public_key == (expected and PublicKey(x=expected[0], y=expected[1]))


@pytest.mark.parametrize(
    "public_key",
    [
        "",
        SECRET,
        "null",
        "[]",
        f'["{SECRET}"]',
        "5",
        "{}",
        '{"x":"12"}',
        f'{{"x":"12","y":"{SECRET}"}}',
        '{"x":"12","y":"-34"}',
        '{"x":"12","y":3.5}',
        '{"x":"12","y":1e400}',
        '{"x":"12","y":null}',
        '{"x":"12","y":true}',
        '{"x":"12","y":"0x34"}',
        '{"x":"12","y":"34\\n"}',
        json.dumps({"x": "12", "y": LONG + "9"}),
        '{"x":"12","y":' + "9" * 5000 + "}",
        "[" * 100_000,
        7,
        ["12", "34"],
    ],
)
def test_garbage_for_a_public_key_is_refused_unseen(public_key: object) -> None:
    """What is no pair of decimal coordinates is a wrong form, never another key and never shown."""
    with pytest.raises(ValidationError) as caught:
        WalletReply.model_validate({"id": "w", "curve": "SECP256K1", "publicKey": public_key})
    assert SECRET not in f"{caught.value} {caught.value!r}"


def test_all_but_the_id_may_be_absent() -> None:
    """A client of whom Portal tells only the id reads as one without wallets that nobody ejected."""
    client = ClientReply.model_validate({"id": "client-1", "somethingNew": {"deep": [1]}})
    assert (client.ejected_at, client.wallets, client.addresses(Curve.ED25519)) == (None, (), {})
    assert client.environment.backup_with_portal_enabled is None
    assert client.environment.is_multi_backup_enabled is None
    wallet = WalletReply.model_validate({"id": "w", "curve": "ED25519"})
    assert (wallet.public_key, wallet.ejectable_until, wallet.backup_share_pairs) == (None, None, ())


def test_a_whole_client_is_read() -> None:
    """Every field that an eject decides by, by the names that Portal writes."""
    client = ClientReply.model_validate(
        {
            "id": "client-1",
            "ejectedAt": NOW.isoformat(),
            "environment": {"id": "e", "backupWithPortalEnabled": True, "isMultiBackupEnabled": False},
            "wallets": [
                {
                    "id": "w",
                    "curve": "ED25519",
                    "ejectableUntil": "2026-03-04T05:06:07",
                    "backupSharePairs": [{"id": "p", "status": "STORED_CLIENT_BACKUP_SHARE"}, {"id": "q"}],
                }
            ],
        }
    )
    assert client.ejected_at == client.wallets[0].ejectable_until == NOW
    assert client.environment.backup_with_portal_enabled is True
    assert client.environment.is_multi_backup_enabled is False
    pairs = [(pair.id, pair.status) for pair in client.wallets[0].backup_share_pairs]
    assert pairs == [("p", "STORED_CLIENT_BACKUP_SHARE"), ("q", "")]


@pytest.mark.parametrize(
    ("status", "completed"),
    [
        ("completed", True),
        ("STORED_CLIENT_BACKUP_SHARE", True),
        ("STORED_CLIENT_BACKUP_SHARE_KEY", True),
        ("STORED_CUSTODIAN_BACKUP_SHARE", False),
        ("incomplete", False),
        ("COMPLETED", False),
        ("", False),
    ],
)
def test_a_pair_is_completed_once_the_clients_share_is_stored(status: str, completed: bool) -> None:
    """Read back in words or raw; the custodian's share alone is half a backup."""
    assert PairReply(id="p", status=status).completed is completed


NAMESPACES: dict[str, Any] = {
    "eip155": {"address": "0xabc", "curve": "SECP256K1"},
    "tron": {"address": "Tabc", "curve": "secp256k1"},
    "bip122": {
        "address": "",
        "curve": "SECP256K1",
        "bitcoin": {"p2wpkh": {"mainnet": "bc1q", "testnet": "tb1q", "signet": "", "regtest": None}},
    },
    "solana": {"address": "Sol", "curve": "ED25519"},
    "stellar": {"address": "GABC", "curve": "ED25519"},
    "nocurve": {"address": "x"},
    "noaddress": {"curve": "ED25519"},
    "null": {"address": None, "curve": "ED25519", "bitcoin": None},
    "odd": {"address": ["x"], "curve": "ED25519", "bitcoin": {"p2wpkh": "bc1q"}},
    "text": "x",
    "nothing": None,
}


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        (
            Curve.SECP256K1,
            {"eip155": "0xabc", "tron": "Tabc", "bip122.mainnet": "bc1q", "bip122.testnet": "tb1q"},
        ),
        (Curve.ED25519, {"solana": "Sol", "stellar": "GABC"}),
    ],
)
def test_namespaces_become_addresses_of_their_curve(curve: Curve, expected: dict[str, str]) -> None:
    """Bitcoin's stand one level deeper; an entry of another form is passed over."""
    client = ClientReply.model_validate({"id": "c", "metadata": {"namespaces": NAMESPACES}})
    assert client.addresses(curve) == expected


@pytest.mark.parametrize("upper", [True, False])
def test_shares_are_found_by_their_curve(upper: bool) -> None:
    """Each curve's share with its pair, the names in either case; a curve may be missing."""
    name = "SECP256K1" if upper else "secp256k1"
    shares = MpcSharesReply.model_validate({name: {"share": SECRET, "id": "pair-1"}})
    share = shares.of(Curve.SECP256K1)
    assert share is not None
    assert (share.id, share.share.get_secret_value()) == ("pair-1", SECRET)
    assert shares.of(Curve.ED25519) is None


@pytest.mark.parametrize(
    ("model", "right", "wrong"),
    [
        (SessionReply, {"clientSessionToken": SECRET}, {"clientSessionToken": {"a": SECRET}}),
        (
            MpcSharesReply,
            {"ED25519": {"share": SECRET, "id": "p"}},
            {"ED25519": {"share": SECRET, "id": SECRET + "!"}},
        ),
        (SharesReply, {"custodianBackupShare": SECRET}, {"custodianBackupShare": [SECRET]}),
        (EjectableReply, {"ejectableUntil": NOW.isoformat()}, {"ejectableUntil": SECRET}),
    ],
)
def test_a_secret_shows_in_no_text(model: Any, right: Any, wrong: Any) -> None:
    """Neither what was read nor the error about what could not be read repeats it."""
    reply = model.model_validate(right)
    assert SECRET not in f"{reply!r} {reply} {reply.model_dump()} {reply.model_dump_json()}"
    with pytest.raises(ValidationError) as caught:
        model.model_validate(wrong)
    assert SECRET not in f"{caught.value} {caught.value!r}"


@pytest.mark.parametrize("name", ["cipherText", "clientCipherText"])
def test_a_stored_cipher_text_is_read_by_either_name(name: str) -> None:
    """No document names the field of the read: the text under either likely one is the answer."""
    assert CipherTextReply.model_validate({name: "sealed"}).cipher_text == "sealed"


def test_a_cipher_text_may_be_null_absent_or_long() -> None:
    """Null means that none was stored; a text beyond a million characters is nobody's."""
    for body in (
        {"custodianBackupShare": "{}"},
        {"custodianBackupShare": "{}", "encryptedClientBackupShare": None},
    ):
        assert SharesReply.model_validate(body).encrypted_client_backup_share is None
    with pytest.raises(ValidationError):
        SharesReply.model_validate(
            {"custodianBackupShare": "{}", "encryptedClientBackupShare": "x" * 1_000_001}
        )
