"""What a reply means: the tables of portal/calls.py, one row at a time."""

import json
from datetime import timedelta
from typing import Any

import pytest

from contracts.failures import Failure, StepError
from contracts.wallets import Curve
from portal import calls
from portal.calls import Call, RawReply, decide
from portal.replies import Nothing
from tests.unit.fakes import NOW

SECRET = "Zq7planted0share1that2nobody3may4see"  # noqa: S105 (planted to be looked for)

CALLS: dict[str, Call[Any]] = {name: call for name, call in vars(calls).items() if isinstance(call, Call)}

STATUSES = {
    100: Failure.PORTAL_REFUSED,
    302: Failure.PORTAL_REFUSED,
    304: Failure.PORTAL_REFUSED,
    400: Failure.PORTAL_REFUSED,
    401: Failure.CREDENTIAL_REJECTED,
    402: Failure.PORTAL_REFUSED,
    403: Failure.CREDENTIAL_REJECTED,
    404: Failure.NOT_FOUND,
    405: Failure.PORTAL_REFUSED,
    408: Failure.PORTAL_UNAVAILABLE,
    409: Failure.PORTAL_REFUSED,
    413: Failure.PORTAL_REFUSED,
    422: Failure.PORTAL_REFUSED,
    425: Failure.PORTAL_UNAVAILABLE,
    429: Failure.PORTAL_THROTTLED,
    500: Failure.PORTAL_UNAVAILABLE,
    502: Failure.PORTAL_UNAVAILABLE,
    503: Failure.PORTAL_UNAVAILABLE,
    504: Failure.PORTAL_UNAVAILABLE,
    529: Failure.PORTAL_UNAVAILABLE,
}
# One table per call: a call that comes to mean something else by a status gets a table of its own here.
TABLES: dict[str, dict[int, Failure]] = {
    "READ_CLIENT": STATUSES,
    "LIST_CLIENTS": STATUSES,
    "MINT_SESSION": STATUSES,
    "ENABLE_EJECT": STATUSES,
    "FETCH_SHARES": STATUSES,
    "READ_CLIENT_AS_ITSELF": STATUSES,
    "STORE_CIPHER_TEXT": STATUSES,
    "READ_CIPHER_TEXT": STATUSES,
    "CONFIRM_BACKUP": STATUSES,
    "COMPLETE": STATUSES,
    "BACK_UP": STATUSES,
    "FETCH_SHARES_AS_CLIENT": STATUSES,
    "COMPLETE_WALLET": STATUSES,
}
PAGE = f"<html><h1>502</h1>{SECRET}</html>"
# The documented error bodies, those of Tatum and of proxies, and no JSON that could be one.
ERROR_BODIES = (
    json.dumps({"error": SECRET}),
    "{}",
    json.dumps({"id": SECRET, "message": SECRET}),
    json.dumps({"error": {"id": SECRET, "message": SECRET, "code": 320}}),
    json.dumps({"statusCode": 401, "errorCode": SECRET, "message": SECRET}),
    json.dumps({"id": [SECRET]}),
    json.dumps([SECRET]),
    json.dumps(SECRET),
    "null",
    f"Authorization header is missing {SECRET}",
    PAGE,
    "",
    b"\xff\xfe no text at all",
    "[" * 100_000,
)

