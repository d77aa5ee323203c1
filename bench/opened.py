"""Thousands of ejects with an open window, sooner than Portal would let them be opened.

One real eject is led to its open window. Each other one is the same workflow, started as any eject; its steps
answer what that one's answered, and its sealed files in the vault are copies of that one's. So the workflow,
its history and its files are real; Portal's part and the sealing are not done again for each.
"""

import argparse
import asyncio
import json
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from temporalio import activity
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.common import RawValue

import starter
from bench.scaling import PATIENCE, Ground, NotReadyError, Program, Server, say
from contracts.names import Attribute, Role, TaskQueue, held_prefix
from contracts.stages import Stage
from runtime.development import line_of
from runtime.temporal import connect
from serving.workers import make_worker
from workflows import policies

# So many are on their way to the open window at once, far fewer than a worker keeps in memory.
_UNDER_WAY = 100


async def example(ground: Ground, server: Server, client: Client, vault: str) -> str:
    """Lead one real eject to its open window, and note what its steps answered; the id of its client."""
    worker = ground.worker(server, vault)
    await worker.start()
    (client_id,) = await ground.deposited(vault, 1)
    handle = await starter.start(client, ground.request(client_id))
    async with asyncio.timeout(PATIENCE):
        async for stage in starter.stages(handle):
            if stage is Stage.AWAITING_CLAIM:
                break
    names: dict[int, str] = {}
    answers: dict[str, Any] = {}
    run_id = ""
    async for event in handle.fetch_history_events():
        started = event.workflow_execution_started_event_attributes
        run_id = run_id or started.original_execution_run_id
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            scheduled = event.activity_task_scheduled_event_attributes
            names[event.event_id] = scheduled.activity_type.name
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
            completed = event.activity_task_completed_event_attributes
            (payload,) = completed.result.payloads
            answers[names[completed.scheduled_event_id]] = json.loads(payload.data)
    await worker.end()
    (ground.folder / f"example-{vault}.json").write_text(
        json.dumps(
            {
                "vault": str(ground.vault_folder(vault)),
                "eject_id": run_id,
                "client_id": client_id,
                "answers": answers,
            }
        )
    )
    return client_id


async def open_windows(
    ground: Ground,
    server: Server,
    client: Client,
    vault: str,
    *,
    ids: Sequence[str],
    closes: str | None = None,
) -> float:
    """Start these ejects and see every one of them to its open window; how many a second.

    `closes` is when the window of each closes, as Portal would write it; otherwise weeks from now.
    """
    place = ground.folder / f"example-{vault}.json"
    command = [sys.executable, "-m", "bench.opened", "--example", str(place)]
    command += ["--closes", closes] if closes else []
    env = ground.environment(server, vault)
    worker = ground.own(Program(tuple(command), ground.folder / f"opened-{vault}.log", env))
    await worker.start()
    assert worker.running is not None, "it was started"  # noqa: S101
    await line_of(worker.running)
    query = f"{Attribute.STAGE} = '{Stage.AWAITING_CLAIM}' AND ExecutionStatus = 'Running'"
    before = (await client.count_workflows(query)).count
    began = told = heard = time.monotonic()
    started = opened = 0
    while opened < len(ids):
        more = ids[started : opened + _UNDER_WAY]
        await asyncio.gather(*(starter.start(client, ground.request(client_id)) for client_id in more))
        started += len(more)
        await asyncio.sleep(0.2)
        now, seen = time.monotonic(), (await client.count_workflows(query)).count - before
        heard = now if seen > opened else heard
        opened = seen
        if now - heard > PATIENCE:
            raise NotReadyError(f"only {opened} of {len(ids)} windows opened: see what the worker says")
        if now - told > 20:
            told = now
            say(f"  {opened} of {len(ids)} windows are open, {opened / (now - began):.0f} a second")
    await worker.end()
    return len(ids) / (time.monotonic() - began)


def answering(example_file: Path, closes: str | None) -> Any:
    """One activity for every step: it answers what the example's answered, and copies its files."""
    told = json.loads(example_file.read_text())
    answers: dict[str, Any] = told["answers"]
    if closes:
        answers[policies.ENABLE_EJECT.name]["closes"] = closes

    @activity.defn(dynamic=True)
    async def as_the_example(_: Sequence[RawValue]) -> Any:
        info = activity.info()
        # A step made of two would copy both; each role's files come with its own step.
        role = {policies.BACK_UP.name: Role.CLIENT, policies.FETCH_SHARES.name: Role.CUSTODIAN}.get(
            info.activity_type
        )
        if role:
            here, there = (
                Path(told["vault"]) / held_prefix(eject) / role
                for eject in (told["eject_id"], info.workflow_run_id or "")
            )
            shutil.copytree(here, there, dirs_exist_ok=True)
        return answers[info.activity_type]

    return as_the_example


async def serve(example_file: Path, closes: str | None) -> None:
    """Serve until SIGTERM."""
    client = await connect()
    step = answering(example_file, closes)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    for each in policies.STEPS:
        # Steps of the workflow's own queue are begun without asking the server once more.
        object.__setattr__(each, "queue", TaskQueue.EJECT)
    async with make_worker(client, TaskQueue.EJECT, [step]):
        sys.stdout.write("serving\n")
        sys.stdout.flush()
        await stop.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The worker that opens windows for the benchmarks.")
    parser.add_argument("--example", type=Path, required=True)
    parser.add_argument("--closes")
    given = parser.parse_args()
    asyncio.run(serve(given.example, given.closes))
