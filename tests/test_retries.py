"""What passes by itself is retried for as long as it takes, and happens once."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from contracts.stages import End, Stage
from tests.harness.world import World

# The calls of the straight road, by the sandbox's names, and the effect of each that must not be doubled.
CALLS = {
    "read_client": None,
    "mint_session": None,
    "back_up": "pair_made",
    "store_cipher_text": None,
    "confirm_backup": None,
    "read_client_as_itself": None,
    "enable_eject": None,
    "fetch_shares": None,
    "complete_client": "completed",
}


async def leave(world: World) -> tuple[str, Any]:
    """A whole eject, however long its steps are retried; the client and the receipt."""
    customer = world.sandbox.seed()
    handle = await world.start(customer)
    assert await world.forward(handle, timedelta(seconds=20))  # the waits between attempts are skipped
    await world.reach(handle, Stage.AWAITING_CLAIM)
    await world.prove(customer, world.proofs(await world.claim(customer)))
    return customer.client_id, await world.end(handle)


@pytest.mark.parametrize("call", CALLS)
async def test_an_unavailable_call_is_tried_again(world: World, call: str) -> None:
    """A 503 on any call costs a second, never the eject."""
    world.sandbox.fault(call, "status", status=503)
    client_id, receipt = await leave(world)
    assert receipt.end is End.EJECTED
    assert len(world.sandbox.journal(client_id=client_id, effect="completed")) == 1
    assert [c["status"] for c in world.sandbox.journal(client_id=client_id, fault="status")] == [503]


@pytest.mark.parametrize("call", CALLS)
async def test_a_dropped_reply_does_nothing_twice(world: World, call: str) -> None:
    """Portal has acted and nobody heard: the eject goes on and completes once."""
    world.sandbox.fault(call, "drop")
    client_id, receipt = await leave(world)
    assert receipt.end is End.EJECTED
    assert len(world.sandbox.journal(client_id=client_id, effect="completed")) == 1
    assert len(world.sandbox.journal(client_id=client_id, fault="drop")) == 1


def in_seconds() -> str:
    """`Retry-After` as seconds."""
    return "7200"


def as_date() -> str:
    """`Retry-After` as a date."""
    return format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)


@pytest.mark.parametrize(("asked", "at_least"), [(in_seconds, 3600), (as_date, 3590)])
async def test_retry_after_is_honoured_in_both_forms(world: World, asked: Any, at_least: int) -> None:
    """Portal's own wait is kept (an hour at most): the next attempt comes no sooner, by the skipped clock."""
    world.sandbox.fault("read_client", "status", status=429, headers={"Retry-After": asked()})
    customer = world.sandbox.seed()
    handle = await world.start(customer)
    began = (await handle.describe()).start_time
    assert await world.forward(handle, timedelta(seconds=at_least - 20))
    assert len(world.sandbox.journal(client_id=customer.client_id, call="read_client")) == 1
    assert await world.forward(handle, timedelta(seconds=60))
    await world.reach(handle, Stage.AWAITING_CLAIM)
    await world.prove(customer, world.proofs(await world.claim(customer)))
    receipt = await world.end(handle)
    assert receipt.end is End.EJECTED
    assert receipt.times.backed_up
    assert receipt.times.backed_up - began >= timedelta(seconds=at_least)


async def test_an_outage_of_days_ends_nothing(world: World) -> None:
    """No attempt limit: hundreds of refused connections later the eject goes on where it was."""
    world.sandbox.fault("confirm_backup", "status", times=2000, status=502)
    customer = world.sandbox.seed()
    handle = await world.start(customer)
    await world.reach(handle, Stage.CONFIRMING_BACKUP)
    assert await world.forward(handle, timedelta(hours=3))
    described = await handle.describe()
    (pending,) = described.raw_description.pending_activities
    assert pending.activity_type.name == "confirm_backup"
    assert "502" in pending.last_failure.message
    assert pending.attempt > 100
    world.sandbox.clear_faults()
    await world.forward(handle, timedelta(minutes=2))
    await world.reach(handle, Stage.AWAITING_CLAIM)
    await world.prove(customer, world.proofs(await world.claim(customer)))
    assert (await world.end(handle)).end is End.EJECTED
    assert len(world.sandbox.journal(client_id=customer.client_id, effect="pair_made")) == 1
