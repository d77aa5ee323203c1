"""What is read of a share: whose it is and which pair it belongs to, and never more is said."""

import base64
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from contracts.failures import Failure, StepError
from contracts.names import Role
from contracts.wallets import Curve
from custody.shares import check_client_share, check_custodian_share, check_deposit
from tests.device.bundles import Made, random_wallet

SENTINEL = "Zq7planted"
MADE = {curve: random_wallet(curve, str(curve).lower()) for curve in Curve}
WALLETS = tuple(made.wallet for made in MADE.values())
DEEP = "[" * 100_000


def packed(value: object) -> str:
    """As the enclave encodes a share: base64 without padding of JSON."""
    text = value if isinstance(value, str) else json.dumps(value)
    return base64.b64encode(text.encode()).decode().rstrip("=")


def deposit(**changes: Any) -> Any:
    """The body of a generate reply."""
    return {
        str(curve): {"share": made.share(Role.CLIENT), "id": "signing-pair"} for curve, made in MADE.items()
    } | changes


def refused(check: Callable[[], object], failure: Failure) -> None:
    """The check refuses with this failure, and none of the shares shows."""
    with pytest.raises(StepError) as caught:
        check()
    assert caught.value.failure is failure
    shown = f"{caught.value} {caught.value!r}"
    for made in MADE.values():
        assert not [secret for secret in made.secrets() if secret in shown]
    assert SENTINEL not in shown
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("curve", Curve)
@pytest.mark.parametrize("padding", ["", "="])
@pytest.mark.parametrize("upper", [True, False])
def test_a_right_client_share_passes(curve: Curve, padding: str, upper: bool) -> None:
    """Padded or not, coordinates in either case."""
    made = MADE[curve]
    key = made.wallet.public_key
    share = made.client | {"pubkey": {"X": key.x, "Y": key.y} if upper else {"x": key.x, "y": key.y}}
    text = packed(share)
    text += "=" * (-len(text) % 4) if padding else ""
    check_client_share(SecretStr(text), made.pair, made.wallet)


CLIENT_SHARES: dict[str, tuple[Callable[[Made], str], Failure]] = {
    "another pair": (lambda m: packed(m.client | {"backupSharePairId": SENTINEL}), Failure.PAIR_MISMATCH),
    "pair is null": (lambda m: packed(m.client | {"backupSharePairId": None}), Failure.PAIR_MISMATCH),
    "another key": (
        lambda m: packed(m.client | {"pubkey": {"x": "1", "y": m.wallet.public_key.y}}),
        Failure.PAIR_MISMATCH,
    ),
    "no pair": (
        lambda m: packed({k: v for k, v in m.client.items() if k != "backupSharePairId"}),
        Failure.SHARE_UNREADABLE,
    ),
    "no key": (
        lambda m: packed({k: v for k, v in m.client.items() if k != "pubkey"}),
        Failure.SHARE_UNREADABLE,
    ),
    "key is text": (lambda m: packed(m.client | {"pubkey": SENTINEL}), Failure.SHARE_UNREADABLE),
    "key is null": (lambda m: packed(m.client | {"pubkey": None}), Failure.SHARE_UNREADABLE),
    "key is a list": (lambda m: packed(m.client | {"pubkey": ["1", "2"]}), Failure.SHARE_UNREADABLE),
    "key without y": (lambda m: packed(m.client | {"pubkey": {"x": "1"}}), Failure.SHARE_UNREADABLE),
    "key in hex": (
        lambda m: packed(m.client | {"pubkey": {"x": "0xff", "y": SENTINEL}}),
        Failure.SHARE_UNREADABLE,
    ),
    "key in numbers": (
        lambda m: packed(m.client | {"pubkey": {"x": 1, "y": 2}}),
        Failure.SHARE_UNREADABLE,
    ),
    "JSON, not base64": (lambda m: json.dumps(m.client), Failure.SHARE_UNREADABLE),
    "cut": (lambda m: m.share(Role.CLIENT)[:-40], Failure.SHARE_UNREADABLE),
    "one letter too many": (lambda m: m.share(Role.CLIENT).rstrip("=") + "A" * 4, Failure.SHARE_UNREADABLE),
    "a list": (lambda _: packed([SENTINEL]), Failure.SHARE_UNREADABLE),
    "null": (lambda _: packed(None), Failure.SHARE_UNREADABLE),
    "nothing": (lambda _: "", Failure.SHARE_UNREADABLE),
    "letters beyond ASCII": (lambda _: "\u00e9" + SENTINEL, Failure.SHARE_UNREADABLE),
    "binary": (lambda _: base64.b64encode(b"\xff\xfe\xfd").decode(), Failure.SHARE_UNREADABLE),
    "too deep": (lambda _: packed(DEEP), Failure.SHARE_UNREADABLE),
    "a number too long": (lambda _: packed("9" * 5000), Failure.SHARE_UNREADABLE),
}


