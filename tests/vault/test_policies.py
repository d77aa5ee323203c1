"""The policies of `deploy/s3/` on a server that enforces them: each user has what it needs, no more."""

import json
from collections.abc import Awaitable, Callable, Iterator
from copy import deepcopy
from typing import Any

import pytest

from contracts import names
from contracts.failures import Failure, StepError
from contracts.names import Role
from custody.vault import Vault
from tests.harness.s3 import USERS, S3Server

pytestmark = pytest.mark.production

EJECT, CLIENT, WALLET = "0198c1f0-6d7e-7a51-9d2c-8c8a3d2b6f10", "client-1", "wallet-1"
# Every kind of file that the vault holds, by the names that the steps use.
PLACES = {
    "shares": names.deposit_name(CLIENT),
    "api key": names.api_key_name(CLIENT),
    "backup": names.backup_name(EJECT),
    "half": names.custodian_half_name(EJECT, WALLET),
    "released client": names.released_name(EJECT, Role.CLIENT, WALLET),
    "released custodian": names.released_name(EJECT, Role.CUSTODIAN, WALLET),
    "receipt": names.receipt_name(CLIENT, EJECT),
    "entry": names.chain_name(1),
    "list": names.mass_list_name("all"),
    "page": names.mass_page_name("all", 0),
}
DEPOSITS, RELEASED = ("shares", "api key"), ("released client", "released custodian")
LISTS = ("list", "page")
# What each may do where: list, read, write, delete. The workers list everything: to one that may not, S3
# calls a missing file forbidden. Names hold ids that Temporal shows them anyway.
ALLOWED: dict[str, dict[str, str]] = {
    "custodian": {
        **dict.fromkeys(DEPOSITS, "l"),
        "backup": "lrd",
        "half": "lrwd",
        **dict.fromkeys(RELEASED, "lrwd"),
        "receipt": "lrw",
        "entry": "lrw",
        **dict.fromkeys(LISTS, "lr"),
    },
    "client": {
        **dict.fromkeys(PLACES, "l"),
        **dict.fromkeys(DEPOSITS, "lrd"),
        "backup": "lrw",
    },
    "reader": dict.fromkeys(RELEASED, "lr"),
    "depositor": dict.fromkeys(DEPOSITS, "w"),
    "sweeper": {**dict.fromkeys(DEPOSITS, "l"), **dict.fromkeys(("backup", "half", *RELEASED), "ld")},
    "auditor": {"receipt": "lr", "entry": "lr"},
    "mass-exit": {**dict.fromkeys(LISTS, "rw"), "receipt": "lr"},
}


def folder_of(name: str) -> str:
    """The prefix by which its files are listed."""
    return name.rpartition("/")[0] + "/"


async def may(doing: Awaitable[object]) -> bool:
    """Whether it was done; otherwise it was refused, and in no other way."""
    try:
        await doing
    except StepError as error:
        assert error.failure is Failure.VAULT_REFUSED, error.sentence
        return False
    return True


@pytest.mark.parametrize("user", USERS)
async def test_each_user_may_do_its_own_and_nothing_else(s3: S3Server, user: str) -> None:
    """Every right at every place; whatever is not named above is refused."""
    owner, vault = s3.vault(), s3.vault(user)
    for place, name in PLACES.items():
        await owner.replace(name, b"x")
        found = ""
        found += "l" if await may(vault.names(folder_of(name))) else ""
        found += "r" if await may(vault.read(name)) else ""
        found += "w" if await may(vault.replace(name, b"y")) else ""
        found += "d" if await may(_delete(owner, vault, name)) else ""
        assert found == ALLOWED[user].get(place, ""), place
        if "d" not in found:
            assert await owner.read(name) is not None
    if user not in ("custodian", "client"):
        assert not await may(vault.names(""))


async def _delete(owner: Vault, vault: Vault, name: str) -> None:
    """Delete one file, also where listing is not allowed: the listing is the owner's."""
    await owner.replace(name, b"x")
    found = await owner.names(folder_of(name))
    listings = [found, []]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(vault, "_names", lambda _: listings.pop(0))
        assert await vault.remove_all(folder_of(name)) == len(found)


