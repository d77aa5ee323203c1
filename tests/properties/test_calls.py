"""Every reply of Portal's, right or not: the call's answer, or one sentence without any of its text."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.failures import Failure, StepError
from contracts.wallets import Curve
from portal import calls
from portal.calls import Call, RawReply, decide, retry_after
from portal.replies import ClientReply
from tests.properties import odd
from tests.properties.effort import examples, tried
from tests.unit.fakes import customer
from tests.unit.test_calls import ANSWERS

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
HOUR = timedelta(hours=1)
CALLS: dict[str, Call[Any]] = {name: call for name, call in vars(calls).items() if isinstance(call, Call)}
EVERY = pytest.mark.parametrize("name", sorted(CALLS))
CLIENT = {
    "id": "client-1",
    "ejectedAt": "2026-03-04T05:06:07Z",
    "environment": {"backupWithPortalEnabled": True, "isMultiBackupEnabled": None},
    "metadata": {
        "namespaces": {
            "eip155": {"curve": "SECP256K1", "address": "0xabc"},
            "bip122": {"curve": "secp256k1", "bitcoin": {"p2wpkh": {"mainnet": "bc1q"}}},
        }
    },
    "wallets": [
        {
            "id": "w",
            "curve": "SECP256K1",
            "publicKey": '{"X":"12","Y":"34"}',
            "ejectableUntil": "2026-03-04T05:06:07Z",
            "backupSharePairs": [{"id": "p", "status": "completed"}],
        }
    ],
}
RIGHT = {
    name: CLIENT if call.answer is ClientReply else ANSWERS[name][0] if name in ANSWERS else {"id": "x"}
    for name, call in CALLS.items()
}
REFUSALS = (
    {"id": "WS_CLOSED", "message": odd.PLANTED},
    {"error": {"id": "AUTH_FAILED", "message": odd.PLANTED}},
    {"error": odd.PLANTED},
    {"id": odd.PLANTED},
)
SHORT_TEXTS = st.text(st.characters(max_codepoint=255), max_size=30)


def bodies(name: str) -> st.SearchStrategy[bytes]:
    """Right bodies of a call, nearly right ones, and what is no body at all."""
    right = RIGHT[name]
    near = [odd.json_bytes(right), *(odd.json_bytes(refusal) for refusal in REFUSALS)]
    doubled = json.dumps(right)[:-1] + f', "id": "{odd.PLANTED}", "id": 5}}'
    whole = [b"", odd.written(right), doubled.encode(), b"[" * 100_000, b'{"id":' * 50_000]
    return st.one_of(*near, st.sampled_from(whole))


@st.composite
def delays(draw: st.DrawFn) -> str:
    """`Retry-After` in both its forms, and nearly so."""
    right = draw(
        st.integers(-10, 10**12).map(str)
        | st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)).map(format_datetime)
    )
    return draw(st.just(right) | odd.near(right) | SHORT_TEXTS)


def ended(call: Call[Any], reply: RawReply) -> object:
    """The answer, or the failure; its words are ours, but for ids and statuses."""
    tried["replies"] += 1
    try:
        answer = decide(call, reply, NOW)
    except StepError as error:
        assert error.failure in Failure
        assert odd.PLANTED not in odd.told(error)
        assert str(odd.NUMBER) not in odd.told(error)
        assert error.sentence.isprintable()
        assert len(error.sentence) < 300
        assert error.retry_after is None or timedelta(0) < error.retry_after <= HOUR
        return error.failure
    assert isinstance(answer, call.answer)
    if isinstance(answer, ClientReply):
        assert all(answer.addresses(curve) is not None for curve in Curve)
    return answer


@EVERY
@examples(25, 300)
@given(data=st.data())
def test_a_reply_ends_in_an_answer_or_in_a_failure(name: str, data: st.DataObject) -> None:
    """Whatever status, headers and body: nothing else, and nothing of the body."""
    body = data.draw(bodies(name))
    status = data.draw(st.sampled_from([200, 200, 200, 201, 204]) | st.integers(0, 999))
    headers = data.draw(st.dictionaries(st.sampled_from(["retry-after", "date", "x"]), delays()))
    ended(CALLS[name], RawReply(status, headers, body))


@EVERY
def test_a_secret_at_any_place_of_a_reply_is_not_repeated(name: str) -> None:
    """Each field and each key in turn, in a success and in a refusal."""
    right = RIGHT[name]
    assert not isinstance(ended(CALLS[name], RawReply(200, {}, odd.written(right))), Failure)
    for at in odd.places(right):
        for secret in (odd.PLANTED, odd.NUMBER, [odd.PLANTED], {odd.PLANTED: odd.PLANTED}):
            body = odd.written(odd.put(right, at, secret))
            for status in (200, 400, 404, 500):
                ended(CALLS[name], RawReply(status, {"retry-after": odd.PLANTED}, body))


@examples(100, 1000)
@given(text=delays())
def test_a_delay_is_one_or_none(text: str) -> None:
    """In whatever form: more than nothing and an hour at most, or nothing at all."""
    tried["replies"] += 1
    wait = retry_after(RawReply(429, {"retry-after": text}, b""), NOW)
    assert wait is None or timedelta(0) < wait <= HOUR


@examples(20, 200)
@given(seconds=st.integers(1, 10**9))
def test_a_delay_reads_the_same_in_both_forms(seconds: int) -> None:
    """Seconds and a date say the same; never more than an hour."""
    dated = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    waits = [retry_after(RawReply(429, {"retry-after": text}, b""), NOW) for text in (str(seconds), dated)]
    assert waits == [min(timedelta(seconds=seconds), HOUR)] * 2


def test_a_share_in_a_reply_shows_in_no_repr() -> None:
    """An answer that holds a share can be logged by mistake, and shows nothing."""
    body = odd.written(customer().shares())
    answer = decide(calls.BACK_UP, RawReply(200, {}, body), NOW)
    assert all(share["share"][:40] not in repr(answer) for share in json.loads(body).values())
