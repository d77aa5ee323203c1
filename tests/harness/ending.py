"""Whether an eject has ended right, whatever died on its way."""

from collections.abc import Iterator
from datetime import datetime

from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause

import starter
from contracts.chain import ReceiptFile
from contracts.names import deposit_name, held_prefix, receipt_name, released_prefix
from contracts.receipt import Receipt
from contracts.stages import End, Stage
from contracts.window import SHRINK_TO
from tests.harness.portal import Customer
from tests.harness.world import World


async def complaints(world: World, customer: Customer, receipt: Receipt, end: End) -> list[str]:
    """What is not as this end must leave it: in history, at Portal, in the vault and in the receipt."""
    handle = starter.handle_of(world.client, customer.client_id)
    found = await _of_history(handle)
    found += _of_portal(world, customer, receipt, end)
    found += _of_vault(world, customer, receipt)
    if receipt.end is not end:
        found.append(f"it ended {receipt.end}, not {end}")
    return found


async def _of_history(handle: starter.EjectHandle) -> list[str]:
    found = []
    async for event in handle.fetch_history_events():
        cause = event.workflow_task_failed_event_attributes.cause
        nondeterminism = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED and cause == nondeterminism:
            found.append("a replay went another way")
    if Stage.PARKED in [stage async for stage in starter.stages(handle)]:
        found.append("it was parked")
    return found


def _of_portal(world: World, customer: Customer, receipt: Receipt, end: End) -> Iterator[str]:
    shown = world.sandbox.client(customer.client_id)
    effects = [line["effect"] for line in world.sandbox.journal(client_id=customer.client_id)]
    if effects.count("completed") != (end is End.EJECTED):
        yield f"{effects.count('completed')} completions took effect"
    elif "completed" in effects and "window_set" in effects[effects.index("completed") :]:
        yield "a window was set after the completion"
    ejected_at = shown["ejectedAt"] and datetime.fromisoformat(shown["ejectedAt"])
    if ejected_at != receipt.ejected_at:
        yield f"Portal says ejected at {shown['ejectedAt']}, the receipt {receipt.ejected_at}"
    if {wallet["id"] for wallet in shown["wallets"]} != {wallet.id for wallet in receipt.wallets}:
        yield "the receipt has other wallets than Portal"
    completed = {
        pair["id"]
        for wallet in shown["wallets"]
        for pair in wallet["backupSharePairs"]
        if pair["status"] == "completed"
    }
    if completed != {file.pair for file in receipt.files}:
        yield "other pairs are confirmed than those that were kept"
    if end is End.EJECTED and {proof.wallet for proof in receipt.proofs} != {w.id for w in receipt.wallets}:
        yield "the receipt does not prove every wallet"
    if end is End.CANCELLED:
        latest = receipt.times.ended + SHRINK_TO
        if any(closes > latest for closes in world.portal_closes(customer)):
            yield "Portal's window stays open"


def _of_vault(world: World, customer: Customer, receipt: Receipt) -> Iterator[str]:
    left = world.left_in_vault()
    deposits = deposit_name(customer.client_id).rpartition("/")[0] + "/"
    for prefix in (held_prefix(receipt.eject_id), released_prefix(receipt.eject_id), deposits):
        kept = prefix == deposits and receipt.end is not End.EJECTED
        if any(name.startswith(prefix) for name in left) != kept:
            yield f"{prefix} {'is gone' if kept else 'still holds something'}"
    name = receipt_name(customer.client_id, receipt.eject_id)
    if [one for one in left if one.startswith(name.rpartition("/")[0])] != [name]:
        yield "the vault has not just one receipt"
    elif ReceiptFile.model_validate_json((world.vault_folder / name).read_bytes()).receipt != receipt:
        yield "the receipt in the vault is another than the answer"
