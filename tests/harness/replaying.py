"""Recorded histories, replayed as `worker.py` runs workflows, and what to do when one of them is red."""

import asyncio
import difflib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from runtime.codec import EjectCodec
from runtime.converter import data_converter
from runtime.development import ROOT
from serving.workers import RUNNER, WORKFLOWS

FOLDER = ROOT / "tests/histories"

# Workers do without it for its cost; in here a clock, randomness or I/O in workflow code is refused.
SANDBOX = SandboxedWorkflowRunner()

HOW_TO_VERSION = """\
The workflow's commands differ from those that are recorded; ejects that run now would meet the difference.
1. Did the order or the kind of commands change? Guard it: `if workflow.patched("what-changes"):` the new way,
   `else:` the old one. Until the recorded histories replay, no running eject survives the deployment.
   (A timeout, a retry policy or a summary needs no guard: histories replay with another one.)
2. `make histories KEEP=before-what-changes` keeps the old histories in a folder of that name, where they
   are replayed from then on, and records new ones. Read the difference in tests/histories/*.txt; commit both.
3. Once no eject runs that began without the patch, put `workflow.deprecate_patch("what-changes")` in place of
   the guard and delete the old way and that folder. This finds such ejects; it must print none:
   temporal workflow list --query "WorkflowType='Eject' AND ExecutionStatus='Running' AND
       (TemporalChangeVersion IS NULL OR TemporalChangeVersion != 'what-changes')"
   Once no eject runs that began with the guard, delete the call too.
"""


def recorded(folder: Path = FOLDER) -> list[Path]:
    """Every recorded history, those of older versions in their own folders."""
    return sorted(folder.rglob("*.json"))


def read(path: Path) -> WorkflowHistory:
    """A recorded history, under the workflow id with which it ran."""
    content = json.loads(path.read_text())
    started = content["events"][0]["workflowExecutionStartedEventAttributes"]
    return WorkflowHistory.from_json(started["workflowId"], content)


def replayer(workflows: Sequence[type] = WORKFLOWS, runner: WorkflowRunner = RUNNER) -> Replayer:
    """Replays with what runs workflows in `worker.py`, or with others in their place."""
    return Replayer(
        workflows=workflows, workflow_runner=runner, data_converter=data_converter(EjectCodec({}))
    )


async def failure_of(
    path: Path, workflows: Sequence[type] = WORKFLOWS, runner: WorkflowRunner = RUNNER
) -> Exception | None:
    """What a replay of a recorded history comes to; None where it fits."""
    history = await asyncio.to_thread(read, path)
    replaying = replayer(workflows, runner).replay_workflow(history, raise_on_replay_failure=False)
    return (await replaying).replay_failure


def must_replay(path: Path, failure: Exception | None) -> None:
    """Fail with what to do where a history does not fit."""
    assert failure is None, f"{path.name} does not replay: {failure}\n\n{HOW_TO_VERSION}"


def must_equal(name: str, then: Sequence[str], now: Sequence[str]) -> None:
    """Fail with the difference and with what to do where commands are not those that are recorded."""
    lines = list(difflib.unified_diff(then, now, f"{name}, recorded", f"{name}, now", lineterm="", n=2))
    assert not lines, "\n".join([*lines, "", HOW_TO_VERSION])


def scrubbed(history: WorkflowHistory) -> dict[str, Any]:
    """A history without the machine that it was recorded on: no host, process or path in it."""
    content: dict[str, Any] = _scrub(history.to_json_dict())
    return content


def _scrub(value: Any) -> Any:
    if isinstance(value, list):
        return [_scrub(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    sticky = value.get("kind") == "TASK_QUEUE_KIND_STICKY"
    named = {"identity": "worker", "buildId": "recorded"} | ({"name": "sticky"} if sticky else {})
    return {name: named.get(name) or _scrub(inner) for name, inner in value.items() if name != "stackTrace"}
