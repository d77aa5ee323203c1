"""docs/operating.md, word by word: its `temporal` commands end ejects, its queries find them."""

import asyncio
import base64
import json
import re
import shlex
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import pytest

import starter
from contracts.owner import ClaimAnswer
from contracts.receipt import Receipt
from contracts.stages import End, Stage
from runtime.development import ROOT, temporal_cli
from tests.harness.portal import Customer
from tests.harness.processes import environment
from tests.harness.world import PATIENCE, World

PAGE = (ROOT / "docs/operating.md").read_text()
SECTION = re.findall(r"^## With the `temporal` CLI alone\n(.*?)^## ", PAGE, re.M | re.S)[0]
COMMANDS = re.findall(r"^ {4}(temporal .*)$", SECTION, re.M)
QUERIES = re.findall(r"^ {4}(WorkflowType .*)$", PAGE, re.M)


class Operator:
    """Somebody with the page and the `temporal` CLI, and nothing else, before one eject.

    Every line of the page is run in a shell as it stands, but for the placeholders.
    """

    def __init__(self, world: World, customer: Customer, folder: Path) -> None:
        self.world, self.customer, self.folder = world, customer, folder
        self.ran: list[str] = []

    async def run(self, words: str, **placeholders: object) -> str:
        """Run the one command of the page that has these words; what it wrote to standard output."""
        (line,) = [command for command in COMMANDS if words in command]
        code, out, err = await self.try_to(line, **placeholders)
        assert code == 0, (line, err)
        return out

    async def try_to(self, line: str, **placeholders: object) -> tuple[int, str, str]:
        """Run a line; its exit code, standard output and standard error."""
        self.ran.append(line)
        for placeholder, value in {"ID": self.customer.client_id, **placeholders}.items():
            line = re.sub(rf"\b{placeholder}\b", str(value), line)
        assert not re.search(r"\b(ID|NUMBER|DIGEST)\b", line), "a placeholder is left"
        settings = self.world.environment()
        env = environment(**{name: settings[name] for name in ("TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE")})
        env["PATH"] = f"{Path(temporal_cli()).parent}:{env['PATH']}"
        shell = await asyncio.create_subprocess_exec(
            "/bin/sh", "-c", line, cwd=self.folder, env=env, stdout=PIPE, stderr=PIPE
        )
        out, err = await asyncio.wait_for(shell.communicate(), PATIENCE)
        assert shell.returncode is not None
        return shell.returncode, out.decode(), err.decode()

    async def finds(self, line: str) -> None:
        """Run a listing until it shows the eject: lists lag behind."""
        async with asyncio.timeout(PATIENCE):
            while True:
                code, out, err = await self.try_to(line)
                assert code == 0, (line, err)
                if f"eject-{self.customer.client_id}" in out:
                    return
                await asyncio.sleep(0.2)

    async def status(self) -> dict[str, Any]:
        """What the page's query tells."""
        told = await self.run("--type status")
        answer: dict[str, Any] = json.loads(told[told.index("{") :])
        return answer


def listing(words: str) -> str:
    """The page's listing command with these words."""
    (line,) = [command for command in COMMANDS if " list " in command and words in command]
    return str(line)


async def to_the_end(world: World, folder: Path) -> tuple[Receipt, list[str]]:
    """An eject that is approved, parks, is mended and extended, and is owned by its owner."""
    customer = world.sandbox.seed()
    operator = Operator(world, customer, folder)
    handle = await starter.start(world.client, world.request(customer, approvals=1))
    await world.reach(handle, Stage.AWAITING_APPROVAL)
    await operator.finds(listing("awaiting_approval"))
    await operator.run("--name approve", DIGEST=(await operator.status())["request_digest"])

    await world.reach(handle, Stage.PARKED)
    await operator.finds(listing("parked"))
    details = await operator.run("workflow metadata")
    assert "Awaited: an operator, to mend the cause and retry." in details
    (number,) = re.findall(r"\*\*Park (\d+)\*\* at `back_up`", details)
    assert (await operator.status())["park"]["number"] == int(number)
    assert f"| `{(await operator.status())['park']['failure']}` | {_mend(details)}" in PAGE
    await world.deposit(customer)  # what the page says mends it
    assert "outcome:done" in await operator.run("--name retry", NUMBER=number)

    await world.reach(handle, Stage.AWAITING_CLAIM)
    await operator.finds(listing("EjectWindowCloses"))
    assert "window_closes:" in await operator.run("--name extend")
    assert f"eject-{customer.client_id}" in await operator.run("workflow describe")
    claim = ClaimAnswer.model_validate(json.loads(await operator.run("--name claim"))["result"])
    (folder / "proofs.json").write_text(world.proofs(claim).model_dump_json())
    assert "awaited:[]" in await operator.run("--name prove")
    shown = json.loads(await operator.run("workflow result"))["result"]
    receipt = await handle.result()
    assert shown == as_the_cli_shows(receipt.model_dump(mode="json"))
    last = json.loads(await operator.run("workflow show"))["events"][-1]
    (kept,) = last["workflowExecutionCompletedEventAttributes"]["result"]["payloads"]
    assert Receipt.model_validate_json(base64.b64decode(kept["data"])) == receipt
    return receipt, operator.ran


