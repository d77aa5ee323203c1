"""The profile `sandbox` without containers: its services, as docker-compose.yml has them, as processes of this machine.

Commands, settings, health checks, order and restarts are the file's own; addresses and folders become this
machine's, where the containers would have a network and volumes of their own.
"""

import asyncio
import os
import shlex
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from runtime.development import free_port, process
from tests.deploy.composing import FOLDER, ROOT, TOOLS, read, variables
from tests.harness.processes import environment
from tests.harness.temporal import ADDRESS

pytestmark = pytest.mark.deploy

PATIENCE = 120
IMAGE_ENTRYPOINT = ["python"]  # of our own images; the others' services name theirs


class Machine:
    """Starts a service and what it depends on, once each; `said` is what a service wrote."""

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self._services = read(variables(FOLDER / "sandbox.env"))["services"]
        self._stack, self._folder = stack, folder
        self._moved = {
            "temporal:7233": os.environ[ADDRESS],
            "/sandbox": str(folder / "volume"),
            "/scripts/": f"{FOLDER}/",
            **{f"127.0.0.1:{port}": f"127.0.0.1:{free_port()}" for port in (8900, 8081, 8082)},
        }
        self._moved["--port 8900"] = f"--port {self._moved['127.0.0.1:8900'].partition(':')[2]}"
        (folder / "volume").mkdir(mode=0o700)
        self.started: list[str] = []
        self.said: dict[str, str] = {}

    async def start(self, name: str) -> None:
        """Start it as soon as what it depends on is healthy, or has ended well."""
        if name in self.started or name == "temporal":  # the tests' own server
            return
        service = self._services[name]
        for other in service.get("depends_on", {}):
            await self.start(other)
        self.started.append(name)
        command = (
            [*service.get("entrypoint", IMAGE_ENTRYPOINT), *service["command"]]
            if ("command" in service)
            else service["entrypoint"]
        )
        env = self._environment(service)
        if "healthcheck" in service:
            running = await self._stack.enter_async_context(
                process(*map(self._move, command), log=self._folder / f"{name}.log", env=env)
            )
            await self._healthy(name, service["healthcheck"]["test"], running, env)
            return
        attempts = int(service.get("restart", "no:1").partition(":")[2]) + 1
        for _ in range(attempts):
            code, self.said[name] = await self._ended(*map(self._move, command), env=env)
            if code == 0:
                return
            await asyncio.sleep(1)
        raise AssertionError(f"{name} failed:\n{self.said[name]}")

    def _environment(self, service: dict[str, Any]) -> dict[str, str]:
        given = {name: self._move(value) for name, value in service["environment"].items()}
        env = environment(**given)
        return env | {"PATH": f"{TOOLS}:{env['PATH']}"}

    def _move(self, text: str) -> str:
        for there, here in self._moved.items():
            text = text.replace(there, here)
        return text

    async def _healthy(self, name: str, test: list[str], running: Process, env: dict[str, str]) -> None:
        kind, *command = test
        assert kind == "CMD"
        async with asyncio.timeout(PATIENCE):
            while (await self._ended(*map(self._move, command), env=env))[0] != 0:
                log = (self._folder / f"{name}.log").read_text()
                assert running.returncode is None, f"{name} ended:\n{log}"
                await asyncio.sleep(0.2)

    async def _ended(self, *command: str, env: dict[str, str]) -> tuple[int, str]:
        ran = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, env=env, stdin=DEVNULL, stdout=PIPE, stderr=asyncio.subprocess.STDOUT
        )
        out, _ = await asyncio.wait_for(ran.communicate(), PATIENCE)
        assert ran.returncode is not None
        return ran.returncode, out.decode()


async def test_the_profile_plays_an_eject_to_its_end(tmp_path: Path) -> None:
    """`docker compose --profile sandbox up demo`: keys, sandbox, namespace, both roles, the owner, the receipt."""
    async with AsyncExitStack() as stack:
        machine = Machine(tmp_path, stack)
        await machine.start("demo")
    assert machine.started[-1] == "demo"
    assert {name for name in machine.started if name != "demo"} == {
        name for name in machine._services if name.startswith("sandbox")
    }
    told = machine.said["demo"]
    assert '"end": "ejected"' in told
    assert "Verified: its signature, its proofs, the chain (head 1:" in told
    kept = {path.name for path in (tmp_path / "volume/keys").iterdir()}
    assert "eject_client_identity" in kept
    logs = "".join(path.read_text() for path in tmp_path.glob("*.log"))
    for name in ("eject_custodian_api_key", "eject_client_identity", "eject_receipt_key"):
        secret = (tmp_path / "volume/keys" / name).read_text().strip().splitlines()
        assert not [
            line for line in secret if "KEY-----" not in line and not line.startswith("#") and line in logs
        ]


def test_the_sandbox_shares_its_network_with_who_calls_it() -> None:
    """It serves loopback only: the workers and the demo are in its container's network, and nobody else is."""
    services = read(variables(FOLDER / "sandbox.env"))["services"]
    callers = {name for name, service in services.items() if service.get("network_mode") == "service:sandbox"}
    assert callers == {"sandbox-custodian", "sandbox-client", "demo"}
    assert not any("networks" in services[name] or "ports" in services[name] for name in callers)
    assert all(
        service.get("profiles") == ["sandbox"]
        for name, service in services.items()
        if name == "demo" or name.startswith("sandbox")
    )
    assert shlex.split(services["sandbox"]["command"][0])[-2:] == ["--port", "8900"]
