"""The messages and the rules that cross between rooms."""

import base64
import hashlib
import json
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from contracts.base import Id, Message, Moment, Result, canonical, sentence
from contracts.failures import RULES, Failure, StepError
from contracts.names import Role
from contracts.owner import Claim, ClaimAnswer, Proof, Prove, challenge
from contracts.parks import Retry
from contracts.request import EjectRequest, differing
from contracts.sealing import SealedRef, bundle_digest, commitment, digest, fingerprint, opened
from contracts.wallets import Curve, PublicKey, Wallet, difference
from contracts.window import CLAIM_MARGIN, ENABLE_MARGIN, FETCH_MARGIN, aged, may_claim, may_fetch
from tests.unit.fakes import EJECT, NOW, identity

RECIPIENT = identity()[1]
SECRET = "Zq7planted"  # noqa: S105 (planted to be looked for)
REQUEST: dict[str, Any] = {
    "client_id": "client-1",
    "recipient": RECIPIENT,
    "window": "PT24H",
    "requested_by": "ada",
    "reason": "moves to self custody",
}


def told(model: type[BaseModel], body: dict[str, Any]) -> str:
    """The sentence about a message that is wrong; the planted secret shows neither in it nor in the error."""
    with pytest.raises(ValidationError) as caught:
        model.model_validate_json(json.dumps(body))
    said = sentence(caught.value)
    assert SECRET not in f"{said} {caught.value} {caught.value!r}"
    return said


def test_a_plain_request_is_taken() -> None:
    """Five fields are enough, and the rest has its default."""
    request = EjectRequest.model_validate_json(json.dumps(REQUEST))
    assert (request.window, request.replace_backup) == (timedelta(days=1), False)


BAD_REQUESTS: list[tuple[dict[str, Any], str]] = [
    ({"client_id": ""}, "client_id: "),
    ({"client_id": "x" * 65}, "client_id: "),
    ({"client_id": f"../{SECRET}"}, "client_id: "),
    ({"client_id": f"a/{SECRET}"}, "client_id: "),
    ({"client_id": f"a b{SECRET}"}, "client_id: "),
    ({"client_id": f"{SECRET}\n"}, "client_id: "),
    ({"client_id": "caf\u00e9"}, "client_id: "),
    ({"client_id": 5}, "client_id: "),
    ({"client_id": None}, "client_id: "),
    ({"recipient": f"age1{SECRET}"}, "recipient: "),
    ({"recipient": RECIPIENT.upper()}, "recipient: "),
    ({"recipient": RECIPIENT + "q"}, "recipient: "),
    ({"recipient": RECIPIENT + "\n"}, "recipient: "),
    ({"recipient": "age1" + "b" * 58}, "recipient: "),
    ({"recipient": "AGE-SECRET-KEY-1" + SECRET}, "recipient: "),
    ({"recipient": f"ssh-ed25519 AAAA{SECRET}"}, "recipient: "),
    ({"window": "PT9M59S"}, "window: must be from 10 minutes (PT10M) to 30 days (P30D)"),
    ({"window": "P30DT1S"}, "window: must be from 10 minutes (PT10M) to 30 days (P30D)"),
    ({"window": "-PT1H"}, "window: must be from 10 minutes (PT10M) to 30 days (P30D)"),
    ({"window": "PT0S"}, "window: must be from 10 minutes (PT10M) to 30 days (P30D)"),
    ({"window": SECRET}, "window: "),
    ({"window": ""}, "window: "),
    ({"window": "24h"}, "window: "),
    ({"window": None}, "window: "),
    ({"window": [SECRET]}, "window: "),
    ({"requested_by": ""}, "requested_by: "),
    ({"requested_by": "   "}, "requested_by: "),
    ({"reason": "x " * 101}, "reason: "),
    ({"reason": f"two\nlines {SECRET}"}, "reason: must be one line of printable text"),
    ({"reason": f"bell\u0007 {SECRET}"}, "reason: must be one line of printable text"),
    ({"reason": f"\u202etxet {SECRET}"}, "reason: must be one line of printable text"),
    ({"replace_backup": SECRET}, "replace_backup: "),
    ({"backup": "existing"}, "backup: only the default works in this version: leave it out"),
    ({"backup": SECRET}, "backup: "),
    ({"fetch_as": "client"}, "fetch_as: only the default works in this version: leave it out"),
    ({"backup_method": "PASSWORD"}, "backup_method: only the default works in this version: leave it out"),
    ({"backup_method": SECRET * 9}, "backup_method: "),
    ({"approvals": 10}, "approvals: "),
    ({"approvals": -1}, "approvals: "),
    ({"cooling_off": "P91D"}, "cooling_off: "),
    ({"cooling_off": "-PT1H"}, "cooling_off: "),
    ({"windw": SECRET}, "windw: Extra inputs are not permitted"),
    ({"replaceBackup": True}, "replaceBackup: Extra inputs are not permitted"),
]


