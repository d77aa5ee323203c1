"""Every way in: each provider, each credential for the fetch, each completion, each backup."""

from dataclasses import replace
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from contracts.base import sentence
from contracts.failures import Failure
from contracts.providers import Completion, Provider
from contracts.request import Backup, FetchAs
from contracts.stages import End, Stage
from device.backups import OwnersBackup
from tests.harness.portal import Customer
from tests.harness.world import World, serving

WAYS = [
    pytest.param(*way, id="-".join(way))
    for way in product(Provider, FetchAs, Completion, Backup)
    # The client's own fetch is of a backup that the owner has made; a fresh one is sealed by the worker.
    if (way[1], way[3]) != (FetchAs.CLIENT, Backup.FRESH)
]


def behind(world: World, provider: Provider, completion: Completion | None = None) -> World:
    """The same world through one provider."""
    through: dict[str, Any] = {"provider": provider, "completion": completion}
    if provider is Provider.TATUM:
        through |= {"gateway_url": world.sandbox.url, "custodian_api_key": world.sandbox.gateway_key}
    return replace(world, settings=world.settings.model_copy(update=through))


@pytest.mark.parametrize(("provider", "fetch_as", "completion", "backup"), WAYS)
async def test_every_sensible_combination_ends_ejected(
    workerless: World, provider: Provider, fetch_as: FetchAs, completion: Completion, backup: Backup
) -> None:
    """The keys are rebuilt, the client is marked once, the custodian's calls went through the provider."""
    world = behind(workerless, provider, completion)
    customer = world.sandbox.seed()
    asked: dict[str, Any] = {"backup": backup, "fetch_as": fetch_as}
    owners = OwnersBackup()
    if backup is Backup.EXISTING:
        owners = OwnersBackup(plain=(world.sandbox.back_up(customer),))
    if fetch_as is FetchAs.CLIENT:
        asked["backup_method"] = "PASSWORD"
    async with serving(world):
        handle = await world.start(customer, **asked)
        await world.reach(handle, Stage.AWAITING_CLAIM)
        answer = await world.claim(customer)
        await world.prove(customer, world.proofs(answer, owners))
        receipt = await world.end(handle)
    assert receipt.end is End.EJECTED
    assert world.completions(customer) == 1
    assert world.left_in_vault() == [f"receipts/{customer.client_id}/{receipt.eject_id}.json"]
    _went_through(world, customer, provider)


REFUSED = {
    ("client", "fresh", "PASSWORD"): "fetch_as: client works with backup existing only",
    ("client", "fresh", None): "fetch_as: client works with backup existing only",
    ("client", "existing", None): "backup_method: must be named with fetch_as client",
    ("custodian", "fresh", "PASSWORD"): "backup_method: is for fetch_as client only",
    ("custodian", "existing", "PASSWORD"): "backup_method: is for fetch_as client only",
}


@pytest.mark.parametrize(("fetch_as", "backup", "method"), list(product(FetchAs, Backup, ("PASSWORD", None))))
def test_every_other_combination_is_refused_by_name(
    world: World, fetch_as: FetchAs, backup: Backup, method: str | None
) -> None:
    """What does not go together names its field; what goes together is a request."""
    asked = {"fetch_as": fetch_as, "backup": backup, "backup_method": method}
    if (fetch_as, backup, method) not in REFUSED:
        assert world.request(Customer("c", SecretStr(""), SecretStr("")), **asked).backup is backup
        return
    with pytest.raises(ValidationError) as caught:
        world.request(Customer("c", SecretStr(""), SecretStr("")), **asked)
    assert REFUSED[fetch_as, backup, method] in sentence(caught.value)


@pytest.mark.parametrize("switch", ["gateway_credits_used_up", "gateway_credits_as_text"])
async def test_used_up_credits_are_waited_for(workerless: World, switch: str) -> None:
    """A 403 about credits passes: the step is tried until there are some again, and nothing parks."""
    world = behind(workerless, Provider.TATUM)
    customer = world.sandbox.seed()
    world.sandbox.switch(**{switch: True})
    async with serving(world):
        handle = await world.start(customer)
        assert await world.forward(handle, timedelta(hours=1))
        (pending,) = (await handle.describe()).raw_description.pending_activities
        assert pending.last_failure.application_failure_info.type == Failure.PORTAL_THROTTLED
        world.sandbox.switch(**{switch: False})
        assert await world.forward(handle, timedelta(minutes=2))
        await world.reach(handle, Stage.AWAITING_CLAIM)
        await world.prove(customer, world.proofs(await world.claim(customer)))
        assert (await world.end(handle)).end is End.EJECTED


async def test_a_missing_permission_parks(workerless: World) -> None:
    """A 403 for want of permission is final until somebody gives the key its permission."""
    world = behind(workerless, Provider.TATUM)
    customer = world.sandbox.seed()
    world.sandbox.switch(gateway_permission_missing=True)
    async with serving(world):
        handle = await world.start(customer)
        await world.reach(handle, Stage.PARKED)
        park = (await world.told(customer)).park
        assert park
        assert (park.step, park.failure) == ("check", Failure.CREDENTIAL_REJECTED)
        world.sandbox.switch(gateway_permission_missing=False)
        await world.retry(customer, park.number)
        await world.reach(handle, Stage.AWAITING_CLAIM)
        await world.prove(customer, world.proofs(await world.claim(customer)))
        assert (await world.end(handle)).end is End.EJECTED


async def test_the_gateways_key_stays_with_the_gateway(workerless: World) -> None:
    """Portal's key is nothing to the gateway; the eject parks and says whose credential is wrong."""
    world = behind(workerless, Provider.TATUM)
    settings = world.settings.model_copy(update={"custodian_api_key": world.sandbox.custodian_key})
    world = replace(world, settings=settings)
    customer = world.sandbox.seed()
    async with serving(world):
        handle = await world.start(customer)
        await world.reach(handle, Stage.PARKED)
        park = (await world.told(customer)).park
        assert park
        assert park.failure is Failure.CREDENTIAL_REJECTED
        assert world.sandbox.custodian_key.get_secret_value() not in park.reason


def _went_through(world: World, customer: Customer, provider: Provider) -> None:
    """The journal names the surface of each call: the custodian's by the provider, the others at Portal."""
    calls = world.sandbox.journal(client_id=customer.client_id)
    surfaces = {call["call"]: call["via"] for call in calls}
    custodian = {"read_client", "enable_eject"}
    assert {surfaces[call] for call in custodian} == {"gateway" if provider is Provider.TATUM else "portal"}
    assert surfaces["read_client_as_itself"] == "portal"
