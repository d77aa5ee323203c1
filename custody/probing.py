"""Trying out what a role does in the vault, with files of no eject's."""

from collections.abc import Awaitable
from typing import TypeVar
from uuid import uuid4

from contracts.failures import Failure, StepError
from contracts.names import Role, held_prefix, released_prefix
from custody.vault import Vault

T = TypeVar("T")

_FIRST, _SECOND = b'{"check": "first"}', b'{"check": "second"}'


class VaultUnfitError(Exception):
    """The vault does not do what an eject needs of it; the text is one sentence."""


async def try_as_custodian(vault: Vault) -> tuple[str, tuple[str, ...]]:
    """What the custodian role does; answers what was tried, and what somebody should know of the store.

    In `held/` and `released/` a file is written once, read, listed and deleted again. `receipts/` and
    `chain/` are only read: what is written there stays for ever.
    """
    own = str(uuid4())
    notes: set[str] = set()
    for prefix in (held_prefix(own), released_prefix(own)):
        folder = f"{prefix.partition('/')[0]}/"
        notes |= {*await _doing(folder, vault.probe(f"{prefix}{Role.CUSTODIAN}/check.json"))}
    for folder in ("receipts/", "chain/"):
        await _doing(f"reading {folder} failed", vault.read(f"{folder}check/{own}.json"))
    told = "held/ and released/ take, keep and give up files; receipts/ and chain/ are read"
    return told, tuple(sorted(notes))


async def try_as_client(vault: Vault) -> str:
    """What the client role does; answers what was tried.

    It never deletes from `held/`, so its one file has a fixed name, and `starter.py sweep` may remove it.
    """
    await _write_once(vault, f"{held_prefix('check')}{Role.CLIENT}/check.json", "held/")
    prefix = f"deposits/check-{uuid4()}/"
    await _doing("reading deposits/ failed", vault.read(f"{prefix}check.json"))
    await _doing("listing deposits/ failed", vault.names(prefix))
    return "held/ takes and keeps files; deposits/ is read and listed"


async def _write_once(vault: Vault, name: str, folder: str) -> None:
    await _doing(f"writing to {folder} failed", vault.create(name, _FIRST))
    there = await _doing(f"writing to {folder} failed", vault.create(name, _SECOND))
    if there != _FIRST or await _doing(f"reading {folder} failed", vault.read(name)) != _FIRST:
        raise VaultUnfitError(
            "it writes over files that it was told only to create: use a store with conditional writes"
        )


async def _doing(what: str, work: Awaitable[T]) -> T:
    try:
        return await work
    except StepError as error:
        refused = error.failure is Failure.VAULT_REFUSED
        mend = (
            "allow it to this role, or use another store"
            if refused
            else "mend EJECT_VAULT_URL, the store's settings or the way there"
        )
        raise VaultUnfitError(f"{what}: {error.sentence}: {mend}") from None
