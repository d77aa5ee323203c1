"""What a team would write without Eject: a Temporal workflow of twenty lines, one activity for each call."""

import asyncio
import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    from bench.portal_calls import PortalCalls, calls_of_environment

QUEUE = "bare"


@workflow.defn
class BareEject:
    """The documented lifecycle of a fresh backup."""

    def __init__(self) -> None:
        self._proven = False

    @workflow.run
    async def run(self, client_id: str) -> None:
        """From the request to the mark, with the owner's part between."""
        wallets = await call("read_client", client_id)
        pairs = await call("back_up", client_id)
        await asyncio.gather(*(call("store_cipher_text", client_id, pair) for pair in pairs))
        await call("mark_stored", client_id, pairs)
        await asyncio.gather(*(call("enable_eject", client_id, wallet) for wallet in wallets))
        await asyncio.gather(*(call("fetch_share", client_id, wallet) for wallet in wallets))
        await workflow.wait_condition(lambda: self._proven)
        await call("complete", client_id)

    @workflow.signal
    def proven(self) -> None:
        """The owner has the keys."""
        self._proven = True


async def call(name: str, *what: Any) -> Any:
    """One call of Portal's as an activity, retried as Temporal does by default."""
    return await workflow.execute_activity(name, args=what, start_to_close_timeout=timedelta(seconds=30))


def activities_of(portal: PortalCalls) -> list[Callable[..., Any]]:
    """One activity for each call."""
    calls = (
        portal.read_client,
        portal.back_up,
        portal.store_cipher_text,
        portal.mark_stored,
        portal.enable_eject,
        portal.fetch_share,
        portal.complete,
    )
    return [_activity(each) for each in calls]


def _activity(does: Callable[..., Any]) -> Callable[..., Any]:
    @activity.defn(name=does.__name__)
    async def run(*what: Any) -> Any:
        return await does(*what)

    return run


async def main() -> None:
    """Serve until ended."""
    client = await Client.connect(os.environ["TEMPORAL_ADDRESS"])
    activities = activities_of(calls_of_environment())
    await Worker(client, task_queue=QUEUE, workflows=[BareEject], activities=activities).run()


if __name__ == "__main__":
    asyncio.run(main())
