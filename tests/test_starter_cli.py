"""`starter.py` as a person calls it, and starts that do not come through it."""

import asyncio
import json
import shutil
from asyncio.subprocess import PIPE
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import ApplicationError

import starter
from contracts.names import released_prefix
from contracts.owner import ClaimAnswer
from contracts.receipt import Receipt, Status
from contracts.request import EjectRequest
from contracts.stages import End, Stage
from device.identity import Identity
from runtime.development import temporal_cli
from tests.harness.processes import environment, run
from tests.harness.world import PATIENCE, World

NOWHERE = "127.0.0.1:1"
RECIPIENT = Identity.generate().recipient
# Errors that show their input shorten it in the middle, so its beginning is looked for.
PLANTED = "PLANTED"
SECRET = PLANTED + "0123456789abcdef" * 4

Ran = tuple[int, str, str]


def caller(world: World) -> dict[str, str]:
    """The environment of somebody who starts ejects: no secret of Portal's and none of the worker's."""
    names = ("TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", "EJECT_VAULT_URL", "EJECT_CLIENT_RECIPIENT")
    own = world.environment()
    return environment(**{name: own[name] for name in names})


async def call(world: World, *arguments: str, stdin: str = "") -> Ran:
    """Run one command line."""
    return await run("starter.py", *arguments, env=caller(world), stdin=stdin)


async def done(world: World, *arguments: str, stdin: str = "") -> str:
    """Run one that must succeed; what it printed."""
    code, out, error = await call(world, *arguments, stdin=stdin)
    assert (code, error) == (0, ""), error
    return out


def refused(ran: Ran, expected: int) -> str:
    """The one sentence of a command that failed as documented, with nothing on standard output."""
    code, out, error = ran
    assert (code, out) == (expected, ""), ran
    assert error.endswith("\n"), error
    assert error.count("\n") == 1, error
    assert "Traceback" not in error
    return error.strip()


def start_of(client_id: str, **changes: str) -> list[str]:
    """A start's command line, right but for the changes; an empty one leaves the option out."""
    options = {
        "client": client_id,
        "recipient": RECIPIENT,
        "window": "P1D",
        "requested-by": "ada",
        "reason": "moves to self custody",
    } | {name.replace("_", "-"): value for name, value in changes.items()}
    return ["start", *(part for name, value in options.items() if value for part in (f"--{name}", value))]


async def test_a_whole_eject_by_command_line(world: World, tmp_path: Path) -> None:
    """Deposit, start, status, list, claim, the device, prove, receipt: each command as a person gives it."""
    customer = world.sandbox.seed()
    client = ("--client", customer.client_id)
    shares = customer.generate_response.get_secret_value()
    body, identity, answered, copied, signed = (
        tmp_path / name for name in ("generate.json", "owner", "claim.json", "files", "proofs.json")
    )
    body.write_text(shares)
    world.owner.identity.save(identity)
    await done(world, "deposit", *client, "--file", str(body))
    await done(world, "deposit", *client, "--file", "-", stdin=shares)
    owner = world.owner.identity.recipient
    told = await done(world, *start_of(customer.client_id, recipient=owner))
    assert f"eject-{customer.client_id} is running" in told
    handle = starter.handle_of(world.client, customer.client_id)
    await world.reach(handle, Stage.AWAITING_CLAIM)

    status = Status.model_validate_json(await done(world, "status", *client))
    assert status.stage is Stage.AWAITING_CLAIM
    assert status.window_closes
    shown = await _listed(world, customer.client_id, "awaiting_claim")
    assert datetime.fromisoformat(shown["window_closes"]) == status.window_closes

    claim = await done(world, "claim", *client, "--by", "the owner")
    answer = ClaimAnswer.model_validate_json(claim)
    answered.write_text(claim)
    shutil.copytree(world.vault_folder / released_prefix(answer.eject_id), copied)
    bundle = ["--identity", str(identity), "--claim", str(answered), "--files", str(copied)]
    code, proofs, _ = await run("-m", "device", "sign", *bundle, env=environment())
    assert code == 0
    assert await done(world, "claim", *client, "--by", "the owner") == claim

    swapped = json.loads(proofs)
    first, second = swapped["proofs"]
    first["opened"], second["opened"] = second["opened"], first["opened"]
    bad = await call(world, "prove", *client, "--file", "-", stdin=json.dumps(swapped))
    assert first["wallet"] in refused(bad, 1)
    signed.write_text(proofs)
    proven = json.loads(await done(world, "prove", *client, "--file", str(signed)))
    assert (len(proven["proven"]), proven["awaited"]) == (2, [])

    ended = await world.end(handle)
    receipt = Receipt.model_validate_json(await done(world, "status", *client))
    assert receipt == ended
    assert receipt.end is End.EJECTED
    assert receipt.asserted.claimed_by == "the owner"
    await _listed(world, customer.client_id, "ejected")
    again = await call(world, "claim", *client, "--by", "the owner")
    assert f"No eject of client {customer.client_id} is running" in refused(again, 1)


