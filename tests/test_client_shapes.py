"""Clients of every shape that Portal has: each leaves, or is told clearly why not."""

from typing import Any

import pytest

from contracts.stages import End, Stage
from device.backups import OwnersBackup
from tests.harness.portal import Customer
from tests.harness.world import World

SHAPES: dict[str, dict[str, Any]] = {
    "secp256k1 only": {"curves": ["SECP256K1"]},
    "ed25519 only": {"curves": ["ED25519"]},
    "account-abstracted": {"is_account_abstracted": True},
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("backup", ["fresh", "existing"])
async def test_a_client_of_another_shape_leaves(world: World, shape: str, backup: str) -> None:
    """One curve or both, abstracted or not: every wallet with a key is rebuilt and proven."""
    customer = world.sandbox.seed(**SHAPES[shape])
    await leaves(world, customer, backup)


@pytest.mark.parametrize("backup", ["fresh", "existing"])
async def test_upper_case_coordinates(world: World, backup: str) -> None:
    """`X` and `Y` are the same point, also where they change their case on the way."""
    customer = world.sandbox.seed()
    first, _ = world.sandbox.client(customer.client_id)["wallets"]
    world.sandbox.change(customer.client_id, wallets={first["id"]: {"public_key": "upper"}})
    await leaves(world, customer, backup)


@pytest.mark.parametrize("backup", ["fresh", "existing"])
async def test_clients_that_are_shown_without_what_may_be_absent(world: World, backup: str) -> None:
    """Ids, curves, keys and pairs are enough."""
    world.sandbox.switch(sparse_clients=True, empty_200=True)
    await leaves(world, world.sandbox.seed(), backup)


@pytest.mark.parametrize("method", ["FIREBASE", "CUSTOM", "PIGEON", ""])
async def test_an_unknown_backup_method_is_no_obstacle(world: World, method: str) -> None:
    """The custodian's fetch takes no method, so any word may stand on the pair."""
    customer = world.sandbox.seed()
    made = world.sandbox.add_backup(customer.client_id, "own", backup_method=method)
    owners = OwnersBackup(plain=tuple(pair["client_share"] for pair in made["pairs"]))
    await leaves(world, customer, "existing", owners)


async def test_wrapped_and_flat_bodies_of_the_clients_fetch(world: World) -> None:
    """Portal answers either."""
    world.sandbox.switch(wrap_client_fetch=True)
    customer = world.sandbox.seed()
    await leaves(world, customer, "existing", fetch_as="client", backup_method="GDRIVE")


@pytest.mark.parametrize(
    ("several", "replace", "end"),
    [
        (True, False, None),
        (False, False, "start again with replace_backup"),
        (False, True, None),
        (None, False, "start again with replace_backup"),
        (None, True, None),
    ],
)
async def test_a_fresh_backup_beside_another(
    world: World, several: bool | None, replace: bool, end: str | None
) -> None:
    """Where the environment keeps several backups, or does not say, or the request may replace the one."""
    customer = world.sandbox.seed()
    world.sandbox.back_up(customer)
    world.sandbox.change(customer.client_id, is_multi_backup_enabled=several)
    if end is None:
        await leaves(world, customer, "fresh", replace_backup=replace)
        return
    receipt = await world.end(await world.start(customer, replace_backup=replace))
    assert receipt.end is End.REFUSED
    assert any(end in reason for reason in receipt.reasons)


@pytest.mark.parametrize("several", [True, False, None])
async def test_an_existing_backup_needs_no_second_one(world: World, several: bool | None) -> None:
    """Whether the environment keeps several backups matters only where one is made."""
    customer = world.sandbox.seed()
    owners = OwnersBackup(plain=(world.sandbox.back_up(customer),))
    world.sandbox.change(customer.client_id, is_multi_backup_enabled=several)
    await leaves(world, customer, "existing", owners)


@pytest.mark.parametrize("backup", ["fresh", "existing"])
async def test_a_client_without_wallets_is_told_so(world: World, backup: str) -> None:
    """Nothing was generated yet, or Portal shows nothing but an id."""
    customer = world.sandbox.seed()
    for wallet in world.sandbox.client(customer.client_id)["wallets"]:
        world.sandbox.change(customer.client_id, remove_wallet=wallet["id"])
    receipts = [await world.end(await world.start(customer, backup=backup))]
    world.sandbox.switch(bare_clients=True)
    receipts.append(await world.end(await world.start(world.sandbox.seed(), backup=backup)))
    for receipt in receipts:
        assert receipt.end is End.REFUSED
        assert receipt.reasons == ("The client has no wallet",)


async def leaves(
    world: World, customer: Customer, backup: str, owners: OwnersBackup | None = None, **asked: Any
) -> None:
    """A whole eject; an existing backup is made first where the test has none."""
    if backup == "existing" and owners is None:
        owners = OwnersBackup(plain=(world.sandbox.back_up(customer),))
    handle = await world.start(customer, backup=backup, **asked)
    await world.reach(handle, Stage.AWAITING_CLAIM)
    await world.prove(customer, world.proofs(await world.claim(customer), owners))
    receipt = await world.end(handle)
    assert receipt.end is End.EJECTED
    wallets = world.sandbox.client(customer.client_id)["wallets"]
    assert {proof.wallet for proof in receipt.proofs} == {wallet["id"] for wallet in wallets}
