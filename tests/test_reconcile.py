"""Temporal and its database are lost, at every stage: `reconcile` says where each client stands, and acting
on what it says ends right, with one effective completion.
"""

import asyncio
import json
import shlex
from asyncio.subprocess import Process
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import starter
from contracts.owner import Prove
from contracts.stages import End, Stage
from ejects.advice import State
from tests.harness.ground import Ground, ground
from tests.harness.portal import Customer
from tests.harness.processes import environment, run
from tests.harness.reconciling import advised
from tests.harness.temporal import connected
from tests.harness.world import PATIENCE, World

HOUR = timedelta(hours=1)
# What an operator with the custodian role's settings has.
CUSTODIANS = (
    "TEMPORAL_ADDRESS",
    "TEMPORAL_NAMESPACE",
    "EJECT_VAULT_URL",
    "EJECT_PORTAL_URL",
    "EJECT_CUSTODIAN_API_KEY",
    "EJECT_RECEIPT_KEY",
)


@dataclass(frozen=True)
class Loss:
    """How far an eject had come: where its worker stood, what its owner had done; what it is then."""

    state: State
    at: str = ""
    claimed: bool = False
    proven: bool = False
    completed: bool = False


LOSSES = {
    "checking": Loss(State.DEPOSITED, "check/read_client/BEFORE"),
    "backed up": Loss(State.BACKED_UP, "confirm_backup/store_cipher_text/BEFORE"),
    "window open": Loss(State.WINDOW_OPEN, "fetch_shares/fetch_shares/BEFORE"),
    "unclaimed": Loss(State.WINDOW_OPEN),
    "claimed": Loss(State.WINDOW_OPEN_CLAIMED, claimed=True),
    "proven": Loss(State.WINDOW_OPEN_CLAIMED, "complete/complete_client/BEFORE", claimed=True, proven=True),
    "completed": Loss(
        State.EJECTED_UNRECORDED,
        "complete/complete_client/REPLIED",
        claimed=True,
        proven=True,
        completed=True,
    ),
    "purged": Loss(
        State.EJECTED_UNRECORDED, "delete_deposit/vault/BEFORE", claimed=True, proven=True, completed=True
    ),
    "without a trace": Loss(
        State.EJECTED_ELSEWHERE, "write_receipt/vault/BEFORE", claimed=True, proven=True, completed=True
    ),
    "ended": Loss(State.EJECTED, claimed=True, proven=True, completed=True),
}


@dataclass
class Lost:
    """One client whose eject was lost, and the proofs that its owner had made."""

    loss: Loss
    customer: Customer
    proofs: Prove | None = None


class Halts:
    """Who stands still, as the worker says it."""

    def __init__(self) -> None:
        self._here: dict[str, asyncio.Event] = defaultdict(asyncio.Event)

    async def listen(self, worker: Process) -> None:
        """Read what the worker says, until it ends."""
        assert worker.stdout, "it has a pipe"
        while line := (await worker.stdout.readline()).decode():
            self._here[line.split()[1]].set()

    async def reached(self, customer: Customer) -> None:
        """Wait until a client's eject stands."""
        await asyncio.wait_for(self._here[customer.client_id].wait(), PATIENCE)


async def bring(world: World, lost: Lost, halts: Halts) -> None:
    """Bring an eject to where it will be lost."""
    loss, customer = lost.loss, lost.customer
    handle = await world.start(customer)
    if loss.claimed or not loss.at:
        await world.reach(handle, Stage.AWAITING_CLAIM)
    if loss.claimed:
        lost.proofs = world.proofs(await world.claim(customer))
    if not loss.proven or lost.proofs is None:
        if loss.at:
            await halts.reached(customer)
        return
    await world.prove(customer, lost.proofs)
    ending = asyncio.create_task(world.end(handle))
    await (halts.reached(customer) if loss.at else ending)
    ending.cancel()
    await asyncio.gather(ending, return_exceptions=True)  # it may wait for a server that is gone


async def lose_temporal(on: Ground) -> None:
    """The server dies, its database is deleted; an empty one comes up, with a worker."""
    await on.kill_server()
    await on.kill_worker()
    for path in on.folder.glob("temporal.db*"):
        path.unlink()
    await on.start_server()
    on.world.client = await connected("default", address=on.world.client.service_client.config.target_host)
    await on.start_worker()


