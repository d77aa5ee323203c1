"""Where each client stands, read from Portal, the vault and Temporal; nothing is written anywhere."""

import asyncio
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError
from temporalio.client import Client

from contracts.chain import ReceiptFile
from contracts.failures import StepError
from contracts.names import backup_name
from contracts.receipt import Receipt
from contracts.sealing import SealedBackup
from contracts.stages import End, Stage
from custody.audit import Audit
from custody.signing import Trust
from custody.vault import Vault
from ejects.service import EjectError
from ejects.visibility import Latest, executions, latest
from portal.custodian import CustodianApi
from portal.replies import ClientReply

# Half of the calls a minute that Portal gives the custodian: ejects may be at work.
_PACE = 0.6
# Files that are read at once.
_AT_ONCE = 16


@dataclass
class Trace:
    """What one eject left in the vault, `released` once it was claimed; `wallets` name its client."""

    eject_id: str
    wallets: set[str] = field(default_factory=set)
    pairs: set[str] = field(default_factory=set)
    released: bool = False


@dataclass
class Standing:
    """One client; `stage` is that of its running eject, None where none runs or nobody could say.

    `ended` is the latest eject where Temporal still tells how it ended, whose receipt may be lost.
    """

    client_id: str
    shown: ClientReply | None = None
    receipts: list[Receipt] = field(default_factory=list)
    traces: list[Trace] = field(default_factory=list)
    deposited: bool = False
    stage: str | None = None
    ended: Latest | None = None


@dataclass(frozen=True)
class Standings:
    """Everybody of whom there is anything to say.

    `strays` are traces of no client that Portal shows, `chain` what is wrong with the receipts, `clients` how
    many Portal has; `temporal` is False where it did not answer.
    """

    all: tuple[Standing, ...]
    strays: tuple[Trace, ...]
    chain: tuple[str, ...]
    clients: int
    temporal: bool


async def standings(portal: CustodianApi, vault: Vault, temporal: Client | None, trust: Trust) -> Standings:
    """Read everything; `EjectError` where Portal or the vault does not let us."""
    before = await _listed(temporal) if temporal else set()
    try:
        traces = await _traces(vault)
        receipts, chain = await _receipts(vault, trust)
        deposits = {name.split("/")[1] for name in await vault.names("deposits/")}
        shown = await _clients(portal)
    except StepError as error:
        raise EjectError(error.sentence) from None
    found: dict[str, Standing] = {}

    def of(client_id: str) -> Standing:
        return found.setdefault(client_id, Standing(client_id, shown.get(client_id)))

    owners = {wallet.id: client for client in shown.values() for wallet in client.wallets}
    strays = []
    for trace in traces:
        owner = next((owners[wallet].id for wallet in sorted(trace.wallets) if wallet in owners), None)
        if owner is None:
            strays.append(trace)
        else:
            of(owner).traces.append(trace)
    for receipt in receipts:
        of(receipt.client_id).receipts.append(receipt)
    for client_id in deposits:
        of(client_id).deposited = True
    for client in shown.values():
        if client.ejected_at is not None or client.open_until is not None:
            of(client.id)
    if temporal is not None:
        for client_id in {*found, *before, *await _listed(temporal)}:
            await _ask(temporal, of(client_id), ran=client_id in before)
    everybody = tuple(found[client_id] for client_id in sorted(found))
    return Standings(everybody, tuple(strays), tuple(chain), len(shown), temporal is not None)


async def _ask(temporal: Client, standing: Standing, *, ran: bool) -> None:
    now = await latest(temporal, standing.client_id)
    if now is not None and now.running:
        standing.stage = now.stage
    elif ran:  # what ended while the rest was read may look lost there
        standing.stage = Stage.CLOSING
    elif now is not None and now.stage in tuple(End):
        standing.ended = now


async def _clients(portal: CustodianApi) -> dict[str, ClientReply]:
    found: dict[str, ClientReply] = {}
    cursor: str | None = None
    while True:
        page = await portal.list_clients(cursor)
        found |= {client.id: client for client in page.results}
        following = page.metadata.cursor
        if following is None or not page.results:
            return found
        if following == cursor:
            raise EjectError("Portal's list of clients does not go on after a page: ask Portal why")
        cursor = following
        await asyncio.sleep(_PACE)


async def _traces(vault: Vault) -> list[Trace]:
    found: dict[str, Trace] = {}
    for top in ("held", "released"):
        for name in await vault.names(f"{top}/"):
            _, eject_id, _, *rest = [*name.split("/"), "", ""]
            trace = found.setdefault(eject_id, Trace(eject_id))
            wallet = rest[0].removesuffix(".json")
            trace.released |= top == "released"
            if name != backup_name(eject_id) and wallet:
                trace.wallets.add(wallet)
    for trace in found.values():
        try:
            backup = SealedBackup.model_validate_json(await vault.read(backup_name(trace.eject_id)) or b"")
        except ValidationError:  # none, or damaged: its other files name the client too
            continue
        trace.wallets |= {file.wallet for file in backup.files}
        trace.pairs |= {file.pair for file in backup.files}
    return list(found.values())


async def _receipts(vault: Vault, trust: Trust) -> tuple[list[Receipt], list[str]]:
    """All receipts, and what is wrong with them and their chain; through a copy, which the audit reads."""
    with tempfile.TemporaryDirectory(prefix="eject-reconcile-") as place:
        folder = Path(place)
        # The chain first: a receipt is written before its entry.
        for top in ("chain/", "receipts/"):
            await _copy(vault, await vault.names(top), folder)
        problems = list(Audit(folder, trust).problems())
        found = list(_read(sorted((folder / "receipts").rglob("*.json"))))
    return sorted(found, key=lambda receipt: receipt.times.ended), problems


def _read(paths: Iterable[Path]) -> Iterable[Receipt]:
    for path in paths:
        try:
            yield ReceiptFile.model_validate_json(path.read_bytes()).receipt
        except ValidationError:  # the audit says so
            continue


async def _copy(vault: Vault, names: list[str], folder: Path) -> None:
    places = asyncio.Semaphore(_AT_ONCE)

    async def copy(name: str) -> None:
        async with places:
            written = await vault.read(name)
        if written is not None and ".." not in name.split("/"):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(written)

    await asyncio.gather(*(copy(name) for name in names))


async def _listed(temporal: Client) -> set[str]:
    query = "WorkflowType = 'Eject' AND ExecutionStatus = 'Running'"
    return {info.execution.workflow_id.removeprefix("eject-") async for info in executions(temporal, query)}