@pytest.mark.parametrize("curve", Curve)
@pytest.mark.parametrize("name", CLIENT_SHARES)
def test_a_wrong_client_share_is_refused(name: str, curve: Curve) -> None:
    """A share of another pair or key is never sealed to the owner, and one that does not parse neither."""
    text, failure = CLIENT_SHARES[name]
    made = MADE[curve]
    refused(lambda: check_client_share(SecretStr(text(made)), made.pair, made.wallet), failure)


@pytest.mark.parametrize("curve", Curve)
def test_the_share_of_the_other_wallet_is_refused(curve: Curve) -> None:
    """Two wallets of one client: their shares are told apart by the key, even under the same pair."""
    (other,) = [made for other_curve, made in MADE.items() if other_curve is not curve]
    wallet = MADE[curve].wallet
    refused(
        lambda: check_client_share(SecretStr(other.share(Role.CLIENT)), other.pair, wallet),
        Failure.PAIR_MISMATCH,
    )


def _without(made: Made, field: str) -> str:
    return json.dumps({name: value for name, value in made.custodian.items() if name != field})


CUSTODIAN_SHARES: dict[str, tuple[Callable[[Made], str], Failure]] = {
    "another pair": (
        lambda m: json.dumps(m.custodian | {"backupSharePairId": SENTINEL}),
        Failure.PAIR_MISMATCH,
    ),
    "pair is a list": (
        lambda m: json.dumps(m.custodian | {"backupSharePairId": [1]}),
        Failure.SHARE_UNREADABLE,
    ),
    "no pair": (lambda m: _without(m, "backupSharePairId"), Failure.SHARE_UNREADABLE),
    "no share": (lambda m: _without(m, "share"), Failure.SHARE_UNREADABLE),
    "no place": (lambda m: _without(m, "clientBk"), Failure.SHARE_UNREADABLE),
    "share is a number": (lambda m: json.dumps(m.custodian | {"share": 5}), Failure.SHARE_UNREADABLE),
    "share is empty": (lambda m: json.dumps(m.custodian | {"share": ""}), Failure.SHARE_UNREADABLE),
    "share is hex": (lambda m: json.dumps(m.custodian | {"share": "0xff"}), Failure.SHARE_UNREADABLE),
    "share is negative": (lambda m: json.dumps(m.custodian | {"share": "-5"}), Failure.SHARE_UNREADABLE),
    "place is null": (lambda m: json.dumps(m.custodian | {"clientBk": None}), Failure.SHARE_UNREADABLE),
    "base64": (lambda m: packed(m.custodian), Failure.SHARE_UNREADABLE),
    "cut": (lambda m: json.dumps(m.custodian)[:-1], Failure.SHARE_UNREADABLE),
    "a list": (lambda _: f'["{SENTINEL}"]', Failure.SHARE_UNREADABLE),
    "a text": (lambda _: f'"{SENTINEL}"', Failure.SHARE_UNREADABLE),
    "null": (lambda _: "null", Failure.SHARE_UNREADABLE),
    "nothing": (lambda _: "", Failure.SHARE_UNREADABLE),
    "too deep": (lambda _: DEEP, Failure.SHARE_UNREADABLE),
}


@pytest.mark.parametrize("curve", Curve)
def test_a_right_custodian_share_passes(curve: Curve) -> None:
    """The pair that was backed up, with its two numbers."""
    made = MADE[curve]
    check_custodian_share(SecretStr(made.share(Role.CUSTODIAN)), [made.pair], made.wallet.id)


@pytest.mark.parametrize("name", CUSTODIAN_SHARES)
def test_a_wrong_custodian_share_is_refused(name: str) -> None:
    """A half of another pair would rebuild no key, and the owner would learn it too late."""
    text, failure = CUSTODIAN_SHARES[name]
    made = MADE[Curve.SECP256K1]
    refused(lambda: check_custodian_share(SecretStr(text(made)), [made.pair], made.wallet.id), failure)