async def reconciled(world: World) -> dict[str, dict[str, Any]]:
    """What the command says, by client; what is of none under its state."""
    own = world.environment()
    env = environment(**{name: own[name] for name in CUSTODIANS})
    code, out, error = await run("starter.py", "reconcile", "--json", env=env)
    assert (code, error) == (0, "")
    lines = [json.loads(line) for line in out.splitlines()]
    found = {line["client_id"] or line["state"]: line for line in lines}
    assert len(found) == len(lines), "one line for each"
    return found


async def acted(world: World, command: str) -> None:
    """Run a command as it was told, with what only the operator knows filled in."""
    own = world.environment()
    names = ("TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", "EJECT_VAULT_URL")
    words = command.replace("RECIPIENT", world.owner.identity.recipient).replace("YOU", "ops")
    program, *arguments = shlex.split(words)
    assert program == "python"
    ran = await run(*arguments, env=environment(**{name: own[name] for name in names}))
    assert (ran[0], ran[2]) == (0, ""), ran


async def act(world: World, lost: Lost, told: dict[str, Any]) -> None:
    """Do what reconcile says for one client, and see it end right."""
    loss, customer = lost.loss, lost.customer
    if loss.state is State.EJECTED:
        assert (told["advice"], told["commands"]) == ("Nothing", [])
        return
    await acted(world, told["commands"][0])
    handle = starter.handle_of(world.client, customer.client_id)
    if loss.completed:
        receipt = await asyncio.wait_for(handle.result(), PATIENCE)
        assert receipt.end is End.ALREADY_EJECTED
        shown = world.sandbox.client(customer.client_id)["ejectedAt"]
        assert receipt.ejected_at == datetime.fromisoformat(shown)
        return
    await world.reach(handle, Stage.AWAITING_CLAIM)
    answer = await world.claim(customer)
    if lost.proofs is not None:
        assert "the owner claims and proves again" in told["advice"]
        with pytest.raises(starter.EjectError, match="was not issued by this eject"):
            await world.prove(customer, lost.proofs)
    await world.prove(customer, world.proofs(answer))
    assert (await world.end(handle)).end is End.EJECTED


async def lost_at(folder: Path, names: Iterable[str]) -> None:
    """Ejects at all these stages lose their Temporal at once; each is brought to its right end."""
    async with ground(folder) as on:
        world, halts = on.world, Halts()
        all_lost = [Lost(LOSSES[name], world.sandbox.seed()) for name in names]
        for lost in all_lost[::2]:  # there a second fresh backup has to be asked for
            world.sandbox.change(lost.customer.client_id, is_multi_backup_enabled=False)
        points = [f"{lost.customer.client_id}/{lost.loss.at}" for lost in all_lost if lost.loss.at]
        worker = await on.start_worker("-m", "tests.harness.halting_worker", "all", *points)
        listening = asyncio.create_task(halts.listen(worker))
        try:
            await asyncio.gather(*(bring(world, lost, halts) for lost in all_lost))
            await lose_temporal(on)
        finally:
            listening.cancel()
        assert [line async for line in starter.ejects(world.client)] == []

        told = await reconciled(world)
        assert told.keys() == {lost.customer.client_id for lost in all_lost}
        states = {lost.customer.client_id: lost.loss.state.value for lost in all_lost}
        assert {client: line["state"] for client, line in told.items()} == states
        async with asyncio.TaskGroup() as acting:
            for lost in all_lost:
                acting.create_task(act(world, lost, told[lost.customer.client_id]))
        assert [world.completions(lost.customer) for lost in all_lost] == [1] * len(all_lost)

        later = datetime.now(UTC) + 2 * HOUR
        await starter.sweep(world.client, world.vault, remove=True, now=later)
        left = [name for name in world.left_in_vault() if not name.startswith(("receipts/", "deposits/"))]
        assert left == []
        assert world.audit() == []
        after = await advised(world, world.client)
        assert {line.state for line in after.values()} == {State.EJECTED}
        assert [line.commands for line in after.values()] == [()] * len(all_lost)


