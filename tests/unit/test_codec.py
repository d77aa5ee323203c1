"""The payload codec and its converter: what comes back, what is refused, and in which words."""

import base64
import secrets

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.exceptions import ApplicationError

from runtime.codec import ENCODING, KEY_ID, CodecError, EjectCodec, read_keys
from runtime.converter import data_converter
from tests.harness.codecs import as_setting, new_key

KEYS = {"a": new_key(), "b": new_key()}
PAYLOADS = st.builds(
    Payload,
    metadata=st.dictionaries(st.text(max_size=9), st.binary(max_size=40), max_size=3),
    data=st.binary(max_size=400),
)
PLAIN = b"a word that nobody may read"


async def sealed(codec: EjectCodec, data: bytes = PLAIN) -> Payload:
    """One payload as the codec stores it."""
    (payload,) = await codec.encode([Payload(metadata={"encoding": b"json/plain"}, data=data)])
    return payload


@settings(max_examples=50, deadline=None)
@given(st.lists(PAYLOADS, max_size=4))
async def test_every_payload_comes_back(payloads: list[Payload]) -> None:
    """Whatever it holds, in its order; also for a codec in which its key is not the first."""
    encoded = await EjectCodec(KEYS).encode(payloads)
    assert [payload.metadata["encoding"] for payload in encoded] == [ENCODING] * len(payloads)
    assert await EjectCodec(dict(reversed(KEYS.items()))).decode(encoded) == payloads


async def test_the_first_key_encrypts_and_nothing_repeats() -> None:
    """Its id stands in the metadata; the same payload is another cipher text each time, without its words."""
    codec = EjectCodec(KEYS)
    many = [await sealed(codec) for _ in range(20)]
    assert {payload.metadata[KEY_ID] for payload in many} == {b"a"}
    assert len({payload.data for payload in many}) == len({p.data[:12] for p in many}) == len(many)
    assert all(PLAIN not in p.SerializeToString() and b"json/plain" not in p.data for p in many)


async def test_without_a_key_nothing_is_encrypted() -> None:
    """The codec is off, and still says what it cannot open."""
    off = EjectCodec({})
    plain = Payload(metadata={"encoding": b"json/plain"}, data=PLAIN)
    assert not off.encrypts
    assert await off.encode([plain]) == [plain]
    assert await off.decode([plain]) == [plain]
    with pytest.raises(CodecError, match="encrypted with the key a: add that key to EJECT_CODEC_KEYS"):
        off.open(await sealed(EjectCodec(KEYS)))


async def test_what_is_not_encrypted_passes() -> None:
    """A start as plain JSON from another language, and history that is older than the keys."""
    plain = Payload(metadata={"encoding": b"json/plain"}, data=PLAIN)
    assert EjectCodec(KEYS).open(plain) == plain


@pytest.mark.parametrize("at", [0, 11, 12, 30, -1])
async def test_changed_data_do_not_open(at: int) -> None:
    """One bit of nonce, cipher text or tag."""
    payload = await sealed(EjectCodec(KEYS))
    changed = bytearray(payload.data)
    changed[at] ^= 1
    refused(Payload(metadata=dict(payload.metadata), data=bytes(changed)), "does not open with the key a")


@pytest.mark.parametrize("length", [0, 11, 12, 27])
async def test_data_cut_short_do_not_open(length: int) -> None:
    """Down to nothing at all."""
    payload = await sealed(EjectCodec(KEYS))
    refused(Payload(metadata=dict(payload.metadata), data=payload.data[:length]), "does not open")


async def test_a_key_id_is_bound_to_what_it_encrypted() -> None:
    """Under another id nothing opens, even where both ids hold the same key."""
    payload = await sealed(EjectCodec(KEYS))
    payload.metadata[KEY_ID] = b"b"
    refused(payload, "does not open with the key b")
    same = EjectCodec({"a": KEYS["a"], "b": KEYS["a"]})
    with pytest.raises(CodecError, match="does not open with the key b"):
        same.open(payload)


@pytest.mark.parametrize("key", [None, b"", b"\xff", b"PLANTED words of a stranger", b"k" * 65])
async def test_a_strangers_key_id_is_not_repeated(key: bytes | None) -> None:
    """The metadata are anybody's."""
    payload = await sealed(EjectCodec(KEYS))
    del payload.metadata[KEY_ID]
    if key is not None:
        payload.metadata[KEY_ID] = key
    refused(payload, "An encrypted payload names no key of ours: another codec wrote it")


