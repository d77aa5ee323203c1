"""Playing a named scenario in a world of its own, and what is left of it to record."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr
from temporalio.client import Client, WorkflowHistory

from custody.keys import make_key
from tests.harness.portal import running_sandbox
from tests.harness.receiver import Receiver
from tests.harness.secrets import decoded, leaks, secrets_of
from tests.harness.world import World, make_world, serving
from tests.scenarios import APPROVERS, SCENARIOS, Play, key_of


@dataclass(frozen=True)
class Recording:
    """The histories of one played scenario, by the names of their files."""

    histories: dict[str, WorkflowHistory]


@asynccontextmanager
async def played(name: str, world: World) -> AsyncIterator[Play]:
    """A scenario played to its end in a world without a worker; one serves it until the block ends."""
    scenario, receiver = SCENARIOS[name], Receiver()
    update: dict[str, object] = {}
    if scenario.approvers:
        update["approvers"] = {approver: make_key(key_of(world, approver)) for approver in APPROVERS}
    if scenario.notices:
        update |= {"notify_url": receiver.url, "notify_secret": SecretStr(receiver.secret)}
    world.settings = world.settings.model_copy(update=update)
    async with receiver.listening(), serving(world):
        play = Play(world, receiver)
        await scenario.road(play)
        yield play


async def recording(name: str, client: Client, folder: Path) -> Recording:
    """Play a scenario in a world that ends with it; an error where a secret of it stands in a history."""
    with running_sandbox(folder / "portal.sqlite") as sandbox:
        world = make_world(client, sandbox, folder)
        async with played(name, world) as play:
            histories = await histories_of(name, play)
        files = sorted(world.owner.folder.rglob("*.json"))
        secrets = secrets_of(world, play.customer, files)
        found = leaks({name: decoded(history) for name, history in histories.items()}, secrets)
        assert found == [], found
    return Recording(histories)


async def histories_of(name: str, play: Play) -> dict[str, WorkflowHistory]:
    """Those of the eject and, where somebody was told, of the first notice."""
    histories = {name: await play.handle.fetch_history()}
    if play.receiver.taken:
        notice = play.world.client.get_workflow_handle(f"eject-notice-{max(play.receiver.taken)}")
        await notice.result()
        histories[f"{name}-notice"] = await notice.fetch_history()
    return histories
