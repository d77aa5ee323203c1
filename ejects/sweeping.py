"""Finding what ended or vanished ejects have left in the vault."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from temporalio.client import Client

from contracts.failures import StepError
from custody.vault import Vault
from ejects.service import EjectError

# Younger files may belong to an eject that Temporal does not list yet.
SETTLED = timedelta(hours=1)
OLD_DEPOSIT = timedelta(days=30)


@dataclass(frozen=True)
class Swept:
    """What was found: files of ejects that no longer run, and deposits older than 30 days, by name."""

    left_behind: tuple[str, ...]
    old_deposits: tuple[str, ...]


async def sweep(client: Client, vault: Vault, *, remove: bool, now: datetime | None = None) -> Swept:
    """Look, and with `remove` delete the files that ended or vanished ejects left in `held/` and `released/`.

    Deposits are only listed: another eject may need them. The vault's own times are compared with `now`.
    """
    now = now or datetime.now(UTC)
    try:
        # The vault first: an eject that starts meanwhile cannot be in a listing made before.
        files = await vault.modified("held/") | await vault.modified("released/")
        deposits = await vault.modified("deposits/")
        running = {
            found.raw_info.first_run_id
            async for found in client.list_workflows("WorkflowType = 'Eject' AND ExecutionStatus = 'Running'")
        }
        left = {
            name: name.split("/")[1]
            for name, at in files.items()
            if now - at > SETTLED and name.split("/")[1] not in running
        }
        if remove:
            for eject_id in sorted(set(left.values())):
                await vault.remove_all(f"held/{eject_id}/")
                await vault.remove_all(f"released/{eject_id}/")
    except StepError as error:
        raise EjectError(error.sentence) from None
    old = sorted(name for name, at in deposits.items() if now - at > OLD_DEPOSIT)
    return Swept(left_behind=tuple(sorted(left)), old_deposits=tuple(old))