def refused(payload: Payload, words: str) -> None:
    """Refused with these words, and with none of the payload's data."""
    with pytest.raises(CodecError, match=words) as caught:
        EjectCodec(KEYS).open(payload)
    assert "PLANTED" not in str(caught.value)
    assert base64.b64encode(payload.data).decode() not in str(caught.value) or not payload.data
    assert caught.value.__cause__ is None


async def test_what_is_shut_is_refused_where_it_is_read() -> None:
    """One shut payload does not keep the others of a task from being read; its reader is told why."""
    lacking, other = data_converter(EjectCodec({"b": KEYS["b"]})), data_converter(EjectCodec(KEYS))
    shut, opens = [*await other.encode(["shut"]), *await lacking.encode(["opens"])]
    forged = Payload()
    forged.CopyFrom(shut)
    forged.metadata["unopened"] = b"PLANTED"
    left, opened = await EjectCodec({"b": KEYS["b"]}).decode([shut, opens])
    assert (left.data, opened.data) == (shut.data, b'"opens"')
    for payload in (shut, forged):
        with pytest.raises(CodecError) as caught:
            await lacking.decode([payload])
        assert str(caught.value) == (
            "A payload is encrypted with the key a: add that key to EJECT_CODEC_KEYS"
        )
    twice = await EjectCodec(KEYS).encode([shut])
    with pytest.raises(CodecError, match="encrypted twice"):
        await other.decode(twice)


async def test_failures_are_encoded_where_there_is_a_key() -> None:
    """Message, stack and causes; the type stays. Without a key they are plain, as ever."""
    try:
        try:
            raise ApplicationError("inner words", type="Inner")
        except ApplicationError as inner:
            raise ApplicationError("outer words", type="Outer") from inner
    except ApplicationError as error:
        met = error
    for codec, hidden in ((EjectCodec(KEYS), True), (EjectCodec({}), False)):
        converter, failure = data_converter(codec), Failure()
        await converter.encode_failure(met, failure)
        for words in ("outer words", "inner words", "test_codec.py"):
            assert (words in str(failure)) is not hidden
        assert failure.application_failure_info.type == "Outer"
        read = await converter.decode_failure(failure)
        assert isinstance(read, ApplicationError)
        assert isinstance(read.cause, ApplicationError)
        assert (read.message, read.cause.message) == ("outer words", "inner words")


async def test_an_encoded_failure_that_is_shut_is_refused() -> None:
    """A parked step must not have another reason on a worker that lacks a key."""
    failure = Failure()
    await data_converter(EjectCodec(KEYS)).encode_failure(ApplicationError("words", type="T"), failure)
    for codec in (EjectCodec({"b": KEYS["b"]}), EjectCodec({})):
        copy = Failure()
        copy.CopyFrom(failure)
        with pytest.raises(CodecError, match="encrypted with the key a"):
            await data_converter(codec).decode_failure(copy)


def test_keys_are_read_in_their_order() -> None:
    """The first encrypts."""
    keys = {"2031-01": new_key(), "2030_07": new_key(), "a": new_key()}
    assert list(read_keys(as_setting(keys)).items()) == list(keys.items())


SHORT = base64.b64encode(secrets.token_bytes(31)).decode()
GOOD = base64.b64encode(new_key()).decode()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must be"),
        ("{}", "must be"),
        ("[]", "must be"),
        ("null", "must be"),
        (GOOD, "must be"),
        ("[" * 20000, "must be"),
        ('{"a": 5}', "must be"),
        ('{"a": {"b": "c"}}', "must be"),
        (f'[["a", "{GOOD}"]]', "must be"),
        (f'{{"a": "{SHORT}"}}', "must be"),
        (f'{{"a": "{GOOD}!"}}', "must be"),
        (f'{{"a": "{GOOD}", "b": ""}}', "must be"),
        (f'{{"a b": "{GOOD}"}}', "key id that is not"),
        (f'{{"": "{GOOD}"}}', "key id that is not"),
        (f'{{"a": "{GOOD}", "a": "{GOOD}"}}', "names a key id twice"),
    ],
    ids=range(15),
)
def test_keys_that_are_none_are_refused(text: str, words: str) -> None:
    """In words that hold no part of a key."""
    with pytest.raises(ValueError, match=words) as caught:
        read_keys(text)
    assert GOOD not in str(caught.value)
    assert SHORT not in str(caught.value)
