"""Fixtures: one Temporal server for all tests, a world of its own for each."""

import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.client import Client
from temporalio.service import RPCError

from contracts.names import workflow_id
from docs.figures import keep
from tests.harness.points import table
from tests.harness.portal import Sandbox, running_sandbox
from tests.harness.temporal import ADDRESS, PROCESSES, TESTS, connected, start_server
from tests.harness.world import World, make_world, serving


def pytest_configure(config: pytest.Config) -> None:
    """Start the server where the tests are distributed from, and end it with them, also when interrupted."""
    # Whoever is asked to end ends as by Ctrl-C: with fixtures and servers, not before them.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if not hasattr(config, "workerinput") and not config.option.collectonly:
        os.environ[ADDRESS], end = start_server(config.getoption("numprocesses", None) or 0)
        config.add_cleanup(end)


# Whole files go to one process each, so that the long ones must not come last.
LONG = (
    "test_faults_in_ejects.py",
    "test_permanent_failures.py",
    "test_secrets.py",
    "test_starter_cli.py",
    "test_client_fetch.py",
    "test_kills.py",
    "test_histories.py",
    "test_providers.py",
    "test_shapes.py",
    "test_faults.py",
    "test_versions.py",
    "test_completion.py",
    "test_existing_backup.py",
    "test_retries.py",
    "test_notices.py",
    "test_worker_process.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the long files."""
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """After the whole of `make chaos`: show the kill matrix, and keep the figures for their page."""
    option = config.option
    if option.markexpr != "chaos" or option.keyword or option.file_or_dir or option.collectonly:
        return
    stats = terminalreporter.stats
    kills: dict[str, object] = {}
    figures: dict[str, object] = {}
    for report in (*stats.get("passed", ()), *stats.get("failed", ())):
        for name, value in report.user_properties:
            (kills if "/" in name else figures)[name] = value
    passed = Counter(Path(report.nodeid.split("::")[0]).name for report in stats.get("passed", ()))
    failed = len(stats.get("failed", ())) + len(stats.get("error", ()))
    keep("chaos", {"passed": dict(passed), "failed": failed, "kills": kills} | figures)
    terminalreporter.write_line("\n" + table({name: str(outcome) for name, outcome in kills.items()}))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def temporal() -> Client:
    """The one real Temporal server."""
    return await connected(TESTS)


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """A Portal of its own."""
    with running_sandbox(tmp_path / "portal.sqlite") as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def world(temporal: Client, sandbox: Sandbox, tmp_path: Path) -> AsyncIterator[World]:
    """A world whose worker runs in this process."""
    made = make_world(temporal, sandbox, tmp_path)
    async with serving(made):
        yield made
    await end_all(made)


@pytest_asyncio.fixture(loop_scope="session")
async def unserved(temporal: Client, sandbox: Sandbox, tmp_path: Path) -> AsyncIterator[World]:
    """A world whose worker the test starts in this process, when and as it likes."""
    made = make_world(temporal, sandbox, tmp_path)
    yield made
    await end_all(made)


@pytest_asyncio.fixture(loop_scope="session")
async def workerless(temporal: Client, sandbox: Sandbox, tmp_path: Path) -> AsyncIterator[World]:
    """A world whose workers are processes that the test starts."""
    made = make_world(await connected(PROCESSES), sandbox, tmp_path)
    yield made
    await end_all(made)


async def end_all(world: World) -> None:
    """End what a test left running, which would go on in the next test's vault."""
    for client_id in world.sandbox.seeded:
        with suppress(RPCError):
            await world.client.get_workflow_handle(workflow_id(client_id)).terminate("its test has ended")
