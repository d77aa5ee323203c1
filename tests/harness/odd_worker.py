"""A worker as `worker.py` starts it, but odd at one point: it stands still there, or leaks there.

`python -m tests.harness.odd_worker ODDITY [ROLE]`: one that stands still writes the line `here` to standard
output and then waits to be killed, or goes on at SIGUSR1. Without a role it has both.
"""

import asyncio
import base64
import json
import signal
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
from portal.client import ClientApi
from portal.custodian import CustodianApi
from runtime import logs
from runtime.settings import WorkerRole, load_settings


async def _stand_still() -> None:
    go_on = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, go_on.set)
    sys.stdout.write("here\n")
    sys.stdout.flush()
    await go_on.wait()


def after_the_enclave_answered() -> None:
    """New pairs exist at Portal, and nothing is written yet."""
    original = ClientApi.back_up

    async def patched(self: ClientApi, *given: Any) -> Any:
        answer = await original(self, *given)
        await _stand_still()
        return answer

    ClientApi.back_up = patched  # type: ignore[method-assign,assignment]


def after_portal_answered_a_half() -> None:
    """A custodian half is in memory, in the clear; so once for each wallet."""
    original = CustodianApi.fetch_shares

    async def patched(self: CustodianApi, *given: Any) -> Any:
        answer = await original(self, *given)
        await _stand_still()
        return answer

    CustodianApi.fetch_shares = patched  # type: ignore[method-assign,assignment]


def after_the_vault_was_written() -> None:
    """The first custodian half lies in the vault, and nobody was told."""
    original = Vault.create

    async def patched(self: Vault, name: str, data: bytes) -> bytes:
        written = await original(self, name, data)
        if "/custodian/" in name:
            await _stand_still()
        return written

    Vault.create = patched  # type: ignore[method-assign]


def after_portals_204() -> None:
    """The client is marked as ejected, and nobody was told."""
    original = ClientApi.complete

    async def patched(self: ClientApi) -> None:
        await original(self)
        await _stand_still()

    ClientApi.complete = patched  # type: ignore[method-assign]


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
        after_the_enclave_answered,
        after_portal_answered_a_half,
        after_the_vault_was_written,
        after_portals_204,
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
