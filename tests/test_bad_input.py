"""An unfit client is told so, all reasons at once, before anything is changed anywhere."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError

import starter
from contracts.names import TaskQueue, workflow_id
from contracts.parks import Retry
from contracts.stages import End, Stage
from tests.harness.portal import Customer
from tests.harness.world import World


def backed_up(world: World, customer: Customer) -> None:
    """The client has a backup, and the environment keeps one only."""
    world.sandbox.back_up(customer)
    world.sandbox.change(customer.client_id, is_multi_backup_enabled=False)


def self_managed(world: World, customer: Customer) -> None:
    """The custodian keeps backups itself."""
    world.sandbox.change(customer.client_id, backup_with_portal_enabled=False)


def without_wallets(world: World, customer: Customer) -> None:
    """Both wallets are gone."""
    for wallet in world.sandbox.client(customer.client_id)["wallets"]:
        world.sandbox.change(customer.client_id, remove_wallet=wallet["id"])


def without_keys(world: World, customer: Customer) -> None:
    """No wallet has a public key."""
    wallets = world.sandbox.client(customer.client_id)["wallets"]
    world.sandbox.change(customer.client_id, wallets={w["id"]: {"public_key": "null"} for w in wallets})


def two_of_a_curve(world: World, customer: Customer) -> None:
    """A second wallet on one curve."""
    world.sandbox.change(customer.client_id, add_wallet="SECP256K1")


UNFIT: list[tuple[Callable[[World, Customer], None], str]] = [
    (backed_up, "start again with replace_backup"),
    (self_managed, "manages its backups itself"),
    (without_wallets, "has no wallet"),
    (without_keys, "has a public key"),
    (two_of_a_curve, "2 SECP256K1 wallets"),
]


def nothing_was_done(world: World, client_id: str) -> None:
    """Portal was only read."""
    effects = [call["effect"] for call in world.sandbox.journal(client_id=client_id)]
    assert not {"window_set", "shares_released", "completed"} & set(effects)


@pytest.mark.parametrize(("make", "words"), UNFIT, ids=lambda case: getattr(case, "__name__", ""))
async def test_an_unfit_client_is_refused(
    world: World, make: Callable[[World, Customer], None], words: str
) -> None:
    """The eject ends `refused` with the reason in its receipt."""
    customer = world.sandbox.seed()
    make(world, customer)
    receipt = await world.end(await world.start(customer))
    assert receipt.end is End.REFUSED
    assert any(words in reason for reason in receipt.reasons), receipt.reasons
    nothing_was_done(world, customer.client_id)


async def test_an_eject_under_another_clients_id_fails_at_once(world: World) -> None:
    """The workflow id is what keeps a client from being ejected twice at once."""
    customer = world.sandbox.seed()
    request = world.request(customer).model_dump(mode="json")
    handle = await world.client.start_workflow(
        "Eject", request, id=workflow_id("other"), task_queue=TaskQueue.EJECT
    )
    with pytest.raises(WorkflowFailureError) as failed:
        await handle.result()
    assert f"must be {workflow_id(customer.client_id)}" in str(failed.value.cause)
    assert world.sandbox.journal(client_id=customer.client_id) == []


async def test_all_reasons_are_told_at_once(world: World) -> None:
    """Who is unfit twice over hears both reasons."""
    customer = world.sandbox.seed()
    self_managed(world, customer)
    two_of_a_curve(world, customer)
    receipt = await world.end(await world.start(customer))
    assert len(receipt.reasons) == 2


async def test_an_unknown_client_is_refused(world: World) -> None:
    """An id that Portal does not know."""
    receipt = await world.end(await world.start(Customer("nobody", *_shares(world))))
    assert receipt.end is End.REFUSED
    assert receipt.reasons == ("Portal does not know client nobody: check the id and the environment",)


def _shares(world: World) -> tuple[Any, Any]:
    made = world.sandbox.seed()
    return made.api_key, made.generate_response


async def test_a_client_that_has_left_is_told_so(world: World) -> None:
    """Ejected before, by us or by anybody."""
    customer = world.sandbox.seed()
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    world.sandbox.change(customer.client_id, ejected_at=moment.isoformat())
    receipt = await world.end(await world.start(customer))
    assert (receipt.end, receipt.ejected_at) == (End.ALREADY_EJECTED, moment)
    nothing_was_done(world, customer.client_id)


async def test_a_second_eject_of_one_who_left_ends_already_ejected(world: World) -> None:
    """The id is free again, and nothing happens twice."""
    customer = world.sandbox.seed()
    await world.leave(customer)
    receipt = await world.end(await world.start(customer))
    assert receipt.end is End.ALREADY_EJECTED
    assert world.completions(customer) == 1


async def test_replace_backup_is_a_word_that_works(world: World) -> None:
    """With it, the only backup may be replaced."""
    customer = world.sandbox.seed()
    backed_up(world, customer)
    _, receipt = await world.leave(customer, replace_backup=True)
    assert receipt.end is End.EJECTED


async def test_a_recipient_with_a_wrong_checksum_is_refused_by_starter_and_by_the_check(world: World) -> None:
    """One letter off: nobody could ever open what is sealed to it."""
    customer = world.sandbox.seed()
    right = world.owner.identity.recipient
    wrong = right[:-1] + ("q" if right[-1] != "q" else "p")
    with pytest.raises(starter.EjectError, match="checksum"):
        await world.start(customer, recipient=wrong)
    request = world.request(customer, recipient=wrong).model_dump(mode="json")
    handle = await world.client.start_workflow(
        "Eject", request, id=workflow_id(customer.client_id), task_queue=TaskQueue.EJECT
    )
    receipt = await handle.result()
    assert receipt["end"] == End.REFUSED
    assert "checksum" in receipt["reasons"][0]


async def test_another_clients_deposit_parks_before_the_backup(world: World) -> None:
    """Signing shares of somebody else are noticed before the enclave is called."""
    customer, other = world.sandbox.seed(), world.sandbox.seed()
    mixed = Customer(customer.client_id, customer.api_key, other.generate_response)
    handle = await world.start(mixed)
    await world.reach(handle, Stage.PARKED)
    assert world.sandbox.journal(client_id=customer.client_id, call="back_up") == []
    await world.deposit(customer)
    await starter.retry(
        world.client, customer.client_id, Retry(park=1, by="ops", why="deposited the right ones")
    )
    await world.reach(handle, Stage.AWAITING_CLAIM)
    await world.prove(customer, world.proofs(await world.claim(customer)))
    assert (await world.end(handle)).end is End.EJECTED