@pytest.mark.parametrize("wallets", [None, (), WALLETS, WALLETS[:1]])
def test_a_right_deposit_passes(wallets: Any) -> None:
    """Before anyone knows the wallets, and against them; a share more than wallets does no harm."""
    check_deposit(SecretStr(json.dumps(deposit())), wallets)


DEPOSITS: dict[str, Any] = {
    "null": None,
    "empty": {},
    "a list": [deposit()],
    "a curve's name": "SECP256K1",
    "a number": 5,
    "no known curve": {"P256": {"share": SENTINEL, "id": "p"}},
    "curve is null": deposit(ED25519=None),
    "curve is text": deposit(ED25519=SENTINEL),
    "no id": deposit(ED25519={"share": MADE[Curve.ED25519].share(Role.CLIENT)}),
    "id is a number": deposit(ED25519={"share": MADE[Curve.ED25519].share(Role.CLIENT), "id": 5}),
    "no share": deposit(ED25519={"id": "p"}),
    "share is null": deposit(ED25519={"share": None, "id": "p"}),
    "share is a number": deposit(ED25519={"share": 5, "id": "p"}),
    "share is a list": deposit(ED25519={"share": [SENTINEL], "id": "p"}),
    "share is no base64": deposit(ED25519={"share": SENTINEL + "!", "id": "p"}),
    "share is no JSON": deposit(ED25519={"share": packed("{" + SENTINEL), "id": "p"}),
    "share is a list inside": deposit(ED25519={"share": packed([SENTINEL]), "id": "p"}),
    "share without key": deposit(ED25519={"share": packed({"share": SENTINEL}), "id": "p"}),
    "key is text": deposit(ED25519={"share": packed({"pubkey": SENTINEL}), "id": "p"}),
}


@pytest.mark.parametrize("wallets", [None, WALLETS], ids=["before", "against the wallets"])
@pytest.mark.parametrize("name", DEPOSITS)
def test_what_is_no_generate_reply_is_no_deposit(name: str, wallets: Any) -> None:
    """Refused when it is deposited and again before a backup, without a word of it."""
    text = json.dumps(DEPOSITS[name])
    refused(lambda: check_deposit(SecretStr(text), wallets), Failure.DEPOSIT_UNREADABLE)


@pytest.mark.parametrize("text", ["", SENTINEL, "{", DEEP, "9" * 5000])
def test_what_is_no_json_is_no_deposit(text: str) -> None:
    """The same for a text that does not parse at all."""
    refused(lambda: check_deposit(SecretStr(text)), Failure.DEPOSIT_UNREADABLE)


def test_a_deposit_of_another_client_is_refused() -> None:
    """The keys inside must be the wallets' own, each on its curve, and none may be missing."""
    other = random_wallet(Curve.ED25519, "other")
    foreign = deposit(ED25519={"share": other.share(Role.CLIENT), "id": "p"})
    one_missing = {k: v for k, v in deposit().items() if k != "ED25519"}
    for body in (foreign, one_missing):
        text = SecretStr(json.dumps(body))
        check_deposit(text)
        refused(partial(check_deposit, text, WALLETS), Failure.DEPOSIT_UNREADABLE)


WORDS = st.sampled_from(
    [
        SENTINEL,
        "SECP256K1",
        "ED25519",
        "share",
        "id",
        "pubkey",
        "x",
        "X",
        "Y",
        "backupSharePairId",
        "clientBk",
        "12",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=5),
    max_leaves=20,
)
TEXTS = st.one_of(
    JSON.map(json.dumps),
    JSON.map(packed),
    JSON.map(lambda value: json.dumps({"SECP256K1": {"share": packed(value), "id": "p"}})),
    st.text(max_size=40).map(lambda text: SENTINEL + text),
)


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_no_text_whatever_raises_anything_else_or_is_shown(text: str) -> None:
    """A reply of any form ends in a park with one sentence of ours, never in an error that holds the text."""
    share, wallet = SecretStr(text), WALLETS[0]
    checks: list[Callable[[], object]] = [
        lambda: check_client_share(share, "pair-1", wallet),
        lambda: check_custodian_share(share, ["pair-1"], wallet.id),
        lambda: check_deposit(share, WALLETS),
    ]
    for check in checks:
        with pytest.raises(StepError) as caught:
            check()
        assert SENTINEL not in f"{caught.value} {caught.value!r}"
        assert caught.value.__cause__ is None