def _mend(details: str) -> str:
    (words,) = re.findall(r"^To mend it: (.*)\.$", details, re.M)
    return str(words)


def as_the_cli_shows(value: Any) -> Any:
    """The CLI writes an empty list as null."""
    if isinstance(value, dict):
        return {name: as_the_cli_shows(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [as_the_cli_shows(inner) for inner in value] or None
    return value


async def cancelled(world: World, folder: Path) -> tuple[Receipt, list[str]]:
    """An eject that is ended before the claim."""
    customer = world.sandbox.seed()
    operator = Operator(world, customer, folder)
    handle = await world.start(customer)
    await world.reach(handle, Stage.AWAITING_CLAIM)
    await operator.run("--name cancel")
    return await world.end(handle), operator.ran


async def closed(world: World, folder: Path) -> tuple[Receipt, list[str]]:
    """An eject that is ended after the claim; before it, the page's command is refused in a sentence."""
    customer = world.sandbox.seed()
    operator = Operator(world, customer, folder)
    handle = await world.start(customer)
    await world.reach(handle, Stage.AWAITING_CLAIM)
    (line,) = [command for command in COMMANDS if "--name resolve" in command]
    code, _, err = await operator.try_to(line)
    assert (code, "The bundle was not claimed: end the eject with `cancel`" in err) == (1, True)
    await operator.run("--name claim")
    await operator.run("--name resolve")
    return await world.end(handle), operator.ran


async def test_the_temporal_cli_alone_takes_ejects_to_their_ends(world: World, tmp_path: Path) -> None:
    """A parked one to `ejected`, one to `cancelled`, one to `closed`; every command was run."""
    receipt, ran = await to_the_end(world, tmp_path)
    assert receipt.end is End.EJECTED
    assert [(a.by, a.signed) for a in receipt.approvals] == [("you", False)]
    assert [(c.command, c.by) for c in receipt.commands] == [("retry", "you"), ("extend", "you")]
    for road, end in ((cancelled, End.CANCELLED), (closed, End.CLOSED)):
        receipt, more = await road(world, tmp_path)
        assert receipt.end is end
        ran += more
    assert set(ran) == set(COMMANDS)


@pytest.mark.parametrize("query", QUERIES)
async def test_every_ready_query_finds_its_ejects(world: World, tmp_path: Path, query: str) -> None:
    """Each query of the page through `temporal workflow list --query`: it finds the one, not the other."""
    waiting, parked, open_ = (Operator(world, world.sandbox.seed(), tmp_path) for _ in range(3))
    await world.reach(await world.start(waiting.customer, approvals=1), Stage.AWAITING_APPROVAL)
    handle = await starter.start(world.client, world.request(parked.customer))
    await world.reach(handle, Stage.PARKED)
    await world.reach(await world.start(open_.customer), Stage.AWAITING_CLAIM)
    place = 0 if "awaiting_approval" in query else 1 if "parked" in query else 2
    line = f"temporal workflow list --query {shlex.quote(query)}"
    them = [waiting, parked, open_]
    found = them.pop(place)
    await found.finds(line)
    _, out, _ = await found.try_to(line)
    assert not [other for other in them if other.customer.client_id in out]
    for operator in (waiting, parked, open_):
        await world.cancel(operator.customer)


def test_the_page_has_them_all() -> None:
    """The commands and the queries were read from the page."""
    names = set(re.findall(r"--name (\w+)", "\n".join(COMMANDS)))
    assert names == {"approve", "cancel", "claim", "extend", "prove", "resolve", "retry"}
    assert len(QUERIES) == 3
