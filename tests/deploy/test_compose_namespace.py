"""The namespace's job with Temporal's own command line, on a server of its own."""

import asyncio
import os
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client

from runtime.development import free_port, process, temporal_cli
from tests.deploy.shells import Scripts, scripts
from tests.harness.temporal import ADDRESS

__all__ = ["scripts"]

pytestmark = pytest.mark.deploy

PATIENCE = 60


@asynccontextmanager
async def server(port: int) -> AsyncIterator[None]:
    """A Temporal server that is not there before the block, and is on its way within it."""
    command = [
        temporal_cli(),
        "server",
        "start-dev",
        "--headless",
        "--port",
        str(port),
        "--log-level",
        "never",
    ]
    async with process(*command):
        yield


def settings(address: str, name: str, **more: str) -> dict[str, str]:
    """What the job is given."""
    return {
        "TEMPORAL_ADDRESS": address,
        "TEMPORAL_NAMESPACE": name,
        "RETENTION": "30d",
        "PAUSE": "0.1",
    } | more


async def retention(address: str, name: str) -> timedelta:
    """How long a namespace keeps ended ejects."""
    client = await Client.connect(address)
    told = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=name))
    kept: timedelta = told.config.workflow_execution_retention_ttl.ToTimedelta()
    return kept


def name_of(folder: Path) -> str:
    """A namespace of one test's own."""
    return f"made-{folder.name}".replace("_", "-").strip("-").lower()


async def test_the_job_makes_the_namespace_once(scripts: Scripts, tmp_path: Path) -> None:
    """With its retention; a second start finds it and leaves it as it is."""
    address, name = os.environ[ADDRESS], name_of(tmp_path)
    code, out, err = scripts.run("namespace.sh", **settings(address, name))
    assert (code, err) == (0, "")
    assert out.endswith(f"Namespace {name} is there.\n")
    assert await retention(address, name) == timedelta(days=30)
    code, out, err = scripts.run("namespace.sh", **settings(address, name, RETENTION="1d"))
    assert (code, out, err) == (0, f"Namespace {name} was there.\n", "")
    assert await retention(address, name) == timedelta(days=30)


async def test_the_job_waits_for_a_late_server(scripts: Scripts, tmp_path: Path) -> None:
    """It asks until Temporal serves: here the server starts only after it was asked in vain."""
    port, asked = free_port(), tmp_path / "asked"
    scripts.program("temporal", f'echo "$@" >>"{asked}"\nexec "{temporal_cli()}" "$@"')
    given = settings(f"127.0.0.1:{port}", "late", ATTEMPTS="600")
    job = await asyncio.create_subprocess_exec(
        *scripts.command("namespace.sh"), env=scripts.environment(**given), stdout=PIPE, stderr=PIPE
    )
    async with asyncio.timeout(PATIENCE):
        while True:
            if asked.exists() and asked.read_text().count("\n") > 1:
                break
            await asyncio.sleep(0.05)
        async with server(port):
            out, err = await job.communicate()
            assert (job.returncode, err) == (0, b"")
            assert await retention(f"127.0.0.1:{port}", "late") == timedelta(days=30)
    assert b"Namespace late is there." in out


def test_the_job_gives_up(scripts: Scripts) -> None:
    """A server that never comes: not zero, with the address, after as many attempts as were asked for."""
    address = f"127.0.0.1:{free_port()}"
    code, out, err = scripts.run("namespace.sh", **settings(address, "never", ATTEMPTS="3"))
    assert (code, out) == (1, "")
    assert err == f"Temporal at {address} did not serve within 3 attempts: see its log\n"


def test_a_namespace_that_is_refused_fails_the_job(scripts: Scripts, tmp_path: Path) -> None:
    """Temporal's own words come first, and the job does not call it done."""
    given = settings(os.environ[ADDRESS], name_of(tmp_path), RETENTION="0s")
    code, out, err = scripts.run("namespace.sh", **given)
    assert code == 1
    assert "is there" not in out
    assert "retention" in err.lower()


def test_a_namespace_that_somebody_else_just_made_is_there(scripts: Scripts, tmp_path: Path) -> None:
    """Two jobs at once: this one saw none, was refused, and looks again before it fails."""
    seen = tmp_path / "seen"
    scripts.program(
        "temporal",
        f"""case "$2 $3" in
    "cluster health") exit 0 ;;
    "namespace describe") [ -e "{seen}" ] || {{ touch "{seen}"; exit 1; }} ;;
    *) echo "Namespace already exists." >&2; exit 1 ;;
esac""",
    )
    code, out, _ = scripts.run("namespace.sh", **settings("127.0.0.1:1", "raced"))
    assert (code, out) == (0, "Namespace raced is there.\n")


@pytest.mark.parametrize("left_out", ["TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", "RETENTION"])
def test_the_job_names_what_is_not_set(scripts: Scripts, left_out: str) -> None:
    """A variable that is missing is named."""
    code, _, err = scripts.run("namespace.sh", **settings("127.0.0.1:1", "x", **{left_out: ""}))
    assert code != 0
    assert left_out in err