@pytest.mark.parametrize(("change", "begins"), BAD_REQUESTS, ids=map(str, range(len(BAD_REQUESTS))))
def test_a_bad_request_is_refused_in_a_sentence(change: dict[str, Any], begins: str) -> None:
    """The field is named, its value never; what would be ignored is refused instead."""
    said = told(EjectRequest, REQUEST | change)
    assert said.startswith(begins)
    assert "; " not in said


@pytest.mark.parametrize("field", REQUEST)
def test_a_missing_field_is_named(field: str) -> None:
    """Nobody guesses a client, a recipient or a window."""
    body = {name: value for name, value in REQUEST.items() if name != field}
    assert told(EjectRequest, body) == f"{field}: Field required"


def test_all_that_is_wrong_is_said_at_once() -> None:
    """One sentence with every field, so that nobody mends them one by one."""
    said = told(EjectRequest, {"client_id": f"/{SECRET}", "window": "PT1M", SECRET.lower(): 1})
    named = [part.partition(":")[0] for part in said.split("; ")]
    assert named == ["client_id", "recipient", "window", "requested_by", "reason", SECRET.lower()]


@pytest.mark.parametrize(
    ("window", "minutes"),
    [
        ("PT10M", 10),
        ("PT600S", 10),
        ("P30D", 43200),
        ("P1W", 10080),
        ("PT1H30M", 90),
        (600, 10),
        ("P0.5D", 720),
    ],
)
def test_a_window_is_taken_in_every_iso_form(window: object, minutes: int) -> None:
    """From ten minutes to thirty days, both included."""
    assert EjectRequest.model_validate(REQUEST | {"window": window}).window == timedelta(minutes=minutes)


@pytest.mark.parametrize(
    "default",
    [
        {"backup": "fresh"},
        {"fetch_as": "custodian"},
        {"backup_method": None},
        {"approvals": 0},
        {"cooling_off": "PT0S"},
        {"replace_backup": False},
    ],
)
def test_a_default_may_be_written_out(default: dict[str, Any]) -> None:
    """Forms and other languages send every field."""
    EjectRequest.model_validate(REQUEST | default)


def _jwt() -> str:
    header, claims = ({"alg": "HS256", "typ": "JWT"}, {"sub": "client", "iat": 1516239022})
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims)]
    return ".".join([*(part.decode() for part in parts), secrets.token_urlsafe(32)])


SECRETS: dict[str, Any] = {
    "age identity": lambda: str(identity()[0]),
    "hex": lambda: secrets.token_hex(32),
    "hex with 0x": lambda: "0x" + secrets.token_hex(32),
    "16 bytes of hex": lambda: secrets.token_hex(16),
    "base64": lambda: base64.b64encode(secrets.token_bytes(32)).decode(),
    "URL-safe base64": lambda: "aB3-" * 3 + secrets.token_urlsafe(32),
    "decimal": lambda: str(2**255 + secrets.randbits(200)),
    "base58": lambda: "5KJvsngHeMpm884wtkJNzQGaCErckhHJBGFsvd3VyK5qMZXj3hS",
    "JWT": _jwt,
    "API key": lambda: "sk_live_" + secrets.token_hex(16),
}


@pytest.mark.parametrize("place", ["{}", "the key is {}, thanks", "key={}", "({})"])
@pytest.mark.parametrize("kind", SECRETS)
def test_words_that_look_like_a_secret_are_refused(kind: str, place: str) -> None:
    """A person may paste a key by mistake: it is refused before Temporal sees it, and not repeated."""
    secret = SECRETS[kind]()
    said = told(EjectRequest, REQUEST | {"reason": place.format(secret)})
    assert "looks like a key or a token: leave it out" in said
    assert secret not in said
    assert secret[8:24] not in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("key 550E8400-E29B-41D4-A716-446655440000", "has a UUID"),
        ("0198c1f0-6d7e-7a51-9d2c-8c8a3d2b6f10", "has a UUID"),
        ("abandon " * 11 + "about", "has twelve words in a row"),
        ("legal winner thank year wave sausage worth useful legal winner thank yellow", "has twelve words"),
    ],
)
def test_words_that_may_be_a_secret_are_refused_too(words: str, said: str) -> None:
    """Portal's API keys are UUIDs in form, and a seed phrase is words."""
    assert told(EjectRequest, REQUEST | {"reason": words}).startswith(f"reason: {said}")


