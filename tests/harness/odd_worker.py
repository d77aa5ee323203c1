"""A worker of both roles, as `worker.py` starts it, that leaks.

`python -m tests.harness.odd_worker ODDITY`.
"""

import asyncio
import sys
from typing import Any

import structlog

import worker
from activities import back_up
from contracts.failures import Failure, StepError
from contracts.sealing import SealedFile
from custody import sealing
from custody.vault import Vault
from runtime import logs
from runtime.settings import WorkerRole, load_settings


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
        leaks_into_the_log,
        leaks_into_a_failure,
        leaks_into_the_vault,
    )
}

if __name__ == "__main__":
    ODDITIES[sys.argv[1]]()
    settings = load_settings()
    logs.configure(settings.log_level)
    asyncio.run(worker.serve(WorkerRole.ALL, settings))
