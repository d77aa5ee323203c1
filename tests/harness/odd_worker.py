"""A worker as `worker.py` starts it, but odd at one point: it stands still there, or leaks there.

`python -m tests.harness.odd_worker ODDITY [ROLE]`: one that stands still writes the line `here` to standard
output and then waits to be killed, or goes on at SIGUSR1. Without a role it has both.
"""

import asyncio
import signal
import sys
from typing import Any

import structlog

import worker
from activities import back_up
from contracts.failures import Failure, StepError
from contracts.sealing import SealedFile
from custody import sealing
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


def leaks_into_the_log() -> None:
    """The share that is sealed is logged."""
    original = sealing.seal_half

    async def patched(**given: Any) -> SealedFile:
        structlog.get_logger().info("leak", share=given["share"].get_secret_value())
        return await original(**given)

    back_up.seal_half = patched  # type: ignore[attr-defined]


def leaks_into_a_failure() -> None:
    """The first attempt fails with the share in its text."""
    original = sealing.seal_half
    failed: list[bool] = []

    async def patched(**given: Any) -> SealedFile:
        if not failed:
            failed.append(True)
            raise StepError(Failure.PORTAL_UNAVAILABLE, f"leak {given['share'].get_secret_value()}")
        return await original(**given)

    back_up.seal_half = patched  # type: ignore[attr-defined]


def leaks_into_the_vault() -> None:
    """The share lies in the clear beside its sealed file."""
    original = sealing.seal_half

    async def patched(**given: Any) -> SealedFile:
        share = given["share"].get_secret_value().encode()
        await Vault(str(load_settings().vault_url)).replace("receipts/leak.txt", share)
        return await original(**given)

    back_up.seal_half = patched  # type: ignore[attr-defined]


ODDITIES = {
    oddity.__name__: oddity
    for oddity in (
        after_the_enclave_answered,
        after_portal_answered_a_half,
        after_the_vault_was_written,
        after_portals_204,
        leaks_into_the_log,
        leaks_into_a_failure,
        leaks_into_the_vault,
    )
}

if __name__ == "__main__":
    # Not `forbid_core_dumps` as `worker.py`: it would keep a test without root from reading this memory.
    oddity, role = (*sys.argv[1:], WorkerRole.ALL)[:2]
    ODDITIES[oddity]()
    settings = load_settings()
    logs.configure(settings.log_level)
    asyncio.run(worker.serve(WorkerRole(role), settings))
