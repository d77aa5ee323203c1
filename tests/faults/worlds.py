"""A worker in this process whose calls can be sent elsewhere, with time-outs that are soon over."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx

from runtime.settings import WorkerRole
from serving.steps import activities_of, hosts_of
from serving.workers import make_worker
from tests.faults.elsewhere import Diverting, Elsewhere
from tests.harness.world import World

QUICK = httpx.Timeout(connect=1, write=1, read=2, pool=2)


@asynccontextmanager
async def serving_diverted(world: World) -> AsyncIterator[Diverting]:
    """A worker of both roles; what is put into the plan of its transport is sent elsewhere."""
    settings = world.settings
    async with AsyncExitStack() as stack:
        elsewhere = await stack.enter_async_context(Elsewhere())
        hosts = await stack.enter_async_context(hosts_of(settings))
        await hosts.enclave._transport.aclose()
        # The sandbox is all of Portal's hosts in one.
        diverting = Diverting(hosts.portal._transport, elsewhere, {})
        for client in (hosts.portal, hosts.enclave):
            client._transport, client.timeout = diverting, QUICK
        served = activities_of(WorkerRole.ALL, settings, hosts)
        for queue, activities in served.items():
            await stack.enter_async_context(make_worker(world.client, queue, activities))
        yield diverting