IDS: dict[str, Failure | None] = {  # None: the status decides
    "ERROR": Failure.PORTAL_UNAVAILABLE,
    "INTERNAL_ERROR": Failure.PORTAL_UNAVAILABLE,
    "BAD_REQUEST": None,
    "NOT_FOUND": None,
    "STATE_INVALID": None,
    "OPERATION_IN_PROGRESS": Failure.PORTAL_UNAVAILABLE,
    "WEBHOOK_FAILED": Failure.PORTAL_UNAVAILABLE,
    "AUTH_FAILED": Failure.CREDENTIAL_REJECTED,
    "MPC_PROTOCOL_UNSUPPORTED": None,
    "WS_NETWORK_ERROR": Failure.PORTAL_UNAVAILABLE,
    "WS_CLOSED": Failure.PORTAL_UNAVAILABLE,
    "WS_READ_FAILED": Failure.PORTAL_UNAVAILABLE,
    "WS_WRITE_FAILED": Failure.PORTAL_UNAVAILABLE,
    "DKG_FAILED": Failure.PORTAL_UNAVAILABLE,
    "DKG_REFRESH_FAILED": Failure.PORTAL_UNAVAILABLE,
    "DKG_REFRESH_MISMATCH": None,
    "ENCRYPT_FAILED": Failure.PORTAL_UNAVAILABLE,
    "DECRYPT_FAILED": Failure.DEPOSIT_UNREADABLE,
    "SAVE_BACKUP_SHARE_FAILED": Failure.PORTAL_UNAVAILABLE,
    "SHARE_PARSING_FAILED": Failure.DEPOSIT_UNREADABLE,
    "METADATA_INVALID": None,
}

CLIENT: dict[str, Any] = {"id": "client-1"}
SHARE = {"share": SECRET, "id": "pair-1"}
# Per call: the smallest right answer, and answers of the wrong shape with the field that the error names.
ANSWERS: dict[str, tuple[Any, list[tuple[Any, str]]]] = {
    "READ_CLIENT": (
        CLIENT,
        [
            ({}, "id"),
            ({"id": SECRET + "!"}, "id"),
            ([SECRET], "its body"),
            (None, "its body"),
            (CLIENT | {"ejectedAt": SECRET}, "ejectedAt"),
            (CLIENT | {"wallets": SECRET}, "wallets"),
            (CLIENT | {"wallets": [{"id": "w", "curve": SECRET}]}, "wallets.0.curve"),
            (
                CLIENT | {"wallets": [{"id": "w", "curve": "ED25519", "publicKey": SECRET}]},
                "wallets.0.publicKey",
            ),
            (CLIENT | {"metadata": {"namespaces": [SECRET]}}, "metadata.namespaces"),
        ],
    ),
    "LIST_CLIENTS": (
        {"results": [CLIENT], "metadata": {"cursor": None, "take": 50, "total": 1}},
        [
            ({}, "metadata, results"),
            ({"results": [CLIENT]}, "metadata"),
            ({"results": [{}], "metadata": {}}, "results.0.id"),
            ({"results": [CLIENT], "metadata": {"cursor": SECRET + "!"}}, "metadata.cursor"),
            ({"results": SECRET, "metadata": {}}, "results"),
            ([CLIENT], "its body"),
        ],
    ),
    "READ_CLIENT_AS_ITSELF": (CLIENT, [({}, "id"), ({"client": CLIENT}, "id")]),
    "MINT_SESSION": (
        {"clientSessionToken": SECRET},
        [({}, "clientSessionToken"), ({"clientSessionToken": [SECRET]}, "clientSessionToken")],
    ),
    "ENABLE_EJECT": (
        {"ejectableUntil": "2026-03-05T00:00:00Z"},
        [
            ({}, "ejectableUntil"),
            ({"ejectableUntil": None}, "ejectableUntil"),
            ({"ejectableUntil": SECRET}, "ejectableUntil"),
            ({"ejectableUntil": "0001-01-01T00:00:00+14:00"}, "ejectableUntil"),
        ],
    ),
    "FETCH_SHARES": (
        {"encryptedClientBackupShare": None, "custodianBackupShare": SECRET},
        [
            ({}, "custodianBackupShare"),
            ({"custodianBackupShare": {"share": SECRET}}, "custodianBackupShare"),
            (
                {"custodianBackupShare": SECRET, "encryptedClientBackupShare": [SECRET]},
                "encryptedClientBackupShare",
            ),
        ],
    ),
    "FETCH_SHARES_AS_CLIENT": (
        {"data": {"encryptedClientBackupShare": None, "custodianBackupShare": SECRET}},
        [
            ({"data": {}}, "custodianBackupShare"),
            ({}, "custodianBackupShare"),
            ({"custodianBackupShare": {"share": SECRET}}, "custodianBackupShare"),
            (
                {"custodianBackupShare": SECRET, "encryptedClientBackupShare": [SECRET]},
                "encryptedClientBackupShare",
            ),
        ],
    ),
    "READ_CIPHER_TEXT": (
        {"cipherText": "sealed"},
        [
            ({}, "cipherText"),
            ({"cipherText": None}, "cipherText"),
            ({"clientCipherText": [SECRET]}, "clientCipherText"),
            (SECRET, "its body"),
        ],
    ),
    "BACK_UP": (
        {"SECP256K1": SHARE, "ED25519": SHARE},
        [
            ({"SECP256K1": {"share": [SECRET], "id": "pair-1"}}, "SECP256K1.share"),
            ({"ED25519": {"share": SECRET}}, "ED25519.id"),
            (SECRET, "its body"),
        ],
    ),
}


