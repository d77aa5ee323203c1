"""Sealing with age: what is sealed, to whom, and what may be known of it."""

import hashlib
from typing import Any

import pyrage
import pytest
from pydantic import SecretStr

from contracts.failures import Failure, StepError
from contracts.names import Role
from contracts.sealing import Half, SealedFile
from custody.sealing import (
    is_recipient,
    open_deposit,
    open_unless_to,
    recipients_of,
    seal_deposit,
    seal_half,
)
from tests.device.bundles import leaked
from tests.unit.fakes import CLIENT, identity

SHARE = SecretStr('{"share": "12345", "ssid": "Zq7planted"}')


async def sealed(recipient: str, role: Role = Role.CLIENT) -> SealedFile:
    """A half, sealed to the recipient."""
    return await seal_half(
        role=role, client_id=CLIENT, wallet="wallet-1", pair="pair-1", share=SHARE, recipient=recipient
    )


@pytest.mark.parametrize("role", Role)
async def test_the_recipient_opens_what_was_sealed(role: Role) -> None:
    """Inside is the share as it came, with all that says whose half it is."""
    key, recipient = identity()
    file = await sealed(recipient, role)
    assert file.age.startswith("-----BEGIN AGE ENCRYPTED FILE-----\n")
    half = Half.model_validate_json(pyrage.decrypt(file.age.encode(), [key]))
    assert (half.role, half.client_id, half.wallet, half.pair) == (role, CLIENT, "wallet-1", "pair-1")
    assert half.share == SHARE.get_secret_value()
    assert (file.wallet, file.pair) == ("wallet-1", "pair-1")


async def test_nobody_else_opens_it() -> None:
    """Another identity opens nothing."""
    _, recipient = identity()
    stranger, _ = identity()
    file = await sealed(recipient)
    with pytest.raises(pyrage.DecryptError):
        pyrage.decrypt(file.age.encode(), [stranger])


async def test_the_commitment_is_to_the_random_bytes_inside() -> None:
    """SHA-256 twice over 32 bytes new for every half: only who opens it can say the value between."""
    key, recipient = identity()
    nonces = set()
    for _ in range(3):
        file = await sealed(recipient)
        half = Half.model_validate_json(pyrage.decrypt(file.age.encode(), [key]))
        raw = bytes.fromhex(half.nonce)
        assert len(raw) == 32
        assert file.commitment == hashlib.sha256(hashlib.sha256(raw).digest()).hexdigest()
        assert half.nonce not in file.model_dump_json()
        nonces.add(half.nonce)
    assert len(nonces) == 3


async def test_a_half_shows_in_no_text() -> None:
    """Neither the half nor the sealed file repeats the share when it is printed."""
    key, recipient = identity()
    file = await sealed(recipient)
    half = Half.model_validate_json(pyrage.decrypt(file.age.encode(), [key]))
    assert "Zq7planted" not in f"{half!r} {half} {file!r} {file.model_dump()}"
    assert half.nonce not in f"{half!r} {half}"
    assert file.age not in f"{file!r} {file}"


def test_a_deposit_is_opened_by_the_client_role_only() -> None:
    """Sealed to its public key: it opens with its identity, and with another parks without a word of it."""
    key, recipient = identity()
    stranger, _ = identity()
    deposit = seal_deposit(SHARE, recipient)
    assert b"Zq7planted" not in deposit
    opened = open_deposit(deposit, SecretStr(str(key)))
    assert opened.get_secret_value() == SHARE.get_secret_value()
    assert "Zq7planted" not in f"{opened!r} {opened}"
    with pytest.raises(StepError) as caught:
        open_deposit(deposit, SecretStr(str(stranger)))
    assert caught.value.failure is Failure.DEPOSIT_UNREADABLE
    assert leaked(caught.value, [str(stranger), "Zq7planted"]) == []


