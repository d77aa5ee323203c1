"""What a worker finds out about its vault before it relies on it: a store that lies is refused."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from contracts.failures import Failure, StepError
from custody.vault import Vault
from tests.harness.relay import Reply, Request, error, relaying
from tests.unit.fakes import vault_url

ROOT = "/bucket/"
NAME = "held/probe-1/custodian/probe.json"


@dataclass
class Store:
    """An S3 that keeps what the vault relies on, in memory."""

    files: dict[str, bytes] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=lambda: {"etag": '"1"'})

    def __call__(self, request: Request) -> Reply:
        """Answer one call."""
        name = unquote(urlsplit(request.path).path.removeprefix(ROOT))
        done: Callable[[str, Request], Reply] = getattr(self, request.call)
        return done(name, request)

    def get(self, name: str, _: Request) -> Reply:
        """Read."""
        return self._file(name) if name in self.files else error(404, "NoSuchKey")

    def put(self, name: str, request: Request) -> Reply:
        """Write, create-only where that is asked for."""
        if name in self.files and request.headers.get("if-none-match") == "*":
            return error(412, "PreconditionFailed")
        self.files[name] = request.body
        return Reply(200, b"", self.headers)

    def list(self, _: str, request: Request) -> Reply:
        """List a prefix."""
        (prefix,) = parse_qs(urlsplit(request.path).query)["prefix"]
        about = "<LastModified>2026-01-01T00:00:00Z</LastModified><Size>1</Size>"
        names = [name for name in self.files if name.startswith(prefix)]
        rows = "".join(f"<Contents><Key>{name}</Key>{about}</Contents>" for name in names)
        return Reply(200, f"<ListBucketResult>{rows}</ListBucketResult>".encode())

    def delete(self, name: str, _: Request) -> Reply:
        """Delete."""
        self.files.pop(name, None)
        return Reply(204)

    def _file(self, name: str) -> Reply:
        stamp = {"last-modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
        return Reply(200, self.files[name], self.headers | stamp)


class Overwrites(Store):
    """It knows no conditions, and answers 200."""

    def put(self, name: str, request: Request) -> Reply:
        """Write whatever is there."""
        self.files[name] = request.body
        return Reply(200, b"", self.headers)


class KnowsNoConditions(Store):
    """It says so."""

    def put(self, name: str, request: Request) -> Reply:
        """Refuse a condition."""
        if "if-none-match" in request.headers:
            return error(501, "NotImplemented")
        return super().put(name, request)


class Forgets(Store):
    """It keeps the first content of a file."""

    def put(self, name: str, request: Request) -> Reply:
        """Answer 200 without writing."""
        return super().put(name, request) if name not in self.files else self._kept(request)

    def _kept(self, request: Request) -> Reply:
        conditional = "if-none-match" in request.headers
        return error(412, "PreconditionFailed") if conditional else Reply(200, b"", self.headers)


class ListsNothing(Store):
    """Its listings are empty."""

    def list(self, _: str, request: Request) -> Reply:
        """Nothing."""
        return Reply(200, b"<ListBucketResult></ListBucketResult>")


class HidesWhatIsMissing(Store):
    """The worker may read and not list."""

    def get(self, name: str, request: Request) -> Reply:
        """As S3 answers where listing is not allowed."""
        return super().get(name, request) if name in self.files else error(403, "AccessDenied")


class KeepsDeleted(Store):
    """Its deletions do nothing, and its listings hide that."""

    gone = False

    def delete(self, name: str, request: Request) -> Reply:
        """Say so and do nothing."""
        self.gone = True
        return Reply(204)

    def list(self, name: str, request: Request) -> Reply:
        """Nothing, after a deletion."""
        return Reply(200, b"<ListBucketResult/>") if self.gone else super().list(name, request)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials of nobody."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")


async def probed(store: Store) -> tuple[str, ...]:
    """What the probe says of a store."""
    with relaying() as relay:
        relay.answer = store
        return await Vault("s3://bucket", {"endpoint": relay.endpoint}).probe(NAME)


@pytest.mark.usefixtures("environment")
async def test_a_good_store_passes_and_is_left_as_it_was() -> None:
    """On S3: the probe's file is gone, and the files of others are there."""
    store = Store({"held/a/client/backup.json": b"sealed"})
    assert await probed(store) == ()
    assert store.files == {"held/a/client/backup.json": b"sealed"}


async def test_a_folder_passes(tmp_path: Path) -> None:
    """The same on a file system."""
    vault = Vault(vault_url(tmp_path))
    assert await vault.probe(NAME) == ()
    assert await vault.names("held/") == []


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(
    ("store", "told"),
    [
        (Overwrites(), "writes over a file that may be written once only: it lacks conditional writes"),
        (
            KnowsNoConditions(),
            "writing failed: The vault's store refuses what the vault needs of it, with status 501",
        ),
        (Forgets(), "does not read back what was written"),
        (ListsNothing(), "does not list what was written"),
        (KeepsDeleted(), "keeps files that were deleted"),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_a_store_that_cannot_be_relied_on_is_refused(store: Store, told: str) -> None:
    """Each in one sentence; a store that overwrites would destroy the only copy of a sealed half."""
    with pytest.raises(StepError) as caught:
        await probed(store)
    assert caught.value.failure is Failure.VAULT_REFUSED
    assert caught.value.sentence.removeprefix("The vault's store ") == told


@pytest.mark.usefixtures("environment")
async def test_a_worker_that_may_not_list_is_refused() -> None:
    """To it a missing file looks like a forbidden one, so every first step of an eject would park."""
    with pytest.raises(StepError) as caught:
        await probed(HidesWhatIsMissing())
    assert caught.value.sentence == "reading failed: The vault refuses this worker's credentials"


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(("version", "told"), [("v1", True), ("null", False), ("", False)])
async def test_a_bucket_that_keeps_versions_is_told_of(version: str, told: bool) -> None:
    """S3 names the version of each write; what is purged from such a bucket is still in it."""
    store = Store()
    store.headers |= {"x-amz-version-id": version} if version else {}
    notes = await probed(store)
    assert ["keeps versions" in note for note in notes] == ([True] if told else [])
