"""A service is told of what happens, signed and once; a dead receiver delays nothing and misses nothing."""

from datetime import timedelta

import pytest
from pydantic import SecretStr

import starter
from contracts.approvals import Approve
from contracts.stages import End, Stage
from tests.harness.receiver import Receiver
from tests.harness.secrets import leaks, secrets_of
from tests.harness.temporal import skip_to_the_end
from tests.harness.world import World, serving

DAY = timedelta(days=1)


@pytest.fixture
def receiver() -> Receiver:
    """A receiver that does not listen yet."""
    return Receiver()


def told_by(world: World, receiver: Receiver) -> World:
    """The world, its worker set to tell this receiver."""
    world.settings = world.settings.model_copy(
        update={"notify_url": receiver.url, "notify_secret": SecretStr(receiver.secret)}
    )
    return world


async def test_a_whole_eject_is_told(workerless: World, receiver: Receiver) -> None:
    """Approval needed, shares ready, ejected: each verifies, names the eject, and holds no secret."""
    world = told_by(workerless, receiver)
    async with receiver.listening(), serving(world):
        customer = world.sandbox.seed()
        handle = await world.start(customer, approvals=1)
        await receiver.until("approval_needed")
        digest = (await world.told(customer)).request_digest
        command = Approve(by="grace", why="known", digest=digest)
        await starter.approve(world.client, customer.client_id, command)
        await world.reach(handle, Stage.AWAITING_CLAIM)
        answer = await world.claim(customer)
        await world.prove(customer, world.proofs(answer))
        assert (await world.end(handle)).end is End.EJECTED
        await receiver.until("approval_needed", "shares_ready", "ejected")
    first = next(iter(receiver.taken.values()))["data"]
    assert (first["client_id"], first["request_digest"]) == (customer.client_id, digest)
    files = sorted((world.owner.folder / answer.eject_id).rglob("*.json"))
    assert leaks({"the notices": receiver.bodies}, secrets_of(world, customer, files)) == []


async def test_a_receiver_that_fails_twice_gets_each_notice_once(
    workerless: World, receiver: Receiver
) -> None:
    """Repeats carry the same id, so that each is taken exactly once."""
    world = told_by(workerless, receiver)
    receiver.answers = [500, 500]
    async with receiver.listening(), serving(world):
        customer = world.sandbox.seed()
        handle = await world.start(customer)
        await world.reach(handle, Stage.AWAITING_CLAIM)
        await receiver.until("shares_ready")
        assert receiver.refused == list(receiver.taken) * 2
        await world.cancel(customer)
        assert (await world.end(handle)).end is End.CANCELLED
        await receiver.until("shares_ready", "cancelled")
    assert receiver.repeated == []


async def test_a_dead_receiver_delays_nothing_and_hears_the_last_notice_later(
    workerless: World, receiver: Receiver
) -> None:
    """The eject ends while nobody listens; what it had to tell waits, and arrives."""
    world = told_by(workerless, receiver)
    async with serving(world):
        customer = world.sandbox.seed()
        handle = await world.start(customer)
        await world.reach(handle, Stage.AWAITING_CLAIM)
        await world.prove(customer, world.proofs(await world.claim(customer)))
        receipt = await handle.result()  # no time is skipped while its children run
        assert receipt.end is End.EJECTED
        assert receiver.taken == {}
        async with receiver.listening():
            for number in (1, 2):
                notice = world.client.get_workflow_handle(f"eject-notice-{receipt.eject_id}-{number}")
                await skip_to_the_end(world.client, notice)
            await receiver.until("shares_ready", "ejected")


async def test_the_close_is_warned_of_once_and_what_follows_is_told(
    workerless: World, receiver: Receiver
) -> None:
    """A tenth of the window before its close; then unresolved, and how it was decided."""
    world = told_by(workerless, receiver)
    async with receiver.listening(), serving(world):
        customer = world.sandbox.seed()
        handle = await world.start(customer, window=timedelta(hours=10))
        await world.reach(handle, Stage.AWAITING_CLAIM)
        await world.claim(customer)
        await receiver.until("shares_ready")
        await world.until_close(customer, handle, timedelta(hours=1, minutes=5))
        assert receiver.types() == ["shares_ready"]
        assert await world.forward(handle, timedelta(minutes=10))
        await receiver.until("shares_ready", "window_closing")
        assert await world.forward(handle, timedelta(hours=1))
        await world.reach(handle, Stage.UNRESOLVED)
        await receiver.until("shares_ready", "window_closing", "unresolved")
        await world.resolve(customer)
        assert (await world.end(handle)).end is End.CLOSED
        await receiver.until("shares_ready", "window_closing", "unresolved", "closed")


async def test_a_park_is_told_with_what_mends_it(workerless: World, receiver: Receiver) -> None:
    """Whoever is on duty reads the command in the notice."""
    world = told_by(workerless, receiver)
    async with receiver.listening(), serving(world):
        customer = world.sandbox.seed()
        handle = await starter.start(world.client, world.request(customer))
        await receiver.until("parked")
        (told,) = receiver.taken.values()
        assert (told["data"]["park"], told["data"]["step"]) == (1, "back_up")
        assert "starter.py deposit" in told["data"]["mend"]
        await world.cancel(customer)
        assert (await world.end(handle)).end is End.CANCELLED
        await receiver.until("parked", "cancelled")