def reply(status: int, body: str | bytes) -> RawReply:
    """A reply without headers."""
    return RawReply(status, {}, body if isinstance(body, bytes) else body.encode())


def refused(call: Call[Any], status: int, body: str | bytes) -> StepError:
    """The error that a reply is decided to be."""
    with pytest.raises(StepError) as caught:
        decide(call, reply(status, body), NOW)
    return caught.value


def test_every_call_has_its_rows() -> None:
    """A new call must say here what its statuses and its answers mean."""
    assert TABLES.keys() == CALLS.keys()
    assert {name for name, call in CALLS.items() if call.answer is not Nothing} == ANSWERS.keys()


@pytest.mark.parametrize(
    ("name", "status", "failure"),
    [(name, status, failure) for name, table in TABLES.items() for status, failure in table.items()],
)
def test_a_status_means_what_its_table_says(name: str, status: int, failure: Failure) -> None:
    """Whatever the body is, the status decides, and no word of the body is repeated."""
    for body in ERROR_BODIES:
        error = refused(CALLS[name], status, body)
        assert error.failure is failure
        assert error.sentence == f"Portal answered {status} to '{CALLS[name].name}'"
        assert error.retry_after is None


@pytest.mark.parametrize("status", [400, 401, 404, 409, 500])
@pytest.mark.parametrize(("error_id", "failure"), IDS.items())
def test_an_error_id_of_the_enclave_goes_before_the_status(
    error_id: str, failure: Failure | None, status: int
) -> None:
    """Flat or nested, an id that tells more than the status decides, and is told."""
    for body in (
        {"id": error_id, "message": SECRET},
        {"error": {"id": error_id, "message": SECRET, "code": 1}},
    ):
        error = refused(calls.BACK_UP, status, json.dumps(body))
        assert error.failure is (failure or STATUSES[status])
        assert error.sentence == f"Portal answered {status} {error_id} to 'back up'"


@pytest.mark.parametrize("error_id", ["ZQ7PLANTED0SEED1IN2BASE32", "WS_CLOSED\n", "ws_closed", "", 5, None])
def test_only_a_documented_error_id_is_told(error_id: object) -> None:
    """An id that Portal never documented could be any text, a seed in base32 too."""
    error = refused(calls.BACK_UP, 400, json.dumps({"id": error_id}))
    assert error.failure is Failure.PORTAL_REFUSED
    assert error.sentence == "Portal answered 400 to 'back up'"


@pytest.mark.parametrize("name", [name for name, call in CALLS.items() if not call.ids])
def test_outside_the_enclave_an_id_decides_nothing(name: str) -> None:
    """Error ids are the enclave's words: elsewhere only the status counts."""
    error = refused(CALLS[name], 400, json.dumps({"id": "INTERNAL_ERROR"}))
    assert error.failure is Failure.PORTAL_REFUSED
    assert "INTERNAL" not in error.sentence


@pytest.mark.parametrize("status", [200, 201, 202, 204])
@pytest.mark.parametrize("name", sorted(CALLS))
def test_any_2xx_with_a_right_body_is_the_answer(name: str, status: int) -> None:
    """Documents disagree about 200 and 204, so each success counts; a call without an answer reads none."""
    bodies = (json.dumps(ANSWERS[name][0]),) if name in ANSWERS else ERROR_BODIES
    for body in bodies:
        if body == PAGE:
            continue  # see below
        answer = decide(CALLS[name], reply(status, body), NOW)
        assert type(answer) is CALLS[name].answer
        assert SECRET not in f"{answer!r} {answer}"


