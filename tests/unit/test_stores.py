"""What S3 answers in place of doing what it was asked: which answers wait for a person, which for time."""

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from contracts.failures import Failure, StepError
from custody.vault import Vault
from tests.harness.relay import LOST, Relay, Reply, Request, error, relaying
from tests.harness.tls import untrusted

NAME = "held/eject-1/client/backup.json"
LISTED = b"<ListBucketResult><Contents><Key>%b</Key><LastModified>2026-01-01T00:00:00Z</LastModified>" % (
    NAME.encode()
)
LISTING = LISTED + b"<Size>1</Size></Contents></ListBucketResult>"
SECRET = "Zq7planted"  # noqa: S105 (planted to be looked for)

CREDENTIALS = "The vault refuses this worker's credentials"
EXPIRED = f"{CREDENTIALS}: they have expired"
REGION = "The vault's bucket is not in the region or at the endpoint that this worker's settings name"
NO_BUCKET = "The vault's bucket does not exist"
KEY = "The vault's store cannot use the key that this worker's settings name for encryption"


def unable(status: int) -> str:
    """The sentence for a store that cannot do what the vault needs."""
    return f"The vault's store refuses what the vault needs of it, with status {status}"


def waits(status: int) -> str:
    """The sentence for what passes."""
    return f"The vault could not be used: it answered with status {status}"


DAMAGED = "The vault could not be used: a file was damaged on its way"
PARKED = {
    (403, "AccessDenied"): CREDENTIALS,
    (403, "InvalidAccessKeyId"): CREDENTIALS,
    (403, "SignatureDoesNotMatch"): CREDENTIALS,
    (403, "AllAccessDisabled"): CREDENTIALS,
    (403, ""): CREDENTIALS,
    (401, ""): CREDENTIALS,
    (400, "InvalidToken"): CREDENTIALS,
    (400, "ExpiredToken"): EXPIRED,
    (404, "NoSuchBucket"): NO_BUCKET,
    (301, "PermanentRedirect"): REGION,
    (307, "TemporaryRedirect"): REGION,
    (400, "AuthorizationHeaderMalformed"): REGION,
    (400, "KMS.DisabledException"): KEY,
    (400, "KMS.NotFoundException"): KEY,
    (400, "InvalidRequest"): unable(400),
    (405, "MethodNotAllowed"): unable(405),
    (501, "NotImplemented"): unable(501),
}
RETRIED = {
    (400, "RequestTimeout"): "The vault could not be used: it waited too long for this worker",
    (400, "BadDigest"): DAMAGED,
    (400, "XAmzContentSHA256Mismatch"): DAMAGED,
    (400, ""): waits(400),
    (403, "RequestTimeTooSkewed"): "The vault finds this worker's clock wrong: set it",
    (429, "TooManyRequests"): waits(429),
    (500, "InternalError"): waits(500),
    (502, ""): waits(502),
    (503, "SlowDown"): waits(503),
    (503, "ServiceUnavailable"): waits(503),
    (504, ""): waits(504),
}
TABLE = [
    *((answer, Failure.VAULT_REFUSED, told) for answer, told in PARKED.items()),
    *((answer, Failure.VAULT_UNAVAILABLE, told) for answer, told in RETRIED.items()),
]
Do = Callable[[Vault], Awaitable[object]]
# Each with the S3 call that is answered so; before a delete comes a listing that finds something.
OPERATIONS: dict[str, tuple[str, Do]] = {
    "create": ("put", lambda vault: vault.create(NAME, b"x")),
    "replace": ("put", lambda vault: vault.replace(NAME, b"x")),
    "read": ("get", lambda vault: vault.read(NAME)),
    "names": ("list", lambda vault: vault.names("held/")),
    "modified": ("list", lambda vault: vault.modified("held/")),
    "remove_all": ("delete", lambda vault: vault.remove_all("held/")),
}


@pytest.fixture(scope="module")
def running() -> Iterator[Relay]:
    """One server for the whole table."""
    with relaying() as relay:
        yield relay


@pytest.fixture
def relay(running: Relay) -> Relay:
    """A server that answers what the test says."""
    running.requests.clear()
    return running


def opened(relay: Relay, **more: str) -> Vault:
    """A vault on it."""
    own = {"endpoint": relay.endpoint, "region": "here", "access_key_id": "a", "secret_access_key": SECRET}
    return Vault("s3://bucket/prefix", own | more)


async def failed(doing: Awaitable[object]) -> StepError:
    """The failure, which says nothing of the store's own words and addresses."""
    with pytest.raises(StepError) as caught:
        await doing
    said = f"{caught.value} {caught.value!r} {caught.value.args} {caught.value.__cause__}"
    assert caught.value.__suppress_context__
    assert not [word for word in (SECRET, "127.0.0.1", "localhost", "<Error>", NAME) if word in said]
    return caught.value


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_every_answer_of_s3_is_retried_or_parks(relay: Relay, operation: str) -> None:
    """The same answer means the same to every call, a listing's too; a park says what to mend."""
    call, do = OPERATIONS[operation]
    vault = opened(relay)
    for (status, code), failure, told in TABLE:
        answer = error(status, code) if code else Reply(status, f"<html>{SECRET}</html>".encode())
        relay.answer = lambda request, answer=answer: (  # type: ignore[misc]
            answer if request.call == call else Reply(200, LISTING)
        )
        trouble = await failed(do(vault))
        assert (trouble.failure, trouble.sentence) == (failure, told), (status, code)


