"""The same calls as durable steps of DBOS on PostgreSQL; it runs in a Python environment of its own.

DBOS lives in the worker's process: an eject starts by a call there, which costs it no queue and no poll, and
is told that the owner has the keys by a message. Both are on record before they are answered.
"""

import asyncio
import os
from collections.abc import Callable
from typing import Any

from dbos import DBOS, DBOSConfig, SetWorkflowID

from bench.portal_calls import calls_of_environment
from bench.serving import serve

_READY = "ready"
_PROVEN = "proven"
# As long as a window may be.
_WINDOW = 30 * 86400.0

portal = calls_of_environment()


def _step(does: Callable[..., Any]) -> Callable[..., Any]:
    async def run(*what: Any) -> Any:
        return await does(*what)

    step: Callable[..., Any] = DBOS.step(name=does.__name__, retries_allowed=True)(run)
    return step


read_client = _step(portal.read_client)
back_up = _step(portal.back_up)
store_cipher_text = _step(portal.store_cipher_text)
mark_stored = _step(portal.mark_stored)
enable_eject = _step(portal.enable_eject)
fetch_share = _step(portal.fetch_share)
complete = _step(portal.complete)


async def eject(client_id: str) -> None:
    """From the request to the mark, with the owner's part between."""
    wallets = await read_client(client_id)
    pairs = await back_up(client_id)
    await asyncio.gather(*(store_cipher_text(client_id, pair) for pair in pairs))
    await mark_stored(client_id, pairs)
    await asyncio.gather(*(enable_eject(client_id, wallet) for wallet in wallets))
    await asyncio.gather(*(fetch_share(client_id, wallet) for wallet in wallets))
    await DBOS.set_event_async(_READY, True)
    await DBOS.recv_async(_PROVEN, timeout_seconds=_WINDOW)
    await complete(client_id)


workflow = DBOS.workflow(name="eject")(eject)
_running: dict[str, Any] = {}


async def begin(client_id: str) -> None:
    """Start, and wait until the owner's part has come."""
    with SetWorkflowID(client_id):
        _running[client_id] = await DBOS.start_workflow_async(workflow, client_id)
    await DBOS.get_event_async(client_id, _READY)


async def finish(client_id: str) -> None:
    """The owner has the keys; wait for the end."""
    await DBOS.send_async(client_id, True, _PROVEN)
    await _running.pop(client_id).get_result()


def main() -> None:
    """Serve until ended."""
    config: DBOSConfig = {
        "name": "bench",
        "system_database_url": os.environ["BENCH_DATABASE"],
        "application_version": "bench",
        "log_level": "ERROR",
        # An event wakes who waits for it a tenth as late as by default.
        "notification_coalesce_sec": 0.001,
    }
    DBOS(config=config)
    DBOS.launch()
    asyncio.run(serve({"begin": begin, "finish": finish}))


if __name__ == "__main__":
    main()
