"""The client's own fetch works once in each window: a share is never lost, and no window is read twice."""

from datetime import timedelta
from typing import Any

import pytest

import starter
from activities.fetch_shares import FetchSharesStep
from contracts.failures import Failure
from contracts.parks import RetryOutcome
from contracts.stages import End, Stage
from contracts.steps import FetchSharesAsClient
from device.backups import OwnersBackup
from tests.harness.own_backup import once_in_each_window
from tests.harness.portal import Customer
from tests.harness.world import World
from workflows.policies import MOST_WINDOWS

CALL = "fetch_shares_as_client"
ASKED = {"backup": "existing", "fetch_as": "client", "backup_method": "PASSWORD"}

# What may happen to the one read: before Portal acts, and after it has closed the window.
FAULTS: dict[str, dict[str, Any]] = {
    "500": {"kind": "status", "status": 500},
    "503": {"kind": "status", "status": 503},
    "429": {"kind": "status", "status": 429, "headers": {"Retry-After": "5"}},
    "429 bare": {"kind": "status", "status": 429},
    "a page of a proxy": {"kind": "status", "status": 200, "body": "<html>", "content_type": "text/html"},
    "dropped": {"kind": "drop"},
}


async def begun(world: World) -> tuple[Customer, OwnersBackup, starter.EjectHandle]:
    """A client with a backup of its own, whose eject fetches as the client."""
    customer = world.sandbox.seed()
    owners = OwnersBackup(plain=(world.sandbox.back_up(customer),))
    return customer, owners, await world.start(customer, **ASKED)


async def finished(
    world: World, customer: Customer, owners: OwnersBackup, handle: starter.EjectHandle
) -> None:
    """The owner rebuilds, proves, and has left; no window was read twice."""
    await world.reach(handle, Stage.AWAITING_CLAIM)
    await world.prove(customer, world.proofs(await world.claim(customer), owners))
    assert (await world.end(handle)).end is End.EJECTED
    assert world.completions(customer) == 1
    once_in_each_window(world, customer)


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_read_that_fails_costs_a_window_and_never_the_share(world: World, fault: str) -> None:
    """Whatever becomes of the read, also twice, another window is opened before the next one."""
    times = 2
    world.sandbox.fault(CALL, times=times, **FAULTS[fault])
    customer, owners, handle = await begun(world)
    assert await world.forward(handle, timedelta(minutes=1))
    await finished(world, customer, owners, handle)
    reads = world.sandbox.journal(client_id=customer.client_id, call=CALL)
    assert len(reads) == 2 + times


async def test_the_wait_that_portal_asks_for_comes_before_another_window(world: World) -> None:
    """As at every other call, where Temporal keeps it: here there is one attempt only."""
    world.sandbox.fault(CALL, "status", status=429, headers={"Retry-After": "600"})
    customer, owners, handle = await begun(world)
    opened = {"client_id": customer.client_id, "effect": "window_set"}
    assert await world.forward(handle, timedelta(minutes=9))
    assert len(world.sandbox.journal(**opened)) == 2
    assert await world.forward(handle, timedelta(minutes=2))
    await finished(world, customer, owners, handle)
    assert len(world.sandbox.journal(**opened)) == 3


async def test_windows_used_up_park_and_a_retry_has_as_many_again(world: World) -> None:
    """A Portal that loses one read after the other is a matter for people, and nothing is lost by asking."""
    world.sandbox.fault(CALL, "drop", times=MOST_WINDOWS + 1)
    customer, owners, handle = await begun(world)
    assert await world.forward(handle, timedelta(minutes=20))
    await world.reach(handle, Stage.PARKED)
    park = (await world.told(customer)).park
    assert park
    assert (park.step, park.failure) == (CALL, Failure.WINDOWS_USED_UP)
    assert len(world.sandbox.journal(client_id=customer.client_id, call=CALL)) == MOST_WINDOWS
    await world.retry(customer, park.number)
    assert await world.forward(handle, timedelta(minutes=2))
    await finished(world, customer, owners, handle)


async def test_a_window_spent_by_somebody_else_parks(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The eject opened it, never read in it, and it reads null: who has the share must be found out first."""
    customer = world.sandbox.seed()
    owners = OwnersBackup(plain=(world.sandbox.back_up(customer),))
    spent: list[str] = []
    look = FetchSharesStep._require_unspent

    async def somebody_was_faster(self: FetchSharesStep, what: FetchSharesAsClient) -> None:
        if not spent:
            spent.append(what.wallet)
            world.sandbox.change(customer.client_id, wallets={what.wallet: {"ejectable_until": None}})
        await look(self, what)

    monkeypatch.setattr(FetchSharesStep, "_require_unspent", somebody_was_faster)
    handle = await world.start(customer, **ASKED)
    await world.reach(handle, Stage.PARKED)
    park = (await world.told(customer)).park
    assert park
    assert (park.step, park.failure) == (CALL, Failure.WINDOW_SPENT)
    assert spent[0] in park.reason
    assert world.sandbox.journal(client_id=customer.client_id, call=CALL) == []
    answer = await world.retry(customer, park.number)
    assert answer.outcome is RetryOutcome.DONE
    await finished(world, customer, owners, handle)


async def test_the_close_wins_over_lost_reads(world: World) -> None:
    """A window that is opened again keeps its close: what could not be fetched until then is not fetched."""
    world.sandbox.fault(CALL, "drop", times=1000)
    customer = world.sandbox.seed()
    world.sandbox.back_up(customer)
    handle = await world.start(customer, window=timedelta(minutes=10), **ASKED)
    for _ in range(15):
        if not await world.forward(handle, timedelta(minutes=1)):
            break
    assert (await handle.result()).end is End.EXPIRED
    closes = world.portal_closes(customer)
    assert all(close <= world.sandbox.now() for close in closes)
    once_in_each_window(world, customer)


async def test_portal_is_left_alone_for_as_long_as_it_asks(world: World) -> None:
    """A read that is throttled is not made again, in another window, before the time that Portal named."""
    world.sandbox.fault(CALL, "status", status=429, headers={"Retry-After": "900"})
    customer, owners, handle = await begun(world)
    assert await world.forward(handle, timedelta(minutes=10))
    assert len(world.sandbox.journal(client_id=customer.client_id, call=CALL)) == 1
    assert await world.forward(handle, timedelta(minutes=6))
    await finished(world, customer, owners, handle)