@pytest.mark.parametrize(
    "words",
    [
        "moves to self custody",
        "asked in ticket EJECT-2041 on 2026-03-04T05:06:07Z",
        "The user Ren\u00e9e O'Neill-Smith wrote: \u201eI want my keys\u201c (see INC-20260304)",
        "\u304a\u5ba2\u69d8\u306e\u8981\u671b",
        "ada.lovelace+ops@example.com",
        "x" * 31,
        "state-of-the-art-self-custody-for-everyone-who-asks",
        "  ada  ",
    ],
)
def test_good_words_are_taken(words: str) -> None:
    """Names, prose, ids and dates pass, without the blanks around them."""
    assert EjectRequest.model_validate(REQUEST | {"reason": words}).reason == words.strip()


PROOF: dict[str, Any] = {
    "wallet": "w",
    "bundle": "0" * 64,
    "opened": {"client": "1" * 64, "custodian": "2" * 64},
    "signature": "ab" * 65,
}


@pytest.mark.parametrize("signature", ["ab" * 64, "AB" * 65, "0x" + "ab" * 64, "0x" + "aB" * 65])
def test_a_proof_of_right_form_is_taken(signature: str) -> None:
    """64 or 65 bytes of hex, with 0x or without."""
    Prove.model_validate({"proofs": [PROOF | {"signature": signature}]})


@pytest.mark.parametrize(
    ("model", "body", "begins"),
    [
        (Proof, PROOF | {"signature": "ab" * 63}, "signature: "),
        (Proof, PROOF | {"signature": "ab" * 64 + "a"}, "signature: "),
        (Proof, PROOF | {"signature": "ab" * 66}, "signature: "),
        (Proof, PROOF | {"signature": "0X" + "ab" * 65}, "signature: "),
        (Proof, PROOF | {"signature": "zz" * 64 + SECRET}, "signature: "),
        (Proof, PROOF | {"signature": "ab" * 65 + "\n"}, "signature: "),
        (Proof, PROOF | {"bundle": "A" * 64}, "bundle: "),
        (Proof, PROOF | {"bundle": "0" * 63}, "bundle: "),
        (Proof, PROOF | {"wallet": f"../{SECRET}"}, "wallet: "),
        (Proof, PROOF | {"opened": {"client": SECRET}}, "opened.client: "),
        (Proof, PROOF | {"opened": {"owner": "1" * 64}}, "opened.owner.[key]: "),
        (Proof, PROOF | {"key": SECRET}, "key: Extra"),
        (Prove, {"proofs": []}, "proofs: "),
        (Prove, {"proofs": [PROOF] * 17}, "proofs: "),
        (Prove, {"proofs": [PROOF | {"signature": SECRET}]}, "proofs.0.signature: "),
        (Claim, {}, "claimed_by: Field required"),
        (Claim, {"claimed_by": "ada", "url": SECRET}, "url: Extra"),
        (Claim, {"claimed_by": SECRET * 4}, "claimed_by: has an unbroken run"),
        (Retry, {"park": 0, "by": "ada", "why": "mended"}, "park: "),
        (Retry, {"park": SECRET, "by": "ada", "why": "mended"}, "park: "),
        (Retry, {"park": 1, "by": "ada"}, "why: Field required"),
        (Retry, {"park": 1, "by": "ada", "why": SECRET * 4}, "why: has an unbroken run"),
    ],
)
def test_a_bad_command_is_refused_in_a_sentence(model: Any, body: dict[str, Any], begins: str) -> None:
    """Updates are as strict as the request: the field by name, its value never."""
    assert told(model, body).startswith(begins)


def test_a_message_is_strict_and_a_result_is_not() -> None:
    """A typing error of a person is told; a field of a newer worker is passed over."""

    class Strict(Message):
        a: int = 0

    class Open(Result):
        a: int = 0

    assert told(Strict, {"b": 1}) == "b: Extra inputs are not permitted"
    assert Open.model_validate({"b": 1}) == Open()
    for made in (Strict(), Open()):
        with pytest.raises(ValidationError):
            setattr(made, "a", 1)  # noqa: B010 (mypy knows that it cannot be done, which is the point)


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2026-03-04T05:06:07Z", NOW),
        ("2026-03-04T05:06:07", NOW),
        ("2026-03-04T07:06:07+02:00", NOW),
        ("9999-12-31T23:59:59-14:00", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("soon", None),
    ],
)
def test_a_moment_is_in_utc(written: str, moment: datetime | None) -> None:
    """Without a zone it is taken as UTC; what UTC cannot say is wrong, not an exception of another kind."""
    adapter = TypeAdapter(Moment)
    if moment is None:
        with pytest.raises(ValidationError):
            adapter.validate_python(written)
    else:
        read = adapter.validate_python(written)
        assert (read, read.tzinfo) == (moment, UTC)


