"""A service for each module, with its switches off at the start of each test."""

from collections.abc import Iterator

import httpx
import pytest

from sandbox.switches import SWITCHES
from tests.harness.portal import running_sandbox
from tests.seeds.service import Service


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Serve one for the tests of a module, which make clients of their own."""
    state = tmp_path_factory.mktemp("service") / "portal.sqlite"
    with (
        running_sandbox(state) as sandbox,
        httpx.Client(base_url=sandbox.url, trust_env=False, timeout=30) as http,
    ):
        yield Service(sandbox, http)


@pytest.fixture
def service(running: Service) -> Service:
    """Answer it as it was at first, but for its clients and the time that has passed."""
    running.sandbox.switch(**dict.fromkeys(SWITCHES, False))
    return running