@pytest.mark.parametrize("name", sorted(ANSWERS))
@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-1],
        lambda text: "",
        lambda text: f"<html>{SECRET}</html>",
        lambda text: "[" * 100_000,
        lambda text: f'{{"id": "{SECRET}',
    ],
    ids=["cut", "nothing", "page", "deep", "open string"],
)
def test_a_success_that_is_no_json_is_a_lost_reply(name: str, damage: Any) -> None:
    """Portal may have done its work, so the next attempt reads first."""
    error = refused(CALLS[name], 200, damage(json.dumps(ANSWERS[name][0])))
    assert error.failure is Failure.REPLY_LOST
    assert SECRET not in error.sentence


@pytest.mark.parametrize("name", sorted(CALLS.keys() - ANSWERS.keys()))
def test_a_page_is_no_success_where_no_answer_is_read_either(name: str) -> None:
    """What stands before Portal may answer 200 with a page of its own: Portal did nothing then."""
    error = refused(CALLS[name], 200, f"\n{PAGE}")
    assert error.failure is Failure.REPLY_LOST
    assert SECRET not in error.sentence


@pytest.mark.parametrize("status", [204, 205])
@pytest.mark.parametrize("name", sorted(ANSWERS))
def test_a_success_that_has_no_body_on_purpose_parks(name: str, status: int) -> None:
    """Nothing was lost, so asking again would bring the same, and a back up new pairs each time."""
    error = refused(CALLS[name], status, "")
    assert error.failure is Failure.REPLY_UNREADABLE
    assert error.sentence == f"Portal's answer to '{CALLS[name].name}' has no or another form of: its body"


@pytest.mark.parametrize(
    ("name", "body", "field"),
    [(name, body, field) for name, (_, wrong) in ANSWERS.items() for body, field in wrong],
)
def test_a_success_of_another_shape_names_the_field_only(name: str, body: object, field: str) -> None:
    """An unknown form parks with the field's name, and never shows what stood there."""
    error = refused(CALLS[name], 200, json.dumps(body))
    assert error.failure is Failure.REPLY_UNREADABLE
    assert error.sentence == f"Portal's answer to '{CALLS[name].name}' has no or another form of: {field}"


def test_the_names_that_portal_chooses_are_not_repeated() -> None:
    """A namespace is a key of Portal's map, so an entry of another form is passed over, not named."""
    body = CLIENT | {"metadata": {"namespaces": {SECRET: 5}}}
    answer = decide(calls.READ_CLIENT, reply(200, json.dumps(body)), NOW)
    assert answer.addresses(Curve.ED25519) == {}


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", None),
        ("1", 1),
        (" 30 ", 30),
        ("3600", 3600),
        ("3601", 3600),
        ("9" * 400, 3600),
        ("Wed, 04 Mar 2026 05:06:17 GMT", 10),
        ("Wed, 04 Mar 2026 05:06:17 -0000", 10),
        ("Wed, 04 Mar 2026 06:06:17 +0100", 10),
        ("Wednesday, 04-Mar-26 05:06:17 GMT", 10),
        ("Wed, 04 Mar 2026 05:06:07 GMT", None),
        ("Wed, 04 Mar 2026 05:06:06 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3600),
        ("Fri, 31 Dec 99999 23:59:59 GMT", None),
        ("Wed, 04 Mar 2026 05:06:17 +9999999999999", None),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_read_in_both_forms(value: str | None, seconds: int | None) -> None:
    """Seconds or a date, an hour at most; what makes no sense is as if it were not there."""
    headers = {} if value is None else {"retry-after": value}
    for status in (429, 503):
        with pytest.raises(StepError) as caught:
            decide(calls.READ_CLIENT, RawReply(status, headers, b""), NOW)
        assert caught.value.retry_after == (None if seconds is None else timedelta(seconds=seconds))
