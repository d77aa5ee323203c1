"""docs/recovery.md about the watch: its commands make it, hold it, begin a look, find it and end it."""

import asyncio
import re
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from contracts.drift import DRIFT_SCHEDULE
from runtime.development import ROOT, temporal_cli
from tests.harness.processes import environment
from tests.harness.world import PATIENCE, World, serving

PAGE = (ROOT / "docs/recovery.md").read_text()
SECTION = PAGE.partition("## Drift\n")[2]
COMMANDS = re.findall(r"^ {4}((?:temporal|python) .*)$", SECTION, re.M)


async def ran(world: World, *words: str) -> str:
    """Run the one command of the page that has these words; what it printed."""
    (line,) = [command for command in COMMANDS if all(word in command for word in words)]
    own = world.environment()
    env = environment(**{name: own[name] for name in ("TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE")})
    env["PATH"] = f"{ROOT / '.venv/bin'}:{Path(temporal_cli()).parent}:{env['PATH']}"
    shell = await asyncio.create_subprocess_exec(
        "/bin/sh", "-c", line, cwd=ROOT, env=env, stdout=PIPE, stderr=PIPE
    )
    out, err = await asyncio.wait_for(shell.communicate(), PATIENCE)
    assert shell.returncode == 0, (line, err)
    return out.decode()


@pytest.mark.chaos
async def test_the_watch_by_the_page(unserved: World) -> None:
    """Every command of the section, in the order in which somebody uses them."""
    world, schedule = unserved, unserved.client.get_schedule_handle(DRIFT_SCHEDULE)
    try:
        assert await ran(world, "--every", "--since") == "The watch has begun.\n"
        assert await ran(world, "--every", "--since") == "The watch goes on, changed.\n"
        await ran(world, "--pause")
        assert (await schedule.describe()).schedule.state.paused
        await ran(world, "--unpause")
        assert not (await schedule.describe()).schedule.state.paused
        async with serving(world):
            await ran(world, "trigger")
            async with asyncio.timeout(PATIENCE):
                while "drift-watch-" not in await ran(world, "workflow list"):
                    pass
    finally:
        ended = await ran(world, "--delete")
    assert ended == "The watch has ended.\n"
    assert len(COMMANDS) == 6