async def test_what_an_eject_refuses_and_how_it_goes_on(world: World) -> None:
    """A parked eject refuses a claim and a proof and the retry of another park, and takes its own retry."""
    customer = world.sandbox.seed()
    client = ("--client", customer.client_id)
    await done(world, *start_of(customer.client_id, recipient=world.owner.identity.recipient))
    handle = starter.handle_of(world.client, customer.client_id)
    await world.reach(handle, Stage.PARKED)
    assert "parked" in refused(await call(world, "claim", *client, "--by", "ada"), 1)
    proof = {"wallet": "w", "bundle": "0" * 64, "opened": {}, "signature": "0" * 128}
    proofs = json.dumps({"proofs": [proof]})
    assert "parked" in refused(await call(world, "prove", *client, "--file", "-", stdin=proofs), 1)
    retry = ["retry", *client, "--by", "ada", "--why", "deposited"]
    assert "Park 7" in refused(await call(world, *retry, "--park", "7"), 1)
    await world.deposit(customer)
    assert json.loads(await done(world, *retry, "--park", "1"))["outcome"] == "done"
    await handle.terminate("the test has seen what it wanted")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "--client"),
        (["--wat"], "--wat"),
        (start_of("bad id")[1:], "an id has 1 to 64"),
        (start_of("../x")[1:], "an id has 1 to 64"),
        (start_of("c", recipient=RECIPIENT[:-1] + ("q" if RECIPIENT[-1] != "q" else "p"))[1:], "checksum"),
        (start_of("c", recipient="nobody")[1:], "age public key"),
        (start_of("c", window="PT9M")[1:], "10 minutes"),
        (start_of("c", window="P31D")[1:], "30 days"),
        (start_of("c", window="soon")[1:], "window"),
        (start_of("c", reason="")[1:], "--reason"),
        (start_of("c", reason=SECRET)[1:], "reason"),
    ],
)
async def test_wrong_use_of_start(arguments: list[str], named: str) -> None:
    """A start that is wrong names what is wrong, never a secret, and is refused before anything is sent."""
    ran = await run("starter.py", "start", *arguments, env=environment(TEMPORAL_ADDRESS=NOWHERE))
    sentence = refused(ran, 2)
    assert named in sentence
    assert PLANTED not in sentence


@pytest.mark.parametrize(
    ("arguments", "stdin", "named"),
    [
        (["wat"], "", "wat"),
        (["list", "--stage", "wat"], "", "awaiting_claim"),
        (["status", "--client", "a b"], "", "--client"),
        (["claim", "--client", "c", "--by", "two\nlines"], "", "claimed_by"),
        (["retry", "--client", "c", "--park", "0", "--by", "ada", "--why", "why"], "", "park"),
        (["retry", "--client", "c", "--park", "x", "--by", "ada", "--why", "why"], "", "--park"),
        (["prove", "--client", "c", "--file", "/nowhere/proofs.json"], "", "/nowhere/proofs.json"),
        (["prove", "--client", "c", "--file", "-"], SECRET, "JSON"),
        (["prove", "--client", "c", "--file", "-"], '{"proofs": []}', "proofs"),
    ],
)
async def test_wrong_use_of_the_other_commands(arguments: list[str], stdin: str, named: str) -> None:
    """Every command says in one sentence what is wrong with it, and exits with 2."""
    ran = await run("starter.py", *arguments, env=environment(TEMPORAL_ADDRESS=NOWHERE), stdin=stdin)
    sentence = refused(ran, 2)
    assert named in sentence
    assert PLANTED not in sentence


async def test_a_command_names_all_the_settings_that_it_lacks() -> None:
    """One a line, before it reads what it was given."""
    code, out, error = await run("starter.py", "deposit", "--client", "c", "--file", "-", env=environment())
    assert (code, out) == (2, "")
    lacking = [line.partition(" is not set: ")[0] for line in error.splitlines()]
    assert lacking == ["EJECT_VAULT_URL", "EJECT_CLIENT_RECIPIENT"]


