"""Beside our closes: a workflow of one timer and two activities that do nothing."""

import argparse
import asyncio
import signal
import sys
from datetime import datetime, timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker

QUEUE = "bare-close"
_SOON = timedelta(minutes=1)


@activity.defn
async def first(name: str) -> str:
    """Do nothing."""
    return name


@activity.defn
async def second(name: str) -> str:
    """Do nothing."""
    return name


@workflow.defn
class BareClose:
    """Wait until a moment, then two steps."""

    @workflow.run
    async def run(self, closes: str) -> str:
        """The whole of it."""
        await workflow.sleep(datetime.fromisoformat(closes) - workflow.now())
        await workflow.execute_activity(first, "purge", start_to_close_timeout=_SOON)
        return await workflow.execute_activity(second, "receipt", start_to_close_timeout=_SOON)


async def serve(address: str, cached: int) -> None:
    """Serve until SIGTERM."""
    client = await Client.connect(address)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with Worker(
        client,
        task_queue=QUEUE,
        workflows=[BareClose],
        activities=[first, second],
        max_cached_workflows=cached,
    ):
        sys.stdout.write("serving\n")
        sys.stdout.flush()
        await stop.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The worker of the bare workflow.")
    parser.add_argument("--address", required=True)
    parser.add_argument("--cached", type=int, required=True)
    given = parser.parse_args()
    asyncio.run(serve(given.address, given.cached))
