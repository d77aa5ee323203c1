"""What our own clients put on the wire, at the hosts that the settings name unless they are changed."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
from pydantic import SecretStr

from contracts.providers import Provider
from portal.client import ClientApi
from portal.custodian import CustodianApi
from portal.profiles import PROFILES
from runtime.settings import Settings

CUSTODIANS_KEY, CLIENTS_TOKEN = "custodians-key", "clients-token"
Do = Callable[[CustodianApi, ClientApi], Awaitable[object]]


async def sent(do: Do, reply: Any, provider: Provider = Provider.PORTAL) -> httpx.Request:
    """The one request of a call, which is answered with this JSON."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(204) if reply is None else httpx.Response(200, json=reply)

    settings, transport = Settings(), httpx.MockTransport(answer)
    hosts = settings.portal_url, settings.enclave_url, settings.gateway_url
    portal, enclave, gateway = (httpx.AsyncClient(base_url=host, transport=transport) for host in hosts)
    async with portal, enclave, gateway:
        at = gateway if provider is Provider.TATUM else portal
        custodian = CustodianApi(at, SecretStr(CUSTODIANS_KEY), PROFILES[provider])
        await do(custodian, ClientApi(portal, enclave, SecretStr(CLIENTS_TOKEN)))
    (request,) = seen
    return request