async def test_a_deposit_that_is_none_is_refused(workerless: World) -> None:
    """What is not a generate reply is refused without a word of it, and leaves nothing in the vault."""
    ran = await call(workerless, "deposit", "--client", "c", "--file", "-", stdin=SECRET)
    sentence = refused(ran, 1)
    assert "generate" in sentence
    assert PLANTED not in sentence
    assert workerless.left_in_vault() == []


async def test_no_eject_of_that_client(workerless: World) -> None:
    """Asking about a client who never ejected is refused by name."""
    for arguments in (["status"], ["claim", "--by", "ada"]):
        assert "nobody" in refused(await call(workerless, *arguments, "--client", "nobody"), 1)


@pytest.mark.parametrize("arguments", [["list"], start_of("c"), ["status", "--client", "c"]])
async def test_temporal_does_not_answer(arguments: list[str]) -> None:
    """Nobody listening is exit code 3 and one sentence with the address."""
    ran = await run("starter.py", *arguments, env=environment(TEMPORAL_ADDRESS=NOWHERE))
    assert NOWHERE in refused(ran, 3)


@pytest.mark.parametrize("arguments", [["status"], ["claim", "--by", "ada"]])
async def test_no_worker_answers(workerless: World, arguments: list[str]) -> None:
    """Without a worker a query and an update give up when they said they would, with exit code 3."""
    customer = workerless.sandbox.seed()
    handle = await starter.start(workerless.client, workerless.request(customer))
    hurried = (
        "import datetime, starter; from ejects import service; "
        "service.ANSWERS_WITHIN = datetime.timedelta(seconds=2); starter.main()"
    )
    ran = await run("-c", hurried, *arguments, "--client", customer.client_id, env=caller(workerless))
    assert "see that a worker runs" in refused(ran, 3)
    await handle.terminate("the test has seen what it wanted")


async def test_short_runs_end_as_they_should(workerless: World) -> None:
    """Eight client processes in a row: none is aborted while its interpreter ends."""
    assert [(await call(workerless, "list"))[0] for _ in range(8)] == [0] * 8


async def test_an_operators_commands_by_command_line(world: World, tmp_path: Path) -> None:
    """Approve with a key, extend, cancel, sweep: each does what it says, and is refused where it must be."""
    key = tmp_path / "grace.pem"
    public = (await done(world, "make-key", "--out", str(key))).strip()
    assert len(bytes.fromhex(public)) == 32
    customer = world.sandbox.seed()
    client, who = ("--client", customer.client_id), ("--by", "grace", "--why", "agreed")
    handle = await world.start(customer, approvals=1)
    await world.reach(handle, Stage.AWAITING_APPROVAL)
    digest = Status.model_validate_json(await done(world, "status", *client)).request_digest
    wrong = await call(world, "approve", *client, *who, "--digest", "0" * 64)
    assert "for another request" in refused(wrong, 1)
    unset = await call(world, "approve", *client, *who, "--digest", digest, "--key", str(key))
    assert "cannot be checked" in refused(unset, 1)
    assert '"approvals": 1' in await done(world, "approve", *client, *who, "--digest", digest)
    await world.reach(handle, Stage.AWAITING_CLAIM)
    assert "window_closes" in await done(world, "extend", *client, "--window", "P3D", *who)
    not_claimed = await call(world, "resolve", "close", *client, *who)
    assert "end the eject with `cancel`" in refused(not_claimed, 1)
    assert '"closing"' in await done(world, "cancel", *client, *who)
    code, out, shown = await call(world, "status", *client, "--watch")
    receipt = Receipt.model_validate_json(out)
    assert (code, "cancelled" in shown) == (0, True)
    assert receipt.end is End.CANCELLED
    assert await done(world, "sweep", "--dry-run") == ""


async def test_a_paused_eject_hides_no_other(world: World) -> None:
    """Somebody pauses one in Temporal: the list shows it among the others, and sweep leaves it alone."""
    paused, other = world.sandbox.seed(), world.sandbox.seed()
    handles = [await world.start(paused), await world.start(other)]
    for handle in handles:
        await world.reach(handle, Stage.AWAITING_CLAIM)
    pause = ("workflow", "pause", "--workflow-id", handles[0].id, "--reason", "to see")
    assert await _temporal(world, *pause) == 0
    await _listed(world, other.client_id, "awaiting_claim")
    shown = await _listed(world, paused.client_id, "awaiting_claim")
    assert shown["run"] == "paused"
    told = await call(world, "status", "--client", paused.client_id)
    assert "is paused in Temporal" in refused(told, 1)
    later = datetime.now(UTC) + timedelta(hours=2)
    assert (await starter.sweep(world.client, world.vault, remove=True, now=later)).left_behind == ()
    assert (
        await _temporal(world, "workflow", "unpause", "--workflow-id", handles[0].id, "--reason", "seen") == 0
    )
    for customer, handle in zip((paused, other), handles, strict=True):
        await world.cancel(customer)
        assert (await world.end(handle)).end is End.CANCELLED


