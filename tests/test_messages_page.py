"""The page of messages: made from the messages, and its commands work as they stand there."""

import asyncio
import json
import re
import shlex
from asyncio.subprocess import PIPE
from typing import Any

import pytest

import starter
from contracts.names import workflow_id
from contracts.owner import ClaimAnswer
from contracts.request import EjectRequest, digest_of
from contracts.stages import End, Stage
from docs.messages import CLIENT, PAGE, UPDATES, page
from runtime.development import temporal_cli
from tests.harness.portal import Customer
from tests.harness.processes import environment
from tests.harness.world import World
from workflows.commands import Commands

COMMANDS = [shlex.split(line)[1:] for line in re.findall(r"^ {4}(temporal .*)$", PAGE.read_text(), re.M)]


def test_the_page_is_what_the_messages_are() -> None:
    """`make docs` makes it anew."""
    assert PAGE.read_text() == page()


def test_every_update_has_its_example() -> None:
    """And no example is of an update that is not there."""
    names = {words[words.index("--name") + 1] for words in COMMANDS if "--name" in words}
    there = {name for name, member in vars(Commands).items() if hasattr(member, "validator")}
    assert names == set(UPDATES) == there


async def cli(world: World, customer: Customer, *beginning: str, **changes: Any) -> Any:
    """Run the page's command that begins so, for this customer and with these fields changed."""
    (words,) = [words for words in COMMANDS if words[: len(beginning)] == list(beginning)]
    words = [workflow_id(customer.client_id) if word == workflow_id(CLIENT) else word for word in words]
    if "--input" in words:
        at = words.index("--input") + 1
        words[at] = json.dumps(json.loads(words[at]) | changes)
    settings = world.environment()
    env = environment(**{name: settings[name] for name in ("TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE")})
    running = await asyncio.create_subprocess_exec(
        temporal_cli(), *words, "--output", "json", env=env, stdout=PIPE, stderr=PIPE
    )
    out, error = await running.communicate()
    assert running.returncode == 0, error.decode()
    return json.loads(out)


async def update(world: World, customer: Customer, name: str, **changes: Any) -> Any:
    """The answer to the page's command of an update."""
    told = await cli(world, customer, "workflow", "update", "execute", "--name", name, **changes)
    return told["result"]


async def start(world: World, customer: Customer, **changes: Any) -> EjectRequest:
    """Start as the page says, for this customer and this owner."""
    own = {"client_id": customer.client_id, "recipient": world.owner.identity.recipient}
    beginning = ("workflow", "start")
    await cli(world, customer, *beginning, **own, **changes)
    (words,) = [words for words in COMMANDS if words[:2] == list(beginning)]
    given = json.loads(words[words.index("--input") + 1])
    return EjectRequest.model_validate(given | own | changes)


async def test_a_whole_eject_by_the_pages_commands(world: World) -> None:
    """Start, approve, status, retry, extend, claim, prove, result: each as it stands there."""
    customer = world.sandbox.seed()
    request = await start(world, customer, approvals=1)
    handle = starter.handle_of(world.client, customer.client_id)
    await world.reach(handle, Stage.AWAITING_APPROVAL)
    (status,) = (await cli(world, customer, "workflow", "query"))["queryResult"]
    assert status["request_digest"] == digest_of(request)
    approved = await update(world, customer, "approve", digest=status["request_digest"])
    assert approved == {"approvals": 1, "needed": 1}
    await world.reach(handle, Stage.PARKED)
    await world.deposit(customer)
    assert (await update(world, customer, "retry"))["outcome"] == "done"
    await world.reach(handle, Stage.AWAITING_CLAIM)
    assert (await update(world, customer, "extend"))["window_closes"]
    claimed = ClaimAnswer.model_validate(await update(world, customer, "claim"))
    proofs = world.proofs(claimed).model_dump(mode="json")
    assert (await update(world, customer, "prove", **proofs))["awaited"] == []
    receipt = await world.end(handle)
    assert receipt.end is End.EJECTED
    told = (await cli(world, customer, "workflow", "result"))["result"]
    assert told["eject_id"] == receipt.eject_id


@pytest.mark.parametrize(("name", "end"), [("cancel", End.CANCELLED), ("resolve", End.CLOSED)])
async def test_an_eject_is_ended_by_the_pages_command(world: World, name: str, end: End) -> None:
    """Before the claim, and after it."""
    customer = world.sandbox.seed()
    await world.deposit(customer)
    await start(world, customer)
    handle = starter.handle_of(world.client, customer.client_id)
    await world.reach(handle, Stage.AWAITING_CLAIM)
    if name == "resolve":
        await update(world, customer, "claim")
    assert await update(world, customer, name) == {"stage": "closing"}
    assert (await world.end(handle)).end is end
