"""Determinism: what is recorded of the workflow replays, and a fresh run gives the same commands."""

import json
import os
import re
import socket
from pathlib import Path

import pytest
from temporalio.client import Client

from contracts.stages import End
from tests.harness.changed import CLOCKED, GUARDED, UNGUARDED
from tests.harness.commands import commands_of
from tests.harness.leaving import FOLDER as MASS_EXIT
from tests.harness.playing import recording
from tests.harness.replaying import (
    FOLDER,
    SANDBOX,
    failure_of,
    must_equal,
    must_replay,
    read,
    recorded,
    scrubbed,
)
from tests.harness.secrets import decoded
from tests.harness.world import World, serving
from tests.scenarios import SCENARIOS

HISTORIES = recorded()
EJECTS = [path for path in HISTORIES if not path.stem.endswith("-notice") and path.parent.name != MASS_EXIT]

# Secrets are made at run time, so recorded ones can be found by their form only.
SECRET_FORMS = re.compile(
    r"AGE-SECRET-KEY-1|BEGIN AGE ENCRYPTED|BEGIN \w* ?PRIVATE KEY|whsec_|sandbox-session-|clientPartialPubKey"
    r"|pailler|Bearer |\"share\"|\"nonce\"|X-Amz-Signature"
)
MACHINE = re.compile(r"\d+@[\w.-]+|site-packages|(?:/[\w.-]+){2,}\.py|Traceback|127\.0\.0\.1|localhost")


def path_id(path: Path) -> str:
    """A recorded history by its name in the folder."""
    return str(path.relative_to(FOLDER).with_suffix(""))


@pytest.mark.parametrize("path", HISTORIES, ids=path_id)
async def test_every_recorded_history_replays(path: Path) -> None:
    """With the workflows, the runner and the data converter that the worker has, and in the SDK's sandbox."""
    must_replay(path, await failure_of(path))
    must_replay(path, await failure_of(path, runner=SANDBOX))


@pytest.mark.parametrize("name", SCENARIOS)
async def test_a_fresh_run_gives_the_recorded_commands(name: str, temporal: Client, tmp_path: Path) -> None:
    """Same commands, queues, timeouts and summaries in the same order; and no secret in its histories."""
    fresh = await recording(name, temporal, tmp_path)
    for file, history in fresh.histories.items():
        must_equal(file, (FOLDER / f"{file}.txt").read_text().splitlines(), commands_of(history))


@pytest.mark.parametrize("path", EJECTS, ids=path_id)
async def test_the_gate_tells_a_guarded_change_from_an_unguarded_one(path: Path) -> None:
    """One more timer without `patched` fails each history, with what to do; with it, each replays."""
    failure = await failure_of(path, UNGUARDED)
    with pytest.raises(AssertionError, match=r"(?s)TMPRL1100.*workflow\.patched\(.*make histories KEEP="):
        must_replay(path, failure)
    assert await failure_of(path, GUARDED) is None


async def test_a_clock_in_the_workflow_is_found_in_the_sandbox() -> None:
    """It fits every history, so that a worker would take it; the SDK's sandbox refuses it by name."""
    path = FOLDER / "ejected.json"
    assert await failure_of(path, CLOCKED) is None
    assert "datetime.datetime.now" in str(await failure_of(path, CLOCKED, SANDBOX))


def test_another_order_of_commands_says_how_to_version() -> None:
    """The failure shows what moved, and the steps to take."""
    then = ["activity check", "upsert EjectStage", "activity back_up"]
    must_equal("same", then, list(then))
    with pytest.raises(AssertionError) as failed:
        must_equal("ejected", then, ["activity check", "activity back_up", "upsert EjectStage"])
    told = str(failed.value)
    assert "--- ejected, recorded" in told
    assert "+activity back_up" in told
    for words in ('if workflow.patched("', "make histories KEEP=", 'workflow.deprecate_patch("'):
        assert words in told


def test_what_is_recorded_belongs_together() -> None:
    """Every scenario has its history and the commands of that very history; nothing is left over."""
    named = {path.stem.removesuffix("-notice") for path in FOLDER.glob("*.json")}
    assert named == set(SCENARIOS)
    assert {path.stem for path in FOLDER.glob("*.json")} == {path.stem for path in FOLDER.glob("*.txt")}
    for path in HISTORIES:
        assert commands_of(read(path)) == path.with_suffix(".txt").read_text().splitlines(), path.name


def test_the_scenarios_come_to_every_end() -> None:
    """An end that no history shows would be replayed by nothing."""
    shown = "\n".join(path.with_suffix(".txt").read_text() for path in EJECTS)
    assert {end for end in End if f"EjectStage={end}\n" in shown or f"EjectStage={end}," in shown} == set(End)


@pytest.mark.parametrize("path", HISTORIES, ids=path_id)
def test_a_recorded_history_holds_no_secret_and_no_machine(path: Path) -> None:
    """Neither as text nor inside a payload; no host, process, path or address of whoever recorded it."""
    texts = [path.read_text(), *decoded(read(path))]
    for text in texts:
        assert not SECRET_FORMS.search(text)
        assert not MACHINE.search(text)
        assert f"{os.getpid()}@{socket.gethostname()}" not in text


async def test_what_names_the_machine_is_found_and_left_out(world: World) -> None:
    """The search can fail: a history as Temporal has it names this process, and scrubbed it does not."""
    handle, _ = await world.leave(world.sandbox.seed())
    history = await world.history(handle)
    assert MACHINE.search(history.to_json())
    assert not MACHINE.search(json.dumps(scrubbed(history)))


async def test_an_eject_without_any_cache(workerless: World) -> None:
    """Replayed from its beginning at every task, a whole eject ends right."""
    workerless.settings = workerless.settings.model_copy(update={"cached_ejects": 0})
    async with serving(workerless):
        handle, receipt = await workerless.leave(workerless.sandbox.seed())
    assert receipt.end is End.EJECTED
    events = (await workerless.history(handle)).events
    queues = {e.workflow_task_scheduled_event_attributes.task_queue.name for e in events} - {""}
    assert queues == {"eject"}, "no task went to a worker's own queue, which there is for its cache"
    assert commands_of(await workerless.history(handle)) == _recorded("ejected")


def _recorded(name: str) -> list[str]:
    return (FOLDER / f"{name}.txt").read_text().splitlines()
