"""The pure rules: windows, texts that are signed, digests, words, names."""

import base64
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

import base58
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from contracts import names
from contracts.approvals import approval_text
from contracts.base import Id, Moment, Words
from contracts.names import Role
from contracts.owner import challenge
from contracts.request import EjectRequest, differing, digest_of
from contracts.sealing import SealedRef, bundle_digest, commitment, fingerprint, opened
from contracts.wallets import Wallet, difference
from contracts.window import (
    CLAIM_MARGIN,
    ENABLE_MARGIN,
    FETCH_MARGIN,
    LONGEST,
    SHORTEST,
    aged,
    bounded,
    may_claim,
    may_fetch,
)
from tests.properties.effort import examples, tried
from tests.properties.models import valid
from tests.properties.odd import PLANTED, told

IDS = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
DIGESTS = st.binary(min_size=32, max_size=32).map(bytes.hex)
MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(9000, 1, 1), timezones=st.just(UTC))
WORDS, AN_ID, A_MOMENT = (TypeAdapter[Any](kind) for kind in (Words, Id, Moment))


EDGES = [
    margin + timedelta(microseconds=tick)
    for margin in (ENABLE_MARGIN, FETCH_MARGIN, CLAIM_MARGIN, SHORTEST, LONGEST)
    for tick in (-1, 0, 1)
]


@examples(60, 1250)
@given(now=MOMENTS, left=st.sampled_from(EDGES) | st.timedeltas(timedelta(days=-40), timedelta(days=40)))
def test_a_deadline_is_judged_by_what_is_left(now: datetime, left: timedelta) -> None:
    """Whatever the date: each rule is its margin, in whichever zone the two times are told."""
    tried["rules"] += 1
    close = (now + left).astimezone()
    assert aged(close, now) is (left < ENABLE_MARGIN)
    assert may_fetch(close, now) is (left >= FETCH_MARGIN)
    assert may_claim(close, now) is (left >= CLAIM_MARGIN)
    if SHORTEST <= left <= LONGEST:
        assert bounded(left) == left
    else:
        with pytest.raises(ValueError, match="from 10 minutes"):
            bounded(left)


@examples(15, 750)
@given(
    ids=st.lists(IDS, min_size=2, max_size=2),
    wallet=valid(Wallet),
    bundle=DIGESTS,
    values=st.dictionaries(st.sampled_from(Role), DIGESTS),
)
def test_a_challenge_can_be_read_back(
    ids: list[str], wallet: Wallet, bundle: str, values: dict[Role, str]
) -> None:
    """No value can begin a line of its own: what a signature says cannot be read in two ways."""
    tried["rules"] += 1
    text = challenge(eject_id=ids[0], client_id=ids[1], wallet=wallet, bundle=bundle, opened=values)
    first, *lines = text.split("\n")
    assert first.endswith("out of custody for good.")
    assert dict(line.split(": ") for line in lines) == {
        "eject": ids[0],
        "client": ids[1],
        "wallet": wallet.id,
        "address": wallet.address,
        "bundle": bundle,
        **{f"opened {role}": value for role, value in values.items()},
    }
    assert len(lines) == 5 + len(values)
    assert text.isascii()


@examples(15, 750)
@given(one=valid(EjectRequest), other=valid(EjectRequest), ids=st.lists(IDS, min_size=2, max_size=2))
def test_a_digest_is_of_the_whole_request(one: EjectRequest, other: EjectRequest, ids: list[str]) -> None:
    """Equal where nothing differs and only there; the text that an approver signs names one digest."""
    tried["rules"] += 1
    mixed = other.model_copy(update={name: getattr(one, name) for name in differing(one, other)[1:]})
    for request in (other, mixed):
        assert (digest_of(request) == digest_of(one)) is (differing(one, request) == [])
    assert differing(one, one.model_copy()) == []
    digest = digest_of(one)
    text = approval_text(eject_id=ids[0], client_id=ids[1], digest=digest, by=one.requested_by)
    assert text.count("\n") == 4
    assert f"\nrequest: {digest}\n" in text
    assert len(fingerprint(one.recipient).split()) == 8


@examples(10, 500)
@given(files=st.lists(valid(SealedRef), min_size=1, max_size=4), data=st.data())
def test_a_bundle_is_its_files_in_any_order(files: list[SealedRef], data: st.DataObject) -> None:
    """Nothing but the order is free: another role, wallet, pair or digest is another bundle."""
    tried["rules"] += 1
    assert bundle_digest(data.draw(st.permutations(files))) == bundle_digest(files)
    other = data.draw(valid(SealedRef))
    same = [(f.role, f.wallet, f.pair, f.digest) for f in (files[0], other)]
    assert (bundle_digest([other, *files[1:]]) == bundle_digest(files)) is (same[0] == same[1])
    assert commitment(opened(other.digest)) != opened(other.digest)


@examples(10, 500)
@given(before=st.lists(valid(Wallet), max_size=3), now=st.lists(valid(Wallet), max_size=3))
def test_a_difference_is_told_both_ways_or_not_at_all(before: list[Wallet], now: list[Wallet]) -> None:
    """A difference has words in either direction, and nothing differs from itself."""
    tried["rules"] += 1
    assert (difference(before, now) is None) is (difference(now, before) is None)
    assert difference(before, list(reversed(before))) is None or len({w.id for w in before}) < len(before)
    assert (difference([], now) is None) is (now == [])


