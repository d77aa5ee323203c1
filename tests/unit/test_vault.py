"""The vault on a real file system, and what it says when its store does not answer.

What holds for every store: tests/vault/test_contract.py.
"""

import errno
import os
import stat
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from obstore import exceptions
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

from contracts.failures import Failure, StepError
from custody.vault import Vault
from tests.device.bundles import leaked
from tests.unit.fakes import vault_url

SECRET = "/Zq7planted/path?X-Amz-Signature=Zq7planted"  # noqa: S105 (planted to be looked for)
NAME = "held/eject-1/client/backup.json"


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    """A vault on a file system."""
    return Vault(vault_url(tmp_path))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where its files lie."""
    return tmp_path / "vault"


@pytest.fixture
def loose_umask() -> Iterator[None]:
    """A process that would make files for everybody."""
    before = os.umask(0)
    yield
    os.umask(before)


async def test_a_missing_file_is_none(vault: Vault) -> None:
    """Absence is an answer, also in a folder that does not exist."""
    await vault.create(NAME, b"x")
    assert await vault.read("held/eject-1/client/other.json") is None
    assert await vault.read("nowhere/at/all.json") is None


async def test_remove_all_takes_its_prefix_and_nothing_else(vault: Vault, root: Path) -> None:
    """The files go with their folder, what an interrupted write left too; the neighbour's stay."""
    for name in ("held/a/client/1.json", "held/a/custodian/2.json", "held/ab/client/3.json"):
        await vault.create(name, b"x")
    # As a process leaves it that is killed while it writes.
    staged = root / "held/a/client/x.json#1"
    staged.write_bytes(b"half a file")
    assert "held/a/client/x.json#1" not in await vault.names("held/a/")
    assert await vault.remove_all("held/a/") == 2
    assert not (root / "held/a").exists()
    assert await vault.names("held/") == ["held/ab/client/3.json"]
    assert await vault.remove_all("held/a/") == 0


async def test_remove_all_goes_on_until_the_listing_is_empty(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is written while others are removed goes too."""
    left = [["held/a/1.json"], ["held/a/late.json"], []]
    removed: list[list[str]] = []
    monkeypatch.setattr(vault, "_names", lambda _: left.pop(0))
    fake = SimpleNamespace(delete=lambda _, names: removed.append(names))
    monkeypatch.setattr("custody.vault.obstore", fake)
    assert await vault.remove_all("held/a/") == 2
    assert removed == [["held/a/1.json"], ["held/a/late.json"]]


@pytest.mark.usefixtures("loose_umask")
async def test_only_the_owner_may_read(tmp_path: Path) -> None:
    """0600 and 0700, whatever the umask is and whatever the folder was before."""
    root = tmp_path / "vault"
    root.mkdir(mode=0o755)
    vault = Vault(vault_url(tmp_path))
    await vault.create(NAME, b"x")
    await vault.create("held/eject-1/custodian/w.json", b"x")
    await vault.replace("deposits/client-1/signing-shares.json", b"x")
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in [root, *root.rglob("*")]}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}


@pytest.mark.usefixtures("loose_umask")
def test_a_new_vault_is_its_owners(tmp_path: Path) -> None:
    """Before the first file is there, too; a path with a space is that path."""
    Vault((tmp_path / "a vault").as_uri())
    assert stat.S_IMODE((tmp_path / "a vault").stat().st_mode) == 0o700


@pytest.mark.parametrize("again", [False, True])
async def test_a_write_survives_a_power_cut(
    vault: Vault, root: Path, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    """The file and every folder above it are synced, also by who only finds the file of another."""
    if again:
        await vault.create(NAME, b"x")
    opened: dict[int, Path] = {}
    synced: list[Path] = []
    real_open, real_sync = os.open, os.fsync

    def noted_open(path: Path, flags: int) -> int:
        handle = real_open(path, flags)
        opened[handle] = path
        return handle

    def noted_sync(handle: int) -> None:
        synced.append(opened[handle])
        real_sync(handle)

    monkeypatch.setattr(os, "open", noted_open)
    monkeypatch.setattr(os, "fsync", noted_sync)
    await vault.create(NAME, b"x")
    folders = [root, root / "held", root / "held/eject-1", root / "held/eject-1/client"]
    assert set(synced) >= {root / NAME, *folders}


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "/a/folder",
        "file://",
        "file:///",
        "file:relative/Zq7planted",
        "file://data/Zq7planted",
        "file:///dev/null/Zq7planted",
        "gopher://Zq7planted",
        "http://[Zq7planted",
        "s3://",
    ],
)
def test_a_url_that_names_no_store_of_ours_is_refused_unseen(url: str) -> None:
    """Said when the worker starts, and never understood as another folder than the one that was meant."""
    with pytest.raises(ValueError, match="cannot be opened") as caught:
        Vault(url)
    assert "Zq7planted" not in f"{caught.value} {caught.value!r}"


Do = Callable[[Vault], Awaitable[object]]
OPERATIONS: dict[str, Do] = {
    "create": lambda vault: vault.create(NAME, b"x"),
    "replace": lambda vault: vault.replace(NAME, b"x"),
    "read": lambda vault: vault.read(NAME),
    "names": lambda vault: vault.names("held/"),
    "remove_all": lambda vault: vault.remove_all("held/"),
}
# What exists or is missing is an answer and no trouble, so these two mean something else to some operations.
ANSWERS = ("AlreadyExistsError", "NotFoundError")
TROUBLES: list[Exception] = [
    *(
        kind(SECRET)
        for name, kind in vars(exceptions).items()
        if isinstance(kind, type) and issubclass(kind, BaseError) and name not in ANSWERS
    ),
    PermissionError(errno.EACCES, "denied", SECRET),
    OSError(errno.ENOSPC, "full", SECRET),
    OSError(errno.EIO, "broken", SECRET),
]


@pytest.mark.parametrize(
    "trouble", TROUBLES, ids=lambda trouble: f"{type(trouble).__name__}-{trouble.args[0]}"[:40]
)
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_store_in_trouble_is_a_step_error(
    vault: Vault, monkeypatch: pytest.MonkeyPatch, operation: str, trouble: Exception
) -> None:
    """What the store denies is refused, all else is unavailable; neither tells the store's own words."""

    def fail(*_: Any, **__: Any) -> Any:
        raise trouble

    monkeypatch.setattr("custody.vault.obstore", SimpleNamespace(put=fail, get=fail, list=fail, delete=fail))
    with pytest.raises(StepError) as caught:
        await OPERATIONS[operation](vault)
    refused = isinstance(trouble, PermissionDeniedError | UnauthenticatedError | PermissionError)
    assert caught.value.failure is (Failure.VAULT_REFUSED if refused else Failure.VAULT_UNAVAILABLE)
    assert "Zq7planted" not in f"{caught.value} {caught.value!r} {caught.value.args}"
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


async def test_a_file_that_goes_while_it_is_created_is_tried_again(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was there when we wrote and is gone when we read: nobody's content may be the answer."""
    await vault.create(NAME, b"first")
    monkeypatch.setattr(vault, "_read", lambda _: None)
    with pytest.raises(StepError) as caught:
        await vault.create(NAME, b"second")
    assert caught.value.failure is Failure.VAULT_UNAVAILABLE
    assert leaked(caught.value, ["second"]) == []