@pytest.mark.parametrize("text", ["a", "A-b_9", "x" * 64, EJECT])
def test_an_id_is_safe_everywhere(text: str) -> None:
    """A path segment, a file's name, a workflow id."""
    assert TypeAdapter(Id).validate_python(text) == text


def test_differing_names_the_fields() -> None:
    """A second start is told what differs; the form in which a window is written does not."""
    one = EjectRequest.model_validate(REQUEST)
    assert differing(one, EjectRequest.model_validate(REQUEST | {"window": "P1D"})) == []
    other = EjectRequest.model_validate(REQUEST | {"window": "P2D", "reason": "another"})
    assert differing(one, other) == ["window", "reason"]


def wallet(name: str, x: str = "1", curve: Curve = Curve.SECP256K1, **more: Any) -> Wallet:
    """A wallet whose key nobody computes with."""
    return Wallet(id=name, curve=curve, public_key=PublicKey(x=x, y="2"), address="0xabc", **more)


@pytest.mark.parametrize(
    ("now", "words"),
    [
        ([wallet("a"), wallet("b")], None),
        ([wallet("b"), wallet("a")], None),
        ([wallet("a", addresses={"tron": "T"}), wallet("b")], None),
        ([wallet("a")], "wallet b is gone"),
        ([wallet("a"), wallet("b"), wallet("c")], "wallet c is new"),
        ([wallet("a"), wallet("b", x="3")], "wallet b has another key"),
        ([wallet("a"), wallet("b", curve=Curve.ED25519)], "wallet b has another key"),
        ([wallet("c"), wallet("a", x="3")], "wallet a has another key, wallet b is gone, wallet c is new"),
        ([], "wallet a is gone, wallet b is gone"),
    ],
)
def test_a_difference_is_told_wallet_by_wallet(now: list[Wallet], words: str | None) -> None:
    """Ids, curves and keys count; the order and the published addresses do not."""
    assert difference([wallet("a"), wallet("b")], now) == words


def ref(role: Role, name: str, pair: str = "p") -> SealedRef:
    """A reference to a file that does not exist."""
    hexed = hashlib.sha256(f"{role}{name}".encode()).hexdigest()
    return SealedRef(role=role, wallet=name, pair=pair, digest=hexed, commitment="0" * 64)


def test_the_bundle_is_the_digest_of_sorted_lines() -> None:
    """Recomputed here as the document says, in whatever order the files come."""
    files = [ref(role, name) for role in Role for name in ("w2", "w10", "W1")]
    lines = [f"{file.role.value} {file.wallet} {file.pair} {file.digest}" for file in files]
    text = "".join(f"{line}\n" for line in sorted(lines))
    assert bundle_digest(files) == bundle_digest(reversed(files)) == hashlib.sha256(text.encode()).hexdigest()
    assert bundle_digest(files[1:]) != bundle_digest(files)
    assert bundle_digest([*files[1:], ref(Role.CLIENT, "w2", "q")]) != bundle_digest(files)


def test_the_bundle_of_two_files_never_changes() -> None:
    """A public format: this very digest stands in challenges that were signed long ago."""
    files = [
        SealedRef(role=role, wallet="w", pair="p", digest="ab" * 32, commitment="0" * 64) for role in Role
    ]
    assert bundle_digest(files) == "5abccc33b5de666fd90fa7b25b270cfeb920ce806d76c02991e3871709e37e71"


def test_digests_are_sha256_in_hex() -> None:
    """Recomputed here: of the armoured text, of the nonce's bytes, of the opened value's bytes."""
    nonce = secrets.token_bytes(32)
    once = hashlib.sha256(nonce).digest()
    assert digest("caf\u00e9") == hashlib.sha256("caf\u00e9".encode()).hexdigest()
    assert opened(nonce.hex()) == once.hex()
    assert commitment(once.hex()) == hashlib.sha256(once).hexdigest()


def test_a_fingerprint_is_what_people_compare() -> None:
    """Sixteen bytes of the recipient's SHA-256, in groups that can be read aloud."""
    assert fingerprint("age1example") == "e374 2525 5c92 f8d2 d11c 70d1 ffd4 ec54"