@pytest.mark.chaos
async def test_a_spread_of_stages_survives_the_loss_of_temporal(tmp_path: Path) -> None:
    """Claimed, and completed without a receipt: what most needs an answer."""
    await lost_at(tmp_path, ("claimed", "completed"))


@pytest.mark.chaos
async def test_every_stage_survives_the_loss_of_temporal(tmp_path: Path) -> None:
    """From the first check to the end, all lost at once."""
    await lost_at(tmp_path, LOSSES)


@pytest.mark.chaos
async def test_a_receipt_that_was_not_chained_any_more_is_named(tmp_path: Path) -> None:
    """Lost between the receipt and its entry: the client is done, and the chain says what is missing."""
    async with ground(tmp_path) as on:
        world, halts = on.world, Halts()
        lost = Lost(
            Loss(State.EJECTED, "write_receipt/vault/WRITTEN", claimed=True, proven=True, completed=True),
            world.sandbox.seed(),
        )
        point = f"{lost.customer.client_id}/{lost.loss.at}"
        worker = await on.start_worker("-m", "tests.harness.halting_worker", "all", point)
        listening = asyncio.create_task(halts.listen(worker))
        await bring(world, lost, halts)
        await lose_temporal(on)
        listening.cancel()
        told = await advised(world, world.client)
        assert told[lost.customer.client_id].state == State.EJECTED
        assert "is named by no entry" in told[State.CHAIN_BROKEN].facts
        assert world.completions(lost.customer) == 1


async def test_what_runs_and_what_nobody_did_is_told_apart(world: World) -> None:
    """Beside an eject that runs: windows and marks made by hand, files of nobody, a silent Temporal."""
    running, opened, ejected, cancelled, untouched = (world.sandbox.seed() for _ in range(5))
    handle = await world.start(cancelled)
    await world.reach(handle, Stage.AWAITING_CLAIM)
    await world.cancel(cancelled)
    assert (await world.end(handle)).end is End.CANCELLED
    handle = await world.start(running)
    await world.reach(handle, Stage.AWAITING_CLAIM)
    wallets = world.sandbox.client(opened.client_id)["wallets"]
    closes = (world.sandbox.now() + HOUR).isoformat()
    world.sandbox.change(opened.client_id, wallets={w["id"]: {"ejectable_until": closes} for w in wallets})
    world.sandbox.change(ejected.client_id, ejected_at=world.sandbox.now().isoformat())
    await world.vault.create(f"held/{uuid4()}/custodian/nobodys.json", b"{}")
    before, calls = world.left_in_vault(), len(world.sandbox.journal())
    told = await advised(world, world.client)
    states = {name: line.state for name, line in told.items()}
    assert states == {
        running.client_id: State.RUNNING,
        opened.client_id: State.WINDOW_OPEN_ELSEWHERE,
        ejected.client_id: State.EJECTED_ELSEWHERE,
        cancelled.client_id: State.ENDED,
        State.UNKNOWN_FILES: State.UNKNOWN_FILES,
    }
    assert untouched.client_id not in states
    assert world.left_in_vault() == before
    assert {line["call"] for line in world.sandbox.journal()[calls:]} == {"list_clients"}

    env = environment(**{name: world.environment()[name] for name in CUSTODIANS})
    code, out, error = await run("starter.py", "reconcile", env=env | {"TEMPORAL_ADDRESS": "127.0.0.1:1"})
    assert (code, error) == (0, "")
    first, *others = [line.split("\t") for line in out.splitlines()]
    assert first[:2] == ["-", State.TEMPORAL_SILENT]
    assert [running.client_id, State.WINDOW_OPEN] in [line[:2] for line in others]
    await world.cancel(running)


async def test_a_wrong_key_is_told(workerless: World) -> None:
    """One sentence, nothing of the key."""
    own = workerless.environment()
    env = environment(**{name: own[name] for name in CUSTODIANS} | {"EJECT_CUSTODIAN_API_KEY": "sk_PLANTED"})
    code, out, error = await run("starter.py", "reconcile", env=env)
    assert (code, out, error.count("\n")) == (1, "", 1)
    assert "401 to 'list clients'" in error
    assert "PLANTED" not in error