def atoms(policy: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The policy without one action, one place or one prefix, for each of them; with what is left out."""
    for at, statement in enumerate(policy["Statement"]):
        for key in ("Action", "Resource"):
            for left_out in _listed(statement[key]):
                yield f"{at} {key} {left_out}", _without(policy, at, (key,), left_out)
        if "Condition" in statement:
            path = ("Condition", "StringLike", "s3:prefix")
            for left_out in _listed(statement["Condition"]["StringLike"]["s3:prefix"]):
                yield f"{at} prefix {left_out}", _without(policy, at, path, left_out)


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _without(policy: dict[str, Any], at: int, path: tuple[str, ...], left_out: str) -> dict[str, Any]:
    changed = deepcopy(policy)
    where = changed["Statement"][at]
    for key in path[:-1]:
        where = where[key]
    where[path[-1]] = [value for value in _listed(where[path[-1]]) if value != left_out]
    if not where[path[-1]]:
        del changed["Statement"][at]
    return changed


Do = Callable[[Vault], Awaitable[object]]


def _reads(*places: str) -> list[Do]:
    return [lambda vault, name=PLACES[place]: vault.read(name) for place in places]  # type: ignore[misc]


def _creates(*places: str) -> list[Do]:
    return [lambda vault, name=PLACES[place]: vault.create(name, b"x") for place in places]  # type: ignore[misc]


def _removes(*prefixes: str) -> list[Do]:
    return [lambda vault, prefix=prefix: vault.remove_all(prefix) for prefix in prefixes]  # type: ignore[misc]


def _lists(*prefixes: str) -> list[Do]:
    return [lambda vault, prefix=prefix: vault.modified(prefix) for prefix in prefixes]  # type: ignore[misc]


# What the steps and commands of each do; a create reads what it finds.
NEEDED: dict[str, list[Do]] = {
    "custodian": [
        *_reads("backup", *LISTS),
        *_creates("half", *RELEASED, "receipt", "entry"),
        lambda vault: vault.probe(names.custodian_half_name("probe-1", "probe")),
        *_removes(names.held_prefix(EJECT), names.released_prefix(EJECT)),
    ],
    "client": [
        *_reads(*DEPOSITS),
        *_creates("backup"),
        lambda vault: vault.read(names.deposit_name("nobody")),
        *_removes(folder_of(names.deposit_name(CLIENT))),
    ],
    "reader": [*_lists(names.released_prefix(EJECT)), *_reads(*RELEASED)],
    "depositor": [
        lambda vault: vault.replace(PLACES["shares"], b"x"),
        lambda vault: vault.replace(PLACES["api key"], b"x"),
    ],
    "sweeper": [
        *_lists("held/", "released/", "deposits/"),
        *_removes(names.held_prefix(EJECT), names.released_prefix(EJECT)),
    ],
    "auditor": [
        *_lists("receipts/", "chain/"),
        *_reads("receipt", "entry"),
    ],
    "mass-exit": [
        *_creates(*LISTS),
        *_lists("receipts/"),
        *_reads("receipt", *LISTS),
    ],
}


async def works(s3: S3Server, user: str) -> bool:
    """Whether a user can do all that it is there for, beside files that are there already."""
    owner, vault = s3.vault(), s3.vault(user)
    there = await owner.names("")
    for name in set(PLACES.values()) - set(there):
        await owner.replace(name, b"x")
    for do in NEEDED[user]:
        if not await may(do(vault)):
            return False
    return True


@pytest.mark.parametrize("user", USERS)
async def test_every_right_is_needed(s3: S3Server, user: str) -> None:
    """With the policy its work is done; without any one action, place or prefix, something is refused."""
    assert await works(s3, user)
    policy = json.loads(s3.policy_of(user))
    spare = []
    for left_out, changed in atoms(policy):
        s3.set_policy(user, json.dumps(changed))
        if await works(s3, user):
            spare.append(left_out)
    assert spare == []
