"""Finding what ended or vanished ejects have left in the vault."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from contracts.failures import StepError
from custody.vault import Vault
from ejects.service import EjectError
from ejects.visibility import describe, executions

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
        newest: dict[str, datetime] = {}
        for name, at in files.items():
            newest[_eject_id(name)] = max(at, newest.get(_eject_id(name), at))
        ended = {eject_id for eject_id, at in newest.items() if now - at > SETTLED}
        ended -= await _running(client)
        if remove:
            for eject_id in sorted(ended):
                await vault.remove_all(f"held/{eject_id}/")
                await vault.remove_all(f"released/{eject_id}/")
    except StepError as error:
        raise EjectError(error.sentence) from None
    left = sorted(name for name in files if _eject_id(name) in ended)
    old = sorted(name for name, at in deposits.items() if now - at > OLD_DEPOSIT)
    return Swept(left_behind=tuple(left), old_deposits=tuple(old))


def _eject_id(name: str) -> str:
    return name.split("/")[1]


async def _running(client: Client) -> set[str]:
    """The eject ids that run now.

    Each workflow is asked itself: listings lag behind, as after a reset, and never tell the first run.
    """
    running = set()
    async for listed in executions(client, "WorkflowType = 'Eject'"):
        try:
            info = (await describe(client, listed.execution.workflow_id)).workflow_execution_info
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:  # listed, and gone since
                continue
            raise
        if not info.HasField("close_time"):
            if not info.first_run_id:
                raise EjectError("Temporal does not tell which eject runs: update its server, then sweep")
            running.add(info.first_run_id)
    return running