# A part of BIP-39's English list, with every word of it that prose uses, too: 'because', 'that', 'you'.
SEED_WORDS = (
    "abandon ability able about above absent absorb abstract because become before begin behind between "
    "can cruel dawn east either else forward front garlic have into just kiwi lizard must never often once "
    "only other over own possible quit rather ribbon same satoshi someone such than that then there they "
    "this until upon very what when where will you young zebra zero zone zoo"
).replace(" than ", " ").split()  # fmt: skip
BYTES = st.binary(min_size=32, max_size=64)
ENCODED: dict[str, st.SearchStrategy[str]] = {
    "hex": BYTES.map(bytes.hex),
    "upper hex": BYTES.map(lambda b: "0X" + b.hex().upper()),
    "16 bytes of hex": st.binary(min_size=16, max_size=16).map(bytes.hex),
    "base58": BYTES.map(lambda b: base58.b58encode(b"\x01" + b).decode()),
    "base64": BYTES.map(lambda b: base64.b64encode(b).decode()),
    "URL-safe base64": BYTES.map(lambda b: "aA1" + base64.urlsafe_b64encode(b).decode()),
    "decimal": st.integers(2**200, 2**512).map(str),
    "UUID": st.uuids().map(str),
    "API key": st.uuids().map(lambda u: f"sk_live_{u.hex}"),
    "12 seed words": st.lists(st.sampled_from(SEED_WORDS), min_size=12, max_size=12).map(" ".join),
    "24 seed words": st.lists(st.sampled_from(SEED_WORDS), min_size=24, max_size=24).map(" ".join),
    "capital seed words": st.lists(st.sampled_from(SEED_WORDS), min_size=12, max_size=12).map(
        lambda words: " ".join(word.capitalize() for word in words)
    ),
    "numbered seed words": st.lists(st.sampled_from(SEED_WORDS), min_size=12, max_size=12).map(
        lambda words: " ".join(f"{n}. {word}" for n, word in enumerate(words, 1))
    ),
    "seed words and commas": st.lists(st.sampled_from(SEED_WORDS), min_size=12, max_size=12).map(",".join),
}


@pytest.mark.parametrize("kind", ENCODED)
@examples(10, 250)
@given(data=st.data())
def test_what_looks_like_a_secret_is_no_word(kind: str, data: st.DataObject) -> None:
    """In every encoding and in the middle of prose: refused, and not repeated."""
    tried["words"] += 1
    secret = data.draw(ENCODED[kind])
    place = data.draw(st.sampled_from(["{}", "key: {}", "({})", "it is {} ok", '"{}"', "a/{}"]))
    with pytest.raises(ValidationError) as caught:
        EjectRequest.model_validate({"reason": place.format(secret)})
    assert "reason" in [problem["loc"][0] for problem in caught.value.errors()]
    assert secret not in told(caught.value)
    assert secret[4:20] not in told(caught.value)


PARTS = (
    ["The owner", "Ren\u00e9e", "Our client", "Support", "She", "\u0130pek from Ankara"],
    ["asked on 2026-03-04 in ticket EJECT-2041", "wrote to ops@example.com", "called (twice, at 10:15)"],
    ["and wants her keys", "for the third time", "because of a move", "to leave; it was approved by Grace"],
    [".", ", see https://desk.example.com/t/77.", " - urgent!", "?", " \u2026"],
)


@examples(20, 500)
@given(parts=st.tuples(*(st.sampled_from(part) for part in PARTS)), numbers=st.integers(0, 10**15))
def test_prose_is_taken(parts: tuple[str, ...], numbers: int) -> None:
    """Names, dates, tickets, addresses of mail and pages, short numbers."""
    tried["words"] += 1
    text = f"{parts[0]} {parts[1]} {parts[2]}{parts[3]} {numbers}"
    assert WORDS.validate_python(text) == text


@examples(50, 1250)
@given(text=st.text(max_size=70) | IDS | IDS.map(lambda i: f"../{i}") | IDS.map(lambda i: f"{i}\n"), more=IDS)
def test_an_id_stays_inside_its_folder(text: str, more: str) -> None:
    """What passes as an id is one step of a path, in every name that is made of ids."""
    tried["names"] += 1
    try:
        one = AN_ID.validate_python(text)
    except ValidationError:
        return
    made = [
        (names.backup_name(one), f"held/{one}"),
        (names.custodian_half_name(more, one), f"held/{more}/custodian"),
        *((names.released_name(more, role, one), f"released/{more}/{role}") for role in Role),
        (names.deposit_name(one), f"deposits/{one}"),
        (names.api_key_name(one), f"deposits/{one}"),
        (names.receipt_name(one, more, more), f"receipts/{one}"),
    ]
    for name, folder in made:
        assert PurePosixPath(name).is_relative_to(folder)
        assert ".." not in PurePosixPath(name).parts
        assert name == str(PurePosixPath(name))
        assert name.isascii()
    assert names.workflow_id(one) == f"eject-{one}"
    assert len({name for name, _ in made}) == len(made)


@examples(50, 1250)
@given(value=st.text(max_size=40) | st.datetimes().map(str) | st.floats() | st.integers() | st.none())
def test_a_moment_is_utc_or_an_error(value: object) -> None:
    """Numbers, words, years beyond the last: a time in UTC, or `ValidationError`."""
    tried["rules"] += 1
    try:
        assert A_MOMENT.validate_python(value).utcoffset() == timedelta(0)
    except ValidationError:
        return


def test_a_planted_text_looks_like_a_secret() -> None:
    """The other properties plant it wherever words go: it must not pass for a word."""
    with pytest.raises(ValidationError):
        WORDS.validate_python(PLANTED)
    with pytest.raises(ValidationError):
        WORDS.validate_python(secrets.token_hex(32))
