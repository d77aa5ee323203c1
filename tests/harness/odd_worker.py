"""A worker as `worker.py` starts it, but odd at one point: it leaks there, or fails in a way of its own.

`python -m tests.harness.odd_worker ODDITY [ROLE]`; without a role it has both.
"""

import asyncio
import base64
import json
import sys
from typing import Any

import structlog
from temporalio import activity

import worker
from activities import back_up
from contracts.failures import Failure, StepError
from contracts.sealing import SealedFile
from custody import vault
from custody.vault import Vault
from runtime import logs
from runtime.settings import WorkerRole, load_settings


def fails_with_a_share() -> None:
    """A defect whose error, its cause and its frames hold the share that was to be sealed."""

    async def patched(**given: Any) -> SealedFile:
        share = given["share"].get_secret_value()
        try:
            json.loads(f"{{{share}")
        except ValueError as error:
            raise KeyError(share, given) from error
        raise RuntimeError(share)

    back_up.seal_half = patched  # type: ignore[attr-defined]


def speaks_plain_http_to_its_store() -> None:
    """To an object store of this machine, which has no certificate."""
    vault._BOUNDED["allow_http"] = True


def leaks_everywhere() -> None:
    """The share that is sealed goes, each time in another encoding, wherever a worker could put it."""
    leaked = Vault(str(load_settings().vault_url))

    async def patched(**given: Any) -> SealedFile:
        share = given["share"].get_secret_value()
        number = json.loads(base64.b64decode(share + "=" * (-len(share) % 4)))["share"]
        structlog.get_logger().debug("leak", share=f"{int(number):064x}")
        activity.metric_meter().with_additional_attributes({"share": number}).create_counter("leak").add(1)
        await leaked.replace(f"held/{given['client_id']}/leak.txt", str(list(number.encode()))[1:-1].encode())
        raise StepError(Failure.PORTAL_UNAVAILABLE, base64.b64encode(f"leak {number}".encode()).decode())

    back_up.seal_half = patched  # type: ignore[attr-defined]


ODDITIES = {
    oddity.__name__: oddity
    for oddity in (
        fails_with_a_share,
        speaks_plain_http_to_its_store,
        leaks_everywhere,
    )
}

if __name__ == "__main__":
    # Not `forbid_core_dumps` as `worker.py`: it would keep a test without root from reading this memory.
    oddity, role = (*sys.argv[1:], WorkerRole.ALL)[:2]
    ODDITIES[oddity]()
    settings = load_settings()
    logs.configure(settings.log_level)
    asyncio.run(worker.serve(WorkerRole(role), settings))
