"""The mass exit: everybody on the list leaves or is told of, whatever happens on the way."""

import asyncio
import csv
import json
import shlex
import sys
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.client import Client

import starter
from contracts.commands import Command
from contracts.mass import MassStatus
from contracts.names import mass_exit_id, mass_page_name
from contracts.request import EjectRequest
from contracts.stages import End, Stage
from device.identity import Identity
from ejects import mass_look
from ejects.mass_exit import (
    cancel_mass_exit,
    mass_handle_of,
    mass_status,
    pause_mass_exit,
    resume_mass_exit,
    start_mass_exit,
)
from ejects.mass_report import NOT_STARTED, ReportLine, report
from runtime.development import process
from tests.harness.replaying import replayer
from tests.harness.world import PATIENCE, World, serving
from tests.test_starter_cli import call, done, refused
from tests.test_worker_process import settings_of

OFTEN = timedelta(seconds=0.2)
OPS = Command(by="ops", why="Portal asked us to")


async def told(client: Client, name: str, so: Callable[[MassStatus], bool]) -> MassStatus:
    """Wait until a mass exit is so."""
    status = None
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    status = await mass_status(client, name)
                except starter.NoAnswerError:
                    continue
                if so(status):
                    return status
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"it is otherwise: {status}") from None


async def reported(world: World, name: str) -> list[ReportLine]:
    """The whole report."""
    return [line async for line in report(world.client, world.vault, name)]


async def runs_of(client: Client, name: str) -> list[int]:
    """How many events each run of a mass exit has, the last first; each replays."""
    events = []
    run_id: str | None = None
    while run_id != "":
        history = await client.get_workflow_handle(mass_exit_id(name), run_id=run_id).fetch_history()
        events.append(len(history.events))
        await replayer().replay_workflow(history)
        run_id = history.events[0].workflow_execution_started_event_attributes.continued_execution_run_id
    return events


async def test_thirty_clients_leave(workerless: World) -> None:
    """Some are in trouble, run already or have left; it is paused, its worker is killed, it goes on anew."""
    world = workerless
    customers = [world.sandbox.seed() for _ in range(30)]
    undeposited, stuck, gone, _, differing = customers[:5]
    for customer in customers:
        if customer is not undeposited:
            await world.deposit(customer)
    world.sandbox.fault("read_client", "status", times=100_000, status=503, client_id=stuck.client_id)
    world.sandbox.change(gone.client_id, ejected_at=world.sandbox.now().isoformat())
    requests = [world.request(customer) for customer in customers]
    await starter.start(world.client, requests[3])
    await starter.start(world.client, world.request(differing, window=timedelta(days=2)))

    async def start(some: list[EjectRequest]) -> bool:
        pace = {"at_once": 10, "starts_in_a_run": 8}
        return await start_mass_exit(world.client, world.vault, "all", some, look_every=OFTEN, **pace)

    worker = (sys.executable, "worker.py", "--role", "all")
    env = settings_of(world, EJECT_LOG_LEVEL="WARNING")
    async with process(*worker, env=env, log=world.vault_folder.parent / "worker.log") as alive:
        assert await start(requests) is True
        await told(world.client, "all", lambda status: status.started >= 4)
        paused = await pause_mass_exit(world.client, "all", OPS)
        with pytest.raises(starter.EjectError, match="paused already, by ops"):
            await pause_mass_exit(world.client, "all", OPS)
        alive.kill()
        await alive.wait()
    assert await start(requests) is False
    with pytest.raises(starter.EjectError, match="belongs to another list"):
        await start(requests[:20])

    async with serving(world):
        looked = await told(world.client, "all", lambda status: status.looked != paused.looked)
        assert looked.not_started == paused.not_started > 0, "nobody was started while it was paused"
        assert (looked.paused, looked.starting_ends) == (paused.paused, None)
        states = [line.state for line in await reported(world, "all")]
        assert states.index(NOT_STARTED) == 30 - looked.not_started
        assert states.count(NOT_STARTED) == looked.not_started
        assert (await resume_mass_exit(world.client, "all", OPS)).paused is None
        status = await told(
            world.client, "all", lambda status: status.stages.get(Stage.AWAITING_CLAIM, 0) == 25
        )
        assert (status.started, status.joined, status.differing, status.not_started) == (28, 1, 1, 0)
        assert status.ends == {End.ALREADY_EJECTED: 1}
        assert (status.waiting, status.in_trouble, status.bound) == (25, 2, "all are started")
        told_of = {trouble.client_id: trouble.reason for trouble in status.troubles}
        assert told_of.keys() == {undeposited.client_id, differing.client_id}
        assert "deposit what is missing" in told_of[undeposited.client_id]
        assert "another window" in told_of[differing.client_id]

        lines = await reported(world, "all")
        assert [line.client for line in lines] == [customer.client_id for customer in customers]
        rightly_reported(world, lines)
        assert len(await runs_of(world.client, "all")) >= 4

        assert (await cancel_mass_exit(world.client, "all", OPS)).over
        counted = await world.client.count_workflows("WorkflowType = 'Eject' AND ExecutionStatus = 'Running'")
        assert counted.count == 29, "its end ends no eject"


def rightly_reported(world: World, lines: list[ReportLine]) -> None:
    """Everybody is in the report, with what is true of them and the command that goes on."""
    assert Counter(line.state for line in lines) == {
        Stage.AWAITING_CLAIM: 27,
        Stage.PARKED: 1,
        Stage.CHECKING: 1,
        End.ALREADY_EJECTED: 1,
    }
    undeposited, _, gone, running, differing, *others = lines
    assert undeposited.command.startswith(f"python starter.py retry --client {undeposited.client} --park 1 ")
    assert "another request" in differing.trouble
    assert not [line for line in (running, *others) if line.trouble or line.command]
    assert gone.receipt in world.left_in_vault()
    assert gone.eject_id in gone.receipt


