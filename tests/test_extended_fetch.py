"""Where the window's close moves while shares are being fetched."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import pytest

from contracts.failures import Failure, StepError
from contracts.stages import End, Stage
from device.backups import OwnersBackup
from portal.custodian import CustodianApi
from tests.harness.portal import Customer
from tests.harness.world import World

MINUTE = timedelta(minutes=1)
AS_CLIENT = {"backup": "existing", "fetch_as": "client", "backup_method": "PASSWORD"}
Enable = Callable[[CustodianApi, str, str, datetime], Awaitable[datetime]]


async def test_a_fetch_goes_on_after_the_close_that_it_began_with(world: World) -> None:
    """Portal is down until after the first close; the operator extended before, so nothing has expired."""
    customer = world.sandbox.seed()
    world.sandbox.fault("fetch_shares", "status", status=503, times=1000)
    handle = await world.start(customer, window=10 * MINUTE)
    assert await world.forward(handle, 5 * MINUTE)
    await world.extend(customer, timedelta(hours=2))
    assert await world.forward(handle, 10 * MINUTE), "the eject has ended at the earlier close"
    world.sandbox.clear_faults()
    assert await world.forward(handle, 2 * MINUTE)
    await world.reach(handle, Stage.AWAITING_CLAIM)
    await world.cancel(customer)
    assert (await world.end(handle)).end is End.CANCELLED


async def lost_read(
    world: World, monkeypatch: pytest.MonkeyPatch, again: Callable[[Enable], Enable]
) -> Customer:
    """A client whose first read is lost; every opening of a window but the first two is `again`'s."""
    customer = world.sandbox.seed()
    world.sandbox.back_up(customer)
    world.sandbox.fault("fetch_shares_as_client", "drop")
    enable, count = CustodianApi.enable_eject, 0

    async def counted(self: CustodianApi, client_id: str, wallet_id: str, until: datetime) -> datetime:
        nonlocal count
        count += 1
        one = enable if count <= 2 else again(enable)
        return await one(self, client_id, wallet_id, until)

    monkeypatch.setattr(CustodianApi, "enable_eject", counted)
    return customer


async def test_another_window_is_opened_for_the_later_close(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two windows of the client's fetch too; and what is opened then closes with all the others."""
    closes: list[datetime] = []

    def down(enable: Enable) -> Enable:
        async def refused(self: CustodianApi, client_id: str, wallet_id: str, until: datetime) -> datetime:
            if until in closes:
                raise StepError(Failure.PORTAL_UNAVAILABLE, "Portal is down for the earlier close")
            return await enable(self, client_id, wallet_id, until)

        return refused

    customer = await lost_read(world, monkeypatch, down)
    handle = await world.start(customer, window=10 * MINUTE, **AS_CLIENT)
    await world.reach(handle, Stage.FETCHING_SHARES)
    closes += world.portal_closes(customer)
    assert await world.forward(handle, 5 * MINUTE)
    extended = await world.extend(customer, timedelta(hours=2))
    assert await world.forward(handle, 10 * MINUTE), "the eject has ended at the earlier close"
    await world.reach(handle, Stage.AWAITING_CLAIM)
    assert all(close == extended.window_closes for close in world.portal_closes(customer))
    await world.cancel(customer)
    assert (await world.end(handle)).end is End.CANCELLED


async def test_an_earlier_close_of_another_window_is_the_law(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The window is what Portal confirms, and the earliest of the wallets': also when one is opened again."""

    def earlier(enable: Enable) -> Enable:
        async def cut(self: CustodianApi, client_id: str, wallet_id: str, until: datetime) -> datetime:
            return await enable(self, client_id, wallet_id, until - 5 * MINUTE)

        return cut

    customer = await lost_read(world, monkeypatch, earlier)
    handle = await world.start(customer, window=20 * MINUTE, **AS_CLIENT)
    assert await world.forward(handle, MINUTE)
    await world.reach(handle, Stage.AWAITING_CLAIM)
    closes = (await world.told(customer)).window_closes
    assert closes is not None
    assert closes - world.sandbox.now() < 15 * MINUTE
    await world.cancel(customer)
    assert (await world.end(handle)).end is End.CANCELLED


async def test_a_cancellation_between_two_windows_closes_those_that_are_open(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One wallet's window was spent by a lost read and cannot be opened again; the other's is open."""

    def down(enable: Enable) -> Enable:
        async def refused(self: CustodianApi, client_id: str, wallet_id: str, until: datetime) -> datetime:
            if until > world.sandbox.now() + 5 * MINUTE:
                raise StepError(Failure.PORTAL_UNAVAILABLE, "Portal opens no window")
            return await enable(self, client_id, wallet_id, until)

        return refused

    customer = await lost_read(world, monkeypatch, down)
    handle = await world.start(customer, window=timedelta(days=1), **AS_CLIENT)
    assert await world.forward(handle, MINUTE)
    await world.cancel(customer)
    receipt = await world.end(handle)
    assert receipt.end is End.CANCELLED
    assert receipt.files == ()
    (closes,) = world.portal_closes(customer)
    assert closes < world.sandbox.now() + 2 * MINUTE
    assert not [name for name in world.left_in_vault() if name.startswith(("held/", "released/"))]


async def test_after_a_purge_the_client_fetches_again_in_new_windows(world: World) -> None:
    """Extended once unresolved: each wallet's window is opened and read once more, earlier proofs count."""
    customer = world.sandbox.seed()
    owners = OwnersBackup(plain=(world.sandbox.back_up(customer),))
    handle = await world.start(customer, **AS_CLIENT)
    await world.reach(handle, Stage.AWAITING_CLAIM)
    early = world.proofs(await world.claim(customer), owners)
    assert await world.forward(handle, timedelta(days=1, minutes=1))
    await world.reach(handle, Stage.UNRESOLVED)
    await world.extend(customer, timedelta(days=1))
    await world.reach(handle, Stage.AWAITING_CLAIM, times=2)
    assert len(world.sandbox.journal(client_id=customer.client_id, effect="shares_released_to_client")) == 4
    assert all(key.text for key in world.rebuild(await world.claim(customer), owners))
    await world.prove(customer, early)
    assert (await world.end(handle)).end is End.EJECTED
