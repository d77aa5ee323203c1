"""`worker.py --check`: everything that a worker of a role needs, looked at without serving anybody."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta

import httpx
from pydantic import SecretStr

from contracts.failures import Failure, StepError
from contracts.providers import Provider
from custody.probing import try_as_client, try_as_custodian
from custody.vault import Vault
from portal.custodian import CustodianApi
from portal.hosts import Hosts
from portal.probing import reach
from portal.profiles import PROFILES
from runtime.settings import Settings, WorkerRole
from runtime.uses import uses_of
from serving.checking_temporal import look_at_temporal
from serving.fitting import read_wrong, vault_of
from serving.steps import hosts_of
from serving.trying import DoubtError, Found, Level, UnfitError, tried

# Windows are minutes long at least, and a wrong clock shifts them.
_SKEW = timedelta(seconds=60)


async def check(role: WorkerRole, tell: Callable[[str], object]) -> int:
    """Tell a line for each check, as they come; the exit code: 0, or 2 where something must be mended."""
    settings, wrong = read_wrong(role)
    failed = bool(wrong)
    for told in wrong.values():
        tell(str(Found(Level.FAIL, "settings", told)))
    if not wrong:
        tell(str(Found(Level.OK, "settings", f"nothing is missing for the role {role}, nothing malformed")))
    async with hosts_of(settings) as hosts:
        parts = (
            _temporal(role, settings, wrong),
            _vault(role, settings, wrong),
            _portal(role, settings, wrong, hosts),
            _addresses(role, settings, wrong),
        )
        # All at once, told in their order.
        for part in [asyncio.create_task(_all(part)) for part in parts]:
            for found in await part:
                tell(str(found))
                failed |= found.level is Level.FAIL
    return 2 if failed else 0


async def _all(part: AsyncIterator[Found]) -> list[Found]:
    return [found async for found in part]


async def _temporal(role: WorkerRole, settings: Settings, wrong: dict[str, str]) -> AsyncIterator[Found]:
    if "temporal" in wrong:
        yield Found(Level.SKIP, "temporal", "its settings must be right first")
        return
    keys = settings.model_copy(update={"production": False})
    codec = None if "codec_keys" in wrong else keys.codec()
    async for found in look_at_temporal(role, settings, codec):
        yield found


async def _vault(role: WorkerRole, settings: Settings, wrong: dict[str, str]) -> AsyncIterator[Found]:
    if "vault_url" in wrong:
        yield Found(Level.SKIP, "vault", "EJECT_VAULT_URL must be right first")
        return
    vault = vault_of(settings)
    if role is not WorkerRole.CLIENT:
        yield await tried("vault", _custodians(vault))
    if role is not WorkerRole.CUSTODIAN:
        yield await tried("vault", try_as_client(vault))


async def _custodians(vault: Vault) -> str:
    told, notes = await try_as_custodian(vault)
    if notes:
        raise DoubtError("; ".join(notes))
    return told


async def _portal(
    role: WorkerRole, settings: Settings, wrong: dict[str, str], hosts: Hosts
) -> AsyncIterator[Found]:
    calls = {"portal": hosts.portal}
    if settings.provider is Provider.TATUM and (role is not WorkerRole.CLIENT or settings.mints(role)):
        calls["gateway"] = hosts.custodian
    if role is not WorkerRole.CUSTODIAN:
        calls["enclave"] = hosts.enclave
    skews: dict[str, timedelta] = {}
    silent = set(wrong)
    for name, http in calls.items():
        if f"{name}_url" in wrong:
            yield Found(Level.SKIP, name, f"EJECT_{name.upper()}_URL must be right first")
        else:
            answered = await tried(name, _answers(name, http, skews))
            silent |= {f"{name}_url"} if answered.level is Level.FAIL else set()
            yield answered
    if "portal" in skews:
        yield await tried("clock", _clock(skews["portal"]))
    if role is not WorkerRole.CLIENT or settings.mints(role):
        at = "gateway" if settings.provider is Provider.TATUM else "portal"
        if {"custodian_api_key", f"{at}_url"} & silent:
            yield Found(Level.SKIP, "credential", f"the line of {at}, or of its setting, must be right first")
            return
        key = settings.custodian_api_key or SecretStr("")
        custodian = CustodianApi(hosts.custodian, key, PROFILES[settings.provider])
        yield await tried("credential", _credential(custodian))
    else:
        told = "this role has none: each client's own API key is deposited (`starter.py deposit --api-key`)"
        yield Found(Level.OK, "credential", told)


async def _answers(name: str, http: httpx.AsyncClient, skews: dict[str, timedelta]) -> str:
    host = http.base_url.netloc.decode()
    try:
        skew = await reach(http)
    except StepError as error:
        raise UnfitError(
            f"{host} {error.sentence}: mend EJECT_{name.upper()}_URL, or the way there"
        ) from None
    if skew is not None:
        skews[name] = skew
    return f"{host} answers"


async def _credential(custodian: CustodianApi) -> str:
    try:
        await custodian.list_clients()  # the one documented read that needs no client
    except StepError as error:
        if error.failure is Failure.CREDENTIAL_REJECTED:
            raise UnfitError(f"{error.sentence}: mend EJECT_CUSTODIAN_API_KEY") from None
        raise
    return "EJECT_CUSTODIAN_API_KEY is taken"


async def _clock(skew: timedelta) -> str:
    seconds = round(abs(skew.total_seconds()))
    side = "behind" if skew > timedelta(0) else "before"
    if abs(skew) > _SKEW:
        raise DoubtError(f"this machine's is {seconds} s {side} Portal's: set it by NTP")
    return f"within {_SKEW.total_seconds():.0f} s of Portal's"


async def _addresses(role: WorkerRole, settings: Settings, wrong: dict[str, str]) -> AsyncIterator[Found]:
    for name, address in _listened_at(role, settings):
        if name not in wrong:
            yield await tried(name.replace("_", " "), _free(name, address))


def _listened_at(role: WorkerRole, settings: Settings) -> Iterator[tuple[str, str]]:
    """Every address at which a worker of this role will listen."""
    for name, setting in Settings.model_fields.items():
        address = getattr(settings, name)
        uses = uses_of(setting)
        if name.endswith("_address") and address and any(uses.is_for(p, mints=False) for p in role.programs):
            yield name, address


async def _free(name: str, address: str) -> str:
    host, _, port = address.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host.strip("[]"), int(port)), family=family).close()
    except (OSError, OverflowError):
        raise UnfitError(
            f"nothing can listen at {address}, or something does: "
            f"name a free address of this machine in EJECT_{name.upper()}"
        ) from None
    return f"{address} is free"