def test_canonical_bytes_are_equal_where_messages_are() -> None:
    """Sorted keys, no blanks, and the same message again when it is read back."""
    one = ref(Role.CLIENT, "w")
    raw = canonical(one)
    assert raw == json.dumps(json.loads(raw), sort_keys=True, separators=(",", ":")).encode()
    assert canonical(SealedRef.model_validate_json(raw)) == raw


GOLDEN = f"""\
I have rebuilt the key of this wallet and take it out of custody for good.
eject: {EJECT}
client: client-1
wallet: w
address: 0xabc
bundle: {"0" * 64}
opened client: {"1" * 64}
opened custodian: {"2" * 64}"""


@pytest.mark.parametrize("order", [list(Role), list(reversed(Role))])
def test_the_challenge_is_this_very_text(order: list[Role]) -> None:
    """A public format: devices in other languages write it letter by letter, without a newline at its end."""
    values = {Role.CLIENT: "1" * 64, Role.CUSTODIAN: "2" * 64}
    text = challenge(
        eject_id=EJECT,
        client_id="client-1",
        wallet=wallet("w"),
        bundle="0" * 64,
        opened={role: values[role] for role in order},
    )
    assert text == GOLDEN


def test_a_half_that_portal_does_not_hold_has_no_line() -> None:
    """An owner's own backup has no file, so the challenge does not speak of it."""
    text = challenge(
        eject_id=EJECT,
        client_id="client-1",
        wallet=wallet("w"),
        bundle="0" * 64,
        opened={Role.CUSTODIAN: "2" * 64},
    )
    assert text == GOLDEN.replace(f"opened client: {'1' * 64}\n", "")


def test_a_claim_answer_has_names_and_no_place_for_more() -> None:
    """Whatever a newer worker adds, the answer keeps to what is listed."""
    assert set(ClaimAnswer.model_fields) == {
        "eject_id",
        "client_id",
        "recipient",
        "fingerprint",
        "closes",
        "wallets",
        "files",
        "bundle",
    }


@pytest.mark.parametrize(
    ("rule", "margin", "at_margin", "inside"),
    [
        (aged, timedelta(seconds=90), False, True),
        (may_fetch, timedelta(seconds=30), True, False),
        (may_claim, timedelta(minutes=2), True, False),
    ],
)
def test_a_margin_counts_to_the_microsecond(
    rule: Any, margin: timedelta, at_margin: bool, inside: bool
) -> None:
    """At the margin itself there is still time, a microsecond later there is not, nor after the close."""
    tick = timedelta(microseconds=1)
    assert rule(NOW + margin, NOW) is at_margin
    assert rule(NOW + margin + tick, NOW) is at_margin
    assert rule(NOW + margin - tick, NOW) is inside
    assert rule(NOW, NOW) is inside
    assert rule(NOW - margin, NOW) is inside


def test_the_margins_leave_portal_its_minute() -> None:
    """Portal refuses less than a minute ahead; reading takes the owner longer than fetching takes us."""
    assert timedelta(minutes=1) < ENABLE_MARGIN
    assert timedelta(0) < FETCH_MARGIN < CLAIM_MARGIN


# The workflow takes these turns itself: they never park.
TURNS = {Failure.WINDOW_AGED, Failure.WINDOW_CLOSED}


@pytest.mark.parametrize("failure", Failure)
def test_every_failure_has_a_rule_and_every_park_a_mend(failure: Failure) -> None:
    """What a person is asked to do is a sentence that ends in the retry; what is retried asks nobody."""
    rule = RULES[failure]
    if failure in TURNS:
        assert not rule.retried
    elif not rule.retried:
        assert "retry" in rule.mend
        assert rule.mend == rule.mend.strip()


def test_what_passes_by_itself_is_retried_and_nothing_else() -> None:
    """The closed set, by name: a failure that changes sides is a change of the promise."""
    assert {failure for failure in Failure if RULES[failure].retried} == {
        Failure.PORTAL_UNAVAILABLE,
        Failure.PORTAL_THROTTLED,
        Failure.REPLY_LOST,
        Failure.VAULT_UNAVAILABLE,
        Failure.RECEIVER_UNAVAILABLE,
        Failure.UNEXPECTED,
    }
    assert len({failure.value for failure in Failure}) == len(Failure)


def test_a_step_error_says_its_sentence() -> None:
    """Failure, sentence and delay are kept apart, and `str` is the sentence."""
    error = StepError(Failure.NOT_FOUND, "gone", timedelta(seconds=1))
    assert (error.failure, error.sentence, str(error)) == (Failure.NOT_FOUND, "gone", "gone")
    assert error.retry_after == timedelta(seconds=1)