async def test_it_ends_when_everybody_has(world: World) -> None:
    """Nobody ends it: after the last end it says so, and what each came to; then it may begin anew."""
    customers = [world.sandbox.seed() for _ in range(3)]
    for customer in customers:
        await world.deposit(customer)
    requests = [world.request(customer) for customer in customers]
    assert await start_mass_exit(world.client, world.vault, "some", requests, look_every=OFTEN)
    await told(world.client, "some", lambda status: status.stages.get(Stage.AWAITING_CLAIM) == 3)
    for customer in customers:
        await world.cancel(customer)
        await world.end(starter.handle_of(world.client, customer.client_id))
    async with asyncio.timeout(PATIENCE):
        status = await mass_handle_of(world.client, "some").result()
    assert (status.over, status.ended, status.ends) == (True, None, {End.CANCELLED: 3})
    lines = await reported(world, "some")
    assert {line.state for line in lines} == {End.CANCELLED}
    assert {line.receipt for line in lines} <= set(world.left_in_vault())
    assert await start_mass_exit(world.client, world.vault, "some", requests, look_every=OFTEN)
    await mass_handle_of(world.client, "some").cancel()
    async with asyncio.timeout(PATIENCE):
        status = await mass_handle_of(world.client, "some").result()
    assert status.ended is not None
    assert status.ended.by == "Temporal"


async def test_what_is_stuck_holds_up_nobody(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one place only, and a step that is tried again for ever in it: after a while it counts no more."""
    monkeypatch.setattr(mass_look, "AT_WORK_FOR", timedelta(seconds=2))
    customers = [world.sandbox.seed() for _ in range(3)]
    stuck = customers[0].client_id
    world.sandbox.fault("read_client", "status", times=100_000, status=503, client_id=stuck)
    requests = [world.request(customer) for customer in customers]
    await start_mass_exit(world.client, world.vault, "stuck", requests, at_once=1, look_every=OFTEN)
    status = await told(world.client, "stuck", lambda status: status.stages.get(Stage.PARKED) == 2)
    assert status.stages == {Stage.CHECKING: 1, Stage.PARKED: 2}
    await cancel_mass_exit(world.client, "stuck", OPS)


async def test_a_list_that_was_changed_in_the_vault_starts_nobody(unserved: World) -> None:
    """Somebody puts another recipient into the list: it stands still, says which file, and can go on."""
    world = unserved
    requests = [world.request(world.sandbox.seed()) for _ in range(2)]
    assert await start_mass_exit(world.client, world.vault, "changed", requests, look_every=OFTEN)
    page = world.vault_folder / mass_page_name("changed", 0)
    right = page.read_text()
    page.write_text(right.replace(world.owner.identity.recipient, Identity.generate().recipient))
    async with serving(world):
        status = await told(world.client, "changed", lambda status: status.paused is not None)
        assert status.paused is not None
        assert (status.paused.by, status.started) == ("the mass exit itself", 0)
        assert mass_page_name("changed", 0) in status.paused.why
        page.write_text(right)
        await resume_mass_exit(world.client, "changed", OPS)
        with pytest.raises(starter.EjectError, match="It is not paused"):
            await resume_mass_exit(world.client, "changed", OPS)
        await told(world.client, "changed", lambda status: status.started == 2)
        await cancel_mass_exit(world.client, "changed", OPS)


async def test_a_mass_exit_by_command_line(world: World, tmp_path: Path) -> None:
    """A wrong list starts nobody; a right one is started, paused, reported, mended and ended."""
    customers = [world.sandbox.seed() for _ in range(2)]
    rows = [f"{customer.client_id},{world.owner.identity.recipient}" for customer in customers]
    file, name = tmp_path / "clients.csv", ("--name", "typed")
    who = ("--by", "ops", "--why", "to see it")
    words = ["mass-exit", str(file), *name, "--requested-by", "ada", "--reason", "we close down"]
    file.write_text("\n".join(["client,recipient", *rows, rows[0]]))
    wrong = "Nothing was started, because the list is wrong:\nline 4: client: the same as in line 2\n"
    assert await call(world, *words, "--window", "P1D") == (2, "", wrong)
    file.write_text("\n".join(["client,recipient", *rows]))
    assert "Nothing was started: window: " in refused(await call(world, *words, "--window", "P9999D"), 2)
    assert not [name for name in world.left_in_vault() if name.startswith("mass-exits/")]

    assert "2 clients are to leave" in await done(world, *words, "--window", "P1D")
    await told(world.client, "typed", lambda status: status.started == 2)
    assert json.loads(await done(world, "mass-exit-pause", *name, *who))["paused"]["by"] == "ops"
    for customer in customers:
        await world.reach(starter.handle_of(world.client, customer.client_id), Stage.PARKED)
        await world.deposit(customer)
    lines = [*csv.DictReader((await done(world, "mass-exit-report", *name)).splitlines())]
    assert [(line["client"], line["state"]) for line in lines] == [
        (customer.client_id, Stage.PARKED) for customer in customers
    ]
    retried = json.loads(await done(world, *shlex.split(lines[0]["command"])[2:]))
    assert retried["outcome"] == "done"
    assert json.loads(await done(world, "mass-exit-cancel", *name, *who))["over"]
    async with asyncio.timeout(PATIENCE):
        await mass_handle_of(world.client, "typed").result()
    code, out, shown = await call(world, "mass-exit-status", *name, "--watch")
    assert (code, json.loads(out)["over"]) == (0, True)
    assert "2 of 2 (100 %): 2 started" in shown
