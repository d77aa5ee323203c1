"""Fixtures: one Temporal server for all tests, a world of its own for each."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from runtime.temporal import DATA_CONVERTER
from tests.harness.portal import Sandbox, running_sandbox
from tests.harness.temporal import PROCESSES, server
from tests.harness.world import World, make_world, serving


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def temporal() -> AsyncIterator[WorkflowEnvironment]:
    """The one real Temporal server."""
    async with server() as environment:
        yield environment


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """A Portal of its own."""
    with running_sandbox(tmp_path / "portal.sqlite") as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def world(temporal: WorkflowEnvironment, sandbox: Sandbox, tmp_path: Path) -> AsyncIterator[World]:
    """A world whose worker runs in this process."""
    made = make_world(temporal.client, sandbox, tmp_path)
    async with serving(made):
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def workerless(temporal: WorkflowEnvironment, sandbox: Sandbox, tmp_path: Path) -> World:
    """A world whose workers are processes that the test starts."""
    host = temporal.client.service_client.config.target_host
    client = await Client.connect(host, namespace=PROCESSES, data_converter=DATA_CONVERTER)
    return make_world(client, sandbox, tmp_path)