async def test_a_missing_file_is_none_and_a_missing_bucket_is_not(relay: Relay) -> None:
    """Both are 404: what is taken for a missing file would make a new backup, or lose a deposit."""
    relay.answer = lambda _: error(404, "NoSuchKey")
    assert await opened(relay).read(NAME) is None
    relay.answer = lambda _: error(404, "NoSuchBucket")
    assert (await failed(opened(relay).read(NAME))).sentence == NO_BUCKET


async def test_a_file_that_was_not_deleted_does_not_count(relay: Relay) -> None:
    """Each is deleted by a call of its own: the one for many answers 200 where some stay."""
    listing = LISTING.replace(b"</ListBucketResult>", LISTED.partition(b">")[2].replace(b"backup", b"other"))
    listing += b"<Size>1</Size></Contents></ListBucketResult>"

    def answer(request: Request) -> Reply:
        if request.call == "list":
            return Reply(200, listing)
        return error(403, "AccessDenied") if "other" in request.path else Reply(204)

    relay.answer = answer
    assert (await failed(opened(relay).remove_all("held/"))).failure is Failure.VAULT_REFUSED
    asked = sorted((request.method, request.path.rpartition("/")[2]) for request in relay.requests[1:])
    assert asked == [("DELETE", "backup.json"), ("DELETE", "other.json")]


async def test_a_conflict_is_never_somebody_elses_content(relay: Relay) -> None:
    """S3 answers 409 to a create-only write that met a deletion: nothing is there, so it is tried again."""
    relay.answer = lambda request: (
        error(409, "ConditionalRequestConflict") if request.call == "put" else error(404, "NoSuchKey")
    )
    assert (await failed(opened(relay).create(NAME, b"x"))).failure is Failure.VAULT_UNAVAILABLE


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_lost_reply_and_a_dead_server_are_retried(operation: str) -> None:
    """The connection ends, or nobody listens: time mends both."""
    with relaying() as relay:
        relay.answer = lambda _: LOST
        relay.behind = None
        vault = opened(relay)
        lost = await failed(OPERATIONS[operation][1](vault))
    dead = await failed(OPERATIONS[operation][1](vault))
    assert {lost.failure, dead.failure} == {Failure.VAULT_UNAVAILABLE}


async def test_a_certificate_that_nobody_vouches_for_is_told(tmp_path: Path) -> None:
    """Retried, because the store's side mends it, and the waiting step says what it waits for."""
    with relaying(tls=untrusted(tmp_path)) as relay:
        trouble = await failed(opened(relay).read(NAME))
        assert relay.requests == []
    assert trouble.failure is Failure.VAULT_UNAVAILABLE
    assert trouble.sentence == "The vault could not be used: its certificate is not trusted"


@pytest.mark.parametrize(
    "variable", ["", "AWS_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_STS"]
)
def test_plain_http_is_for_this_machine_only(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """Whatever AWS_ALLOW_HTTP says, and however the endpoint is named."""
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")

    def open_at(endpoint: str) -> None:
        if variable:
            monkeypatch.setenv(variable, endpoint)
        Vault("s3://bucket", None if variable else {"endpoint": endpoint})

    for good in ("http://127.0.0.1:9000", "http://localhost:9000", "http://[::1]:9000", "https://s3.example"):
        open_at(good)
    for bad in ("http://s3.example", "http://127.0.0.1.example", "http://10.0.0.1", f"ftp://{SECRET}", "s3"):
        with pytest.raises(ValueError, match=r"https:// \(http:// only on this machine\)") as caught:
            open_at(bad)
        assert SECRET not in f"{caught.value!r}"


async def test_the_environment_says_where_and_how(monkeypatch: pytest.MonkeyPatch, relay: Relay) -> None:
    """A worker's AWS_ variables: endpoint, region, credentials with a session, every write's encryption."""
    told = {
        "AWS_ENDPOINT_URL": relay.endpoint,
        "AWS_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "AKIATEST",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "session",
        "AWS_SERVER_SIDE_ENCRYPTION": "aws:kms",
        "AWS_SSE_KMS_KEY_ID": "alias/eject",
        "AWS_SSE_BUCKET_KEY_ENABLED": "true",
    }
    for variable, value in told.items():
        monkeypatch.setenv(variable, value)
    relay.answer = lambda _: Reply(200, b"x", {"etag": '"1"'})
    vault = Vault("s3://bucket/prefix")
    await vault.create(NAME, b"x")
    await vault.replace(NAME, b"x")
    created, replaced = relay.requests
    for request in (created, replaced):
        assert request.path == f"/bucket/prefix/{NAME}"
        assert "Credential=AKIATEST/" in request.headers["authorization"]
        assert "/eu-central-1/s3/" in request.headers["authorization"]
        assert request.headers["x-amz-security-token"] == "session"
        assert request.headers["x-amz-server-side-encryption"] == "aws:kms"
        assert request.headers["x-amz-server-side-encryption-aws-kms-key-id"] == "alias/eject"
        assert request.headers["x-amz-server-side-encryption-bucket-key-enabled"] == "true"
    assert (created.headers["if-none-match"], replaced.headers.get("if-none-match")) == ("*", None)


async def test_s3s_own_key_is_asked_for_by_one_variable(
    monkeypatch: pytest.MonkeyPatch, relay: Relay
) -> None:
    """AES256, and nothing is said where nothing is set: then the bucket's default holds."""
    relay.answer = lambda _: Reply(200, b"x", {"etag": '"1"'})
    await opened(relay).create(NAME, b"x")
    monkeypatch.setenv("AWS_SERVER_SIDE_ENCRYPTION", "AES256")
    await opened(relay).create(NAME, b"x")
    bare, encrypted = (request.headers.get("x-amz-server-side-encryption") for request in relay.requests)
    assert (bare, encrypted) == (None, "AES256")