def _cut(deposit: bytes) -> bytes:
    return deposit[: len(deposit) // 2]


def _armour_only(_: bytes) -> bytes:
    return b"-----BEGIN AGE ENCRYPTED FILE-----\n-----END AGE ENCRYPTED FILE-----\n"


@pytest.mark.parametrize(
    "damage",
    [lambda _: b"", lambda _: b"{}", lambda _: b"\xff\x00Zq7planted", _cut, _armour_only],
    ids=["empty", "json", "binary", "cut", "armour"],
)
def test_a_damaged_deposit_is_unreadable(damage: Any) -> None:
    """Whatever lies there instead, the step parks and asks for the deposit again."""
    key, recipient = identity()
    with pytest.raises(StepError) as caught:
        open_deposit(damage(seal_deposit(SHARE, recipient)), SecretStr(str(key)))
    assert caught.value.failure is Failure.DEPOSIT_UNREADABLE
    assert leaked(caught.value, [str(key), "Zq7planted"]) == []


def test_a_deposit_that_is_no_text_is_unreadable() -> None:
    """Sealed rightly, but not text inside."""
    key, recipient = identity()
    binary = bytes(pyrage.encrypt(b"\xff\xfe", [pyrage.x25519.Recipient.from_str(recipient)], armored=True))
    with pytest.raises(StepError) as caught:
        open_deposit(binary, SecretStr(str(key)))
    assert caught.value.failure is Failure.DEPOSIT_UNREADABLE


def test_a_deposit_opens_with_any_of_several_identities() -> None:
    """While they are exchanged; only opening tells to whom it was sealed, and one that opens none is told."""
    (old, to_old), (new, to_new), (stranger, _) = identity(), identity(), identity()
    both = SecretStr(f"# the new one\n{new}\n# the one before\n{old}\n")
    assert recipients_of(both) == (to_new, to_old)
    for recipient in (to_old, to_new):
        assert (
            open_deposit(seal_deposit(SHARE, recipient), both).get_secret_value() == SHARE.get_secret_value()
        )
    assert open_unless_to(seal_deposit(SHARE, to_new), both, to_new) is None
    opened = open_unless_to(seal_deposit(SHARE, to_old), both, to_new)
    assert opened
    assert opened.get_secret_value() == SHARE.get_secret_value()
    with pytest.raises(StepError, match="no identity in EJECT_CLIENT_IDENTITY") as caught:
        open_unless_to(seal_deposit(SHARE, to_old), SecretStr(str(stranger)), to_new)
    assert leaked(caught.value, [str(stranger), "Zq7planted"]) == []


@pytest.mark.parametrize(
    "form",
    [
        "{key}",
        "{key}\n",
        "  {key}\r\n",
        "# created: 2026-03-04\n# public key: age1...\n{key}\n",
        "# created\r\n\r\n{key}\r\n",
    ],
)
def test_an_identity_is_read_as_a_line_or_a_file(form: str) -> None:
    """As `age-keygen` and the device write it, on any system."""
    key, recipient = identity()
    assert recipients_of(SecretStr(form.format(key=key))) == (recipient,)


@pytest.mark.parametrize(
    "form", ["", "Zq7planted", "{recipient}", "{key}x", "{key}{key}", "# {key}", "{key}\nZq7planted"]
)
def test_what_is_no_identity_is_refused_unseen(form: str) -> None:
    """The error says what is wanted and never what was given."""
    key, recipient = identity()
    text = form.format(key=key, recipient=recipient)
    with pytest.raises(ValueError, match="is not an age identity") as caught:
        recipients_of(SecretStr(text))
    assert leaked(caught.value, [str(key), recipient, "Zq7planted"]) == []


def _other_end(recipient: str) -> str:
    return recipient[:-1] + ("q" if recipient[-1] != "q" else "p")


@pytest.mark.parametrize(
    ("change", "right"),
    [
        (lambda recipient, _: recipient, True),
        (lambda recipient, _: _other_end(recipient), False),
        (lambda recipient, _: recipient[:-1], False),
        (lambda recipient, _: recipient[1:], False),
        (lambda recipient, _: recipient + " ", False),
        (lambda _, key: key, False),
        (lambda *_: "", False),
        (lambda *_: "age1", False),
        (lambda *_: "ssh-ed25519 AAAA", False),
        (lambda *_: "\x00\u00e9", False),
    ],
)
def test_a_recipient_is_right_to_its_checksum(change: Any, right: bool) -> None:
    """One wrong letter would seal the key to nobody."""
    key, recipient = identity()
    assert is_recipient(change(recipient, str(key))) is right


@pytest.mark.parametrize("share", ["7" * 800_000, '{"share": "1", "x": "\ud800"}'], ids=["large", "no text"])
async def test_what_no_sealed_file_can_hold_waits_for_a_person(share: str) -> None:
    """Portal keeps whatever a client stores, and would answer it again and again."""
    _, recipient = identity()
    with pytest.raises(StepError, match="client half of wallet wallet-1") as caught:
        await seal_half(
            role=Role.CLIENT,
            client_id=CLIENT,
            wallet="wallet-1",
            pair="pair-1",
            share=SecretStr(share),
            recipient=recipient,
        )
    assert caught.value.failure is Failure.SHARE_UNREADABLE
    assert len(caught.value.sentence) < 200
