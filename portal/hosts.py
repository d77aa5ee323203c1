"""The hosts that an eject calls, each with a client of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from contracts.providers import Provider
from portal.http import portal_client


@dataclass(frozen=True)
class Hosts:
    """Portal's API, its enclave, and whoever answers the custodian's calls: Portal, or a gateway to it."""

    portal: httpx.AsyncClient
    enclave: httpx.AsyncClient
    custodian: httpx.AsyncClient


@asynccontextmanager
async def open_hosts(
    provider: Provider, *, portal_url: str, enclave_url: str, gateway_url: str
) -> AsyncIterator[Hosts]:
    """Connections to the hosts of one provider, closed with the block."""
    async with (
        portal_client(portal_url) as portal,
        portal_client(enclave_url, enclave=True) as enclave,
        portal_client(gateway_url) as gateway,
    ):
        yield Hosts(portal, enclave, portal if provider is Provider.PORTAL else gateway)
