"""The vault: one object store, named by one URL, in which every file is sealed or public.

`file://` is for one machine and one user; `s3://` and the other schemes that obstore knows are opened with
obstore's own settings from the environment. Temporal retries, so the store's own retries are off.
"""

import asyncio
import os
import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotFoundError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import LocalStore, ObjectStore, from_url

from contracts.failures import Failure, StepError

if TYPE_CHECKING:
    from obstore.store import ClientConfig  # exists for type checkers only

T = TypeVar("T")

# More than a store with delayed listings needs; a locked object would be listed for ever.
_LISTINGS = 20
# A write that was given up must land, or fail, before the purge looks for the second time.
_BOUNDED: "ClientConfig" = {"timeout": "8s", "connect_timeout": "5s"}


class Vault:
    """Files by name; writes are create-only unless they say otherwise, and all I/O runs in threads.

    ValueError where the URL names no store that can be opened.
    """

    def __init__(self, url: str) -> None:
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
                self._store = from_url(url, retry_config={"max_retries": 0}, client_options=_BOUNDED)
        except (BaseError, OSError, ValueError):
            # Their texts may repeat the address, which may hold a credential.
            raise ValueError("cannot be opened: use file:///a/folder/of/ours or s3://bucket/prefix") from None

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

    def _put(self, name: str, data: bytes, mode: str) -> None:
        obstore.put(self._store, name, data, mode="create" if mode == "create" else "overwrite")
        self._make_durable(name)

    def _read(self, name: str) -> bytes | None:
        try:
            return bytes(obstore.get(self._store, name).bytes())
        except (NotFoundError, FileNotFoundError):
            return None

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
        except (PermissionDeniedError, UnauthenticatedError, PermissionError):
            raise StepError(Failure.VAULT_REFUSED, "The vault refuses this worker's credentials") from None
        except (BaseError, OSError) as error:
            raise StepError(
                Failure.VAULT_UNAVAILABLE, f"The vault could not be used: {type(error).__name__}"
            ) from None
