"""docker-compose.yml without containers: its services as processes of this machine.

Commands, settings, secrets, health checks, order and restarts are the file's own. Addresses and folders
become this machine's, where the containers would have a network and volumes of their own.
"""

import asyncio
import os
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from runtime.development import ROOT, free_port, process
from tests.deploy.composing import FOLDER, TOOLS, Compose, secrets_of
from tests.harness.processes import environment
from tests.harness.temporal import ADDRESS

PATIENCE = 120
IMAGE_ENTRYPOINT = ["python"]  # of our own images; services of others name theirs
PORTS = ("8081", "8082", "8234", "8900", "9464")
THERE = {"temporal"}  # the tests' own server


class Machine:
    """Starts a service and what it depends on, once each; `said` is what a job wrote."""

    def __init__(
        self, compose: Compose, folder: Path, stack: AsyncExitStack, secrets: Mapping[str, str]
    ) -> None:
        self.services: dict[str, dict[str, Any]] = compose["services"]
        self.started: list[str] = []
        self.said: dict[str, str] = {}
        self._compose, self._folder, self._stack, self._secrets = compose, folder, stack, secrets
        self.volume = folder / "volume"
        self.volume.mkdir(mode=0o700)
        self._moved: dict[str, dict[str, str]] = {}

    async def start(self, name: str) -> None:
        """Start it once what it depends on is healthy, or has ended well; AssertionError if that fails."""
        if name in THERE or name in self.started:
            return
        service = self.services[name]
        for other in service.get("depends_on", {}):
            await self.start(other)
        self.started.append(name)
        env = self.environment(name)
        if "healthcheck" in service:
            log = self._folder / f"{name}.log"
            running = await self._stack.enter_async_context(process(*self.command(name), log=log, env=env))
            await self._healthy(name, running, env)
            return
        for _ in range(int(service.get("restart", "no:0").partition(":")[2]) + 1):
            code, self.said[name] = await self.ended(*self.command(name), env=env)
            if code == 0:
                return
            await asyncio.sleep(1)
        raise AssertionError(f"{name} failed:\n{self.said[name]}")

    def command(self, name: str) -> list[str]:
        """What the container of a service runs."""
        service = self.services[name]
        words = [*service.get("entrypoint", IMAGE_ENTRYPOINT), *service.get("command", [])]
        return [self._here(name, word) for word in words]

    def environment(self, name: str) -> dict[str, str]:
        """What it runs with; its secrets lie in a folder of its own."""
        folder = self._folder / f"secrets-{name}"
        folder.mkdir(exist_ok=True)
        for target, source in secrets_of(self._compose, name).items():
            (folder / target).write_text(self._secrets[source])
        given = {key: self._here(name, value) for key, value in self.services[name]["environment"].items()}
        if given.get("EJECT_SECRETS_DIR") == "/run/secrets":
            given["EJECT_SECRETS_DIR"] = str(folder)
        env = environment(**given, SECRETS_FOLDER=str(folder))
        return env | {"PATH": f"{TOOLS}:{env['PATH']}"}

    def logs(self) -> str:
        """What all that run have logged."""
        return "".join(path.read_text() for path in sorted(self._folder.glob("*.log")))

    async def ended(self, *command: str, env: Mapping[str, str]) -> tuple[int, str]:
        """Run a program to its end: exit code, and what it wrote."""
        ran = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, env=dict(env), stdin=DEVNULL, stdout=PIPE, stderr=STDOUT
        )
        out, _ = await asyncio.wait_for(ran.communicate(), PATIENCE)
        assert ran.returncode is not None
        return ran.returncode, out.decode()

    def _here(self, name: str, text: str) -> str:
        for there, here in self._places(name).items():
            text = text.replace(there, here)
        return text

    def _places(self, name: str) -> dict[str, str]:
        """Where the addresses and folders of a service are; services that share a network share its ports."""
        network = self.services[name].get("network_mode", name).removeprefix("service:")
        if network not in self._moved:
            moved = {
                "temporal:7233": os.environ[ADDRESS],
                "/sandbox": str(self.volume),
                "/scripts/": f"{FOLDER}/",
            }
            for port in PORTS:
                here = str(free_port())
                for host in ("127.0.0.1", "0.0.0.0"):  # noqa: S104
                    moved[f"{host}:{port}"] = f"127.0.0.1:{here}"
                moved[f"--port {port}"] = f"--port {here}"
            self._moved[network] = moved
        return self._moved[network]

    async def _healthy(self, name: str, running: Process, env: dict[str, str]) -> None:
        kind, *command = self.services[name]["healthcheck"]["test"]
        assert kind == "CMD"
        check = [self._here(name, word) for word in command]
        async with asyncio.timeout(PATIENCE):
            while True:
                code, _ = await self.ended(*check, env=env)
                if code == 0:
                    return
                log = (self._folder / f"{name}.log").read_text()
                assert running.returncode is None, f"{name} ended:\n{log}"
                await asyncio.sleep(0.2)