async def test_the_same_start_joins_and_another_is_refused(workerless: World) -> None:
    """A second start joins the very run, or names exactly the fields in which it differs."""
    client_id = workerless.sandbox.seed().client_id
    handle = starter.handle_of(workerless.client, client_id)
    await done(workerless, *start_of(client_id))
    run_id = (await handle.describe()).run_id
    await done(workerless, *start_of(client_id, window="PT24H"))
    other = Identity.generate().recipient
    for changes, fields in (
        ({"window": "P2D"}, "window"),
        ({"recipient": other}, "recipient"),
        ({"recipient": other, "requested_by": "bob", "reason": "another"}, "recipient, requested_by, reason"),
    ):
        sentence = refused(await call(workerless, *start_of(client_id, **changes)), 1)
        assert f"is running with another {fields}: start with the same to join it" in sentence
    replacing = await call(workerless, *start_of(client_id), "--replace-backup")
    assert "with another replace_backup:" in refused(replacing, 1)
    assert (await handle.describe()).run_id == run_id
    await handle.terminate("the test has seen what it wanted")


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"api_key": SECRET}, "api_key"),
        ({"client_id": f"no id {SECRET}"}, "client_id"),
        ({"window": "PT9M", "api_key": SECRET}, "window"),
        ({"reason": SECRET}, "reason"),
        ({"backup_method": SECRET}, "backup_method"),
        ({"approvals": 10}, "approvals"),
        ({"recipient": SECRET}, "recipient"),
    ],
)
async def test_a_malformed_plain_start_fails_at_once(world: World, wrong: dict[str, Any], named: str) -> None:
    """JSON that nobody checked fails the run at its first task; the failure names the field, no value."""
    customer = world.sandbox.seed()
    request = json.loads(world.request(customer).model_dump_json()) | wrong
    assert await _started_plainly(world, customer.client_id, json.dumps(request)) == 0
    handle = starter.handle_of(world.client, customer.client_id)
    with pytest.raises(WorkflowFailureError) as failed:
        await asyncio.wait_for(handle.result(), PATIENCE)
    assert isinstance(failed.value.cause, ApplicationError)
    assert named in failed.value.cause.message
    first, *others = (await world.history(handle)).events
    assert PLANTED not in "".join(str(event) for event in others)
    assert first.workflow_execution_started_event_attributes.attempt == 1
    told = refused(await call(world, "status", "--client", customer.client_id), 1)
    assert "failed without a receipt" in told


async def test_a_plain_start_works(world: World) -> None:
    """Any tool can start an eject with only the fields that have no default."""
    customer = world.sandbox.seed()
    await world.deposit(customer)
    required = {name for name, field in EjectRequest.model_fields.items() if field.is_required()}
    request = world.request(customer).model_dump_json(include=required)
    assert await _started_plainly(world, customer.client_id, request) == 0
    handle = starter.handle_of(world.client, customer.client_id)
    await world.reach(handle, Stage.AWAITING_CLAIM)
    assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
    await _listed(world, customer.client_id, "awaiting_claim")
    await handle.terminate("the test has seen what it wanted")


async def _started_plainly(world: World, client_id: str, request: str) -> int:
    workflow = ["--type", "Eject", "--task-queue", "eject", "--workflow-id", f"eject-{client_id}"]
    return await _temporal(world, "workflow", "start", *workflow, "--input", request)


async def _temporal(world: World, *arguments: str) -> int:
    """Run Temporal's own command line; its exit code."""
    running = await asyncio.create_subprocess_exec(
        temporal_cli(), *arguments, env=caller(world), stdout=PIPE, stderr=PIPE
    )
    await running.communicate()
    assert running.returncode is not None
    return running.returncode


async def _listed(world: World, client_id: str, stage: str) -> dict[str, str]:
    """Wait until `list` and `list` of that stage show an eject; Temporal takes a moment to list things."""
    shown: dict[str, str] = {}
    for more in ([], ["--stage", stage]):
        async with asyncio.timeout(timedelta(seconds=PATIENCE).total_seconds()):
            while shown.get("stage") != stage:
                lines = (await done(world, "list", "--json", *more)).splitlines()
                found = [line for line in map(json.loads, lines) if line["client_id"] == client_id]
                shown = found[0] if found else {}
    table = await done(world, "list", "--stage", stage)
    assert any(line.split()[:2] == [client_id, stage] for line in table.splitlines())
    return shown
