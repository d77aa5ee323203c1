"""The vault: one object store, named by one URL, in which every file is sealed or public.

`file://` is for one machine and one user; `s3://` and the other schemes that obstore knows are opened with
obstore's own settings from the environment (`AWS_...`; docs/vault.md). Temporal retries, so the store's own
retries are off.
"""

import asyncio
import os
import shutil
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotFoundError
from obstore.store import LocalStore, ObjectStore, from_url

from contracts.failures import Failure, StepError
from custody.stores import as_step_error, is_missing

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Config  # exist for type checkers only

T = TypeVar("T")

# More than a store with delayed listings needs; a locked object would be listed for ever.
_LISTINGS = 20
# A write that was given up must land, or fail, before the purge looks for the second time.
_BOUNDED: "ClientConfig" = {"timeout": "8s", "connect_timeout": "5s"}
_VERSIONS = "The vault's bucket keeps versions: what is purged stays until a lifecycle rule removes old ones"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
# Where obstore is told where S3 and its token service are.
_ENDPOINTS = ("AWS_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_STS")


class Vault:
    """Files by name; writes are create-only unless they say otherwise, and all I/O runs in threads.

    `options` are S3 settings by obstore's names, each instead of the environment's: for a process that opens
    a vault as several users. ValueError where the URL names no store that can be opened.
    """

    def __init__(self, url: str, options: Mapping[str, str] | None = None) -> None:
        self._root: Path | None = None
        self._store: ObjectStore
        try:
            parts = urlsplit(url)
            if parts.scheme == "file":
                self._root = Path(unquote(parts.path))
                # `file://data/vault` means the folder /vault of a host; the root folder is never only ours.
                if parts.netloc or not self._root.is_absolute() or self._root.parent == self._root:
                    raise ValueError
                self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._store = LocalStore(self._root, automatic_cleanup=True)
            else:
                self._store = _remote(url, parts.scheme, dict(options or {}))
        except (BaseError, OSError, ValueError):
            # Their texts may repeat the address, which may hold a credential.
            raise ValueError(
                "cannot be opened: use file:///a/folder/of/ours or s3://bucket/prefix, and an S3 endpoint "
                "that begins with https:// (http:// only on this machine)"
            ) from None

    async def create(self, name: str, data: bytes) -> bytes:
        """Write a file that is not there yet, and return what is there now.

        If it exists, its content is the answer: so a repeat after "written, but nobody heard" does no harm.
        """
        return await self._in_thread(lambda: self._create(name, data))

    async def replace(self, name: str, data: bytes) -> None:
        """Write a file whether it exists or not; for deposits, which a person may mend."""
        await self._in_thread(lambda: self._put(name, data, "overwrite"))

    async def read(self, name: str) -> bytes | None:
        """A file's content, or None where there is none."""
        return await self._in_thread(lambda: self._read(name))

    async def names(self, prefix: str) -> list[str]:
        """The names of all files under a prefix that ends with a slash."""
        return await self._in_thread(lambda: self._names(prefix))

    async def modified(self, prefix: str) -> dict[str, datetime]:
        """The files under a prefix that ends with a slash, each with the time of its last change in UTC."""
        return await self._in_thread(
            lambda: {
                m["path"]: m["last_modified"] for page in obstore.list(self._store, prefix) for m in page
            }
        )

    async def remove_all(self, prefix: str) -> int:
        """Remove every file under a prefix, until its listing is empty; returns how many there were."""
        return await self._in_thread(lambda: self._remove_all(prefix))

    async def probe(self, name: str) -> tuple[str, ...]:
        """Try everything that the vault relies on, with a file alone in a folder that this worker may delete.

        StepError with the sentence for what this worker may not do or the store does not keep; the answer is
        what works and somebody must know all the same.
        """
        return await self._in_thread(lambda: self._probe(name))

    def _probe(self, name: str) -> tuple[str, ...]:
        prefix = name.rpartition("/")[0] + "/"

        def expect(kept: bool, otherwise: str) -> None:
            if not kept:
                raise StepError(Failure.VAULT_REFUSED, f"The vault's store {otherwise}")

        def doing(what: str, work: Callable[[], T]) -> T:
            try:
                return work()
            except (BaseError, OSError) as error:
                told = as_step_error(error)
            raise StepError(told.failure, f"{what} failed: {told.sentence}")

        def content() -> bytes | None:
            return doing("reading", lambda: self._read(name))

        # A missing file must be seen as missing: without the right to list, S3 refuses to say.
        expect(content() is None, "has files that nobody wrote")
        version = doing("writing", lambda: self._put(name, b"first", "create"))
        try:
            expect(
                doing("writing", lambda: self._create(name, b"second")) == b"first" and content() == b"first",
                "writes over a file that may be written once only: it lacks conditional writes",
            )
            doing("writing", lambda: self._put(name, b"third", "overwrite"))
            expect(content() == b"third", "does not read back what was written")
            listed = doing("listing", lambda: self._names(prefix))
            expect(listed == [name], "does not list what was written")
        finally:
            removed = doing("deleting", lambda: self._remove_all(prefix))
        expect(removed == 1 and content() is None, "keeps files that were deleted")
        return (_VERSIONS,) if version not in (None, "null") else ()

    def _create(self, name: str, data: bytes) -> bytes:
        try:
            self._put(name, data, "create")
        except AlreadyExistsError:
            self._make_durable(name)
            existing = self._read(name)
            if existing is None:
                raise StepError(
                    Failure.VAULT_UNAVAILABLE, "A file was removed from the vault while it was read"
                ) from None
            return existing
        return data

    def _put(self, name: str, data: bytes, mode: str) -> str | None:
        """Write; returns the version's id where the store keeps versions."""
        result = obstore.put(self._store, name, data, mode="create" if mode == "create" else "overwrite")
        self._make_durable(name)
        return result.get("version")

    def _read(self, name: str) -> bytes | None:
        try:
            return bytes(obstore.get(self._store, name).bytes())
        except (NotFoundError, FileNotFoundError) as error:
            if is_missing(error):
                return None
            raise

    def _names(self, prefix: str) -> list[str]:
        return [meta["path"] for page in obstore.list(self._store, prefix) for meta in page]

    def _remove_all(self, prefix: str) -> int:
        removed = 0
        for _ in range(_LISTINGS):
            if not (found := self._names(prefix)):
                break
            obstore.delete(self._store, found)
            removed += len(found)
        else:
            raise StepError(Failure.VAULT_UNAVAILABLE, "The vault lists files that it has deleted")
        if self._root is not None:
            # A process killed while it wrote leaves a part of a file that no listing shows.
            shutil.rmtree(self._root / prefix, ignore_errors=True)
        return removed

    def _make_durable(self, name: str) -> None:
        """On a file system: only the owner may read, and the file and its folders survive a power cut."""
        if self._root is None:
            return
        path = self._root / name
        folders = [path.parent, *path.parent.parents]
        for place, mode in [(path, 0o600), *((folder, 0o700) for folder in folders)]:
            if not place.is_relative_to(self._root):
                break
            place.chmod(mode)
            handle = os.open(place, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(work)
        except (BaseError, OSError) as error:
            raise as_step_error(error) from None


def _remote(url: str, scheme: str, options: dict[str, str]) -> ObjectStore:
    """A store elsewhere; ValueError for an S3 endpoint without TLS that is not this machine's."""
    client, config = _BOUNDED.copy(), options
    if scheme in ("s3", "s3a"):
        named = [options.get("endpoint"), *map(os.environ.get, _ENDPOINTS)]
        plain = [parts for parts in map(urlsplit, filter(None, named)) if parts.scheme != "https"]
        if any(p.scheme != "http" or p.hostname not in _LOOPBACK for p in plain):
            raise ValueError
        # What is given here replaces AWS_ALLOW_HTTP, so nobody can allow it for another machine.
        client["allow_http"] = bool(plain)
        # An eject has a few files. The call that deletes many answers 200 where some stay, and not every
        # store has it, or knows policies in it.
        config = options | {"disable_bulk_delete": "true"}
    known: S3Config = config  # type: ignore[assignment]  # a TypedDict of the same strings
    return from_url(url, config=known, retry_config={"max_retries": 0}, client_options=client)
