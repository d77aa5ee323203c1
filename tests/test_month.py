"""A window of a month, with everything that dies in a month."""

import signal
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.testing import TimeSkipper

import starter
from contracts.stages import End, Stage
from tests.harness.ending import complaints
from tests.harness.ground import ground
from tests.harness.portal import Customer
from tests.harness.roads import patiently

pytestmark = pytest.mark.chaos

DAY = timedelta(days=1)
WINDOW = 30 * DAY
# In the night after these days: 20 workers end, every other one without a word, and 3 servers.
WORKERS_END = tuple(day for day in range(1, 30) if day % 3)
SERVERS_END = (6, 15, 27)


async def test_a_month_of_restarts(tmp_path: Path) -> None:
    """One owner comes on the last day and leaves; another never comes, and that eject expires on time."""
    assert (len(WORKERS_END), len(SERVERS_END)) == (20, 3)
    async with ground(tmp_path) as on:
        world = on.world
        owned, forgotten = world.sandbox.seed(), world.sandbox.seed()
        worker = await on.start_worker()
        handles = {customer: await world.start(customer, window=WINDOW) for customer in (owned, forgotten)}

        async def pass_by(time: timedelta) -> None:
            world.sandbox.advance(time)
            for handle in handles.values():
                assert await TimeSkipper(world.client).fast_forward(handle, time), "it has ended"

        async def stage_of(customer: Customer) -> Stage | End:
            # A query, so that whoever serves now has to know all that was before.
            return (await patiently(lambda: world.told(customer))).stage

        for handle in handles.values():
            await world.reach(handle, Stage.AWAITING_CLAIM)
        for day in range(1, 30):
            await pass_by(DAY)
            if day in SERVERS_END:
                await on.kill_server()
                await on.start_server()
            if day in WORKERS_END:
                worker.send_signal(signal.SIGKILL if day % 2 else signal.SIGTERM)
                await worker.wait()
                worker = await on.start_worker()
            assert [await stage_of(customer) for customer in handles] == [Stage.AWAITING_CLAIM] * 2
        await world.prove(owned, world.proofs(await world.claim(owned)))
        receipt = await world.end(handles[owned])
        assert await complaints(world, owned, receipt, End.EJECTED) == []
        left = await world.end(handles[forgotten])
        assert world.audit() == []
        assert left.times.window_closes
        assert await complaints(world, forgotten, left, End.EXPIRED) == []
        assert timedelta(0) <= left.times.ended - left.times.window_closes < timedelta(minutes=10)
        assert left.times.window_closes - left.times.requested >= WINDOW
        assert starter.handle_of(world.client, owned.client_id).id == handles[owned].id
