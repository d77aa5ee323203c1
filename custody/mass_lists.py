"""The lists of mass exits in the vault: too long for Temporal, public, and bound to a digest.

The sealing recipients stand in them: whoever reads a page compares it with the digest that the mass exit was
started with, so that a page that somebody changed is not acted on.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from contracts.base import canonical
from contracts.failures import Failure, StepError
from contracts.mass import PAGE, MassList, MassPage
from contracts.names import mass_list_name, mass_page_name
from contracts.request import EjectRequest
from custody.vault import Vault

M = TypeVar("M", bound=BaseModel)

# Files that are written at once.
_AT_ONCE = 16


async def write_list(vault: Vault, name: str, requests: Sequence[EjectRequest]) -> str | None:
    """Write a list under a name, once; its digest, or None where the name has another list already."""
    pages = [
        canonical(MassPage(requests=tuple(requests[at : at + PAGE]))) for at in range(0, len(requests), PAGE)
    ]
    head = canonical(MassList(count=len(requests), pages=tuple(map(_digest, pages))))
    # First, so that of two lists under one name one wins; a repeat writes what is missing.
    if await vault.create(mass_list_name(name), head) != head:
        return None
    places = asyncio.Semaphore(_AT_ONCE)

    async def write(number: int, page: bytes) -> bool:
        async with places:
            return await vault.create(mass_page_name(name, number), page) == page

    written = await asyncio.gather(*(write(number, page) for number, page in enumerate(pages)))
    return _digest(head) if all(written) else None


async def read_list(vault: Vault, name: str, digest: str | None = None) -> MassList:
    """What a list consists of; StepError where it is not there, or not the one with this digest."""
    written = await vault.read(mass_list_name(name))
    if written is None or (digest is not None and _digest(written) != digest):
        raise _changed(mass_list_name(name))
    return _read(MassList, mass_list_name(name), written)


async def read_page(vault: Vault, name: str, of: MassList, number: int) -> tuple[EjectRequest, ...]:
    """One page; StepError where it is missing or was changed."""
    written = await vault.read(mass_page_name(name, number))
    if written is None or _digest(written) != of.pages[number]:
        raise _changed(mass_page_name(name, number))
    return _read(MassPage, mass_page_name(name, number), written).requests


def _read(kind: type[M], name: str, written: bytes) -> M:
    try:
        return kind.model_validate_json(written)
    except ValidationError:
        raise _changed(name) from None


def _changed(name: str) -> StepError:
    told = f"{name} is missing in the vault, or is not what the mass exit was started with: put it back"
    return StepError(Failure.HELD_MISSING, told)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
