"""`make histories`: play every scenario, and write what happened.

For each scenario `NAME.json`, its history without this machine and with one event on each line, and
`NAME.txt`, its commands; the same for the notices that it sent. With `--keep FOLDER` what is recorded now is
moved there first, to be replayed for as long as ejects of that version run.
"""

import asyncio
import json
import logging
import os
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from temporalio.client import WorkflowHistory

from tests.harness import temporal
from tests.harness.commands import commands_of
from tests.harness.leaving import FOLDER as MASS_EXIT
from tests.harness.leaving import leaving
from tests.harness.playing import Recording, recording
from tests.harness.replaying import FOLDER, scrubbed
from tests.scenarios import SCENARIOS


def write(name: str, history: WorkflowHistory) -> None:
    """One history and its commands."""
    events = ",\n".join(json.dumps(event, sort_keys=True) for event in scrubbed(history)["events"])
    (FOLDER / f"{name}.json").write_text(f'{{"events": [\n{events}\n]}}\n')
    (FOLDER / f"{name}.txt").write_text("\n".join(commands_of(history)) + "\n")


async def record() -> list[Recording]:
    """Play them one after the other, each in a world of its own."""
    client = await temporal.connected(temporal.TESTS)
    made = []
    for name in SCENARIOS:
        with tempfile.TemporaryDirectory() as folder:
            made.append(await recording(name, client, Path(folder)))
    with tempfile.TemporaryDirectory() as folder:
        made.append(Recording(await leaving(client, Path(folder))))
    return made


def main(keep: Annotated[str, typer.Option(help="A folder for what is recorded now.")] = "") -> None:
    """Nothing is written before every scenario was played to its end."""
    if keep and (FOLDER / keep).exists():
        raise typer.BadParameter(f"{FOLDER / keep} exists: name a new folder")
    logging.disable(logging.CRITICAL)  # scenarios have their troubles on purpose
    os.environ[temporal.ADDRESS], end = temporal.start_server(0)
    try:
        made = asyncio.run(record())
    finally:
        end()
    for path in [*FOLDER.glob("*.*"), *(FOLDER / MASS_EXIT).glob("*.*")]:
        if path.suffix not in (".json", ".txt"):
            continue
        if keep:
            kept = FOLDER / keep / path.relative_to(FOLDER)
            kept.parent.mkdir(parents=True, exist_ok=True)
            path.rename(kept)
        else:
            path.unlink()
    histories = {name: history for one in made for name, history in one.histories.items()}
    for name, history in histories.items():
        write(name, history)
    sys.stdout.write(f"{len(histories)} histories of {len(made)} scenarios: see `git diff --stat`.\n")


if __name__ == "__main__":
    typer.run(main)
