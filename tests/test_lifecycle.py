"""The straight road: a client's wallets leave custody."""

from datetime import timedelta

from contracts.chain import ReceiptFile
from contracts.owner import Prove
from contracts.stages import End, Stage
from tests.harness.world import World


async def test_a_client_leaves_custody(world: World) -> None:
    """From request to receipt: both keys rebuilt, one completion, nothing of ours left but the receipt."""
    customer = world.sandbox.seed()
    handle = await world.start(customer)
    await world.reach(handle, Stage.AWAITING_CLAIM)
    answer = await world.claim(customer)
    keys = world.rebuild(answer)
    assert {key.wallet.id for key in keys} == {wallet["id"] for wallet in _wallets(world, customer.client_id)}
    assert world.completions(customer) == 0
    proven = await world.prove(customer, world.proofs(answer))
    assert proven.awaited == ()
    receipt = await world.end(handle)
    assert receipt.end is End.EJECTED
    assert receipt.ejected_at is not None
    assert world.completions(customer) == 1
    name = f"receipts/{customer.client_id}/{answer.eject_id}.json"
    assert world.left_in_vault() == [name]
    kept = ReceiptFile.model_validate_json((world.vault_folder / name).read_bytes())
    assert (kept.receipt, kept.key) == (receipt, world.receipt_key)
    assert world.audit() == []


async def test_one_wallet_proven_of_two_marks_nothing(world: World) -> None:
    """Completion waits for the proof of every wallet."""
    customer = world.sandbox.seed()
    handle = await world.start(customer)
    await world.reach(handle, Stage.AWAITING_CLAIM)
    first, second = world.proofs(await world.claim(customer)).proofs
    answer = await world.prove(customer, Prove(proofs=(first,)))
    assert answer.proven == (first.wallet,)
    assert answer.awaited == (second.wallet,)
    assert await world.forward(handle, timedelta(hours=20))
    assert world.completions(customer) == 0
    await world.prove(customer, Prove(proofs=(second,)))
    assert (await world.end(handle)).end is End.EJECTED
    assert world.completions(customer) == 1


async def test_a_claim_answers_names_and_no_addresses(world: World) -> None:
    """Where the vault is, and a link that opens it, never lie in history."""
    customer = world.sandbox.seed()
    handle = await world.start(customer)
    await world.reach(handle, Stage.AWAITING_CLAIM)
    answer = await world.claim(customer)
    assert {file.name for file in answer.files} == {
        f"released/{answer.eject_id}/{role}/{wallet.id}.json"
        for role in ("client", "custodian")
        for wallet in answer.wallets
    }
    assert "://" not in answer.model_dump_json()
    await world.resolve(customer)
    assert (await world.end(handle)).end is End.CLOSED


def _wallets(world: World, client_id: str) -> list[dict[str, str]]:
    wallets: list[dict[str, str]] = world.sandbox.client(client_id)["wallets"]
    return wallets
