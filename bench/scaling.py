"""What the two benchmarks of ten thousand share: the processes of a run, their memory, and the figures' file.

Server, sandbox, workers and driver are processes of their own; all of them end with the run, also when it is
interrupted.
"""

import asyncio
import json
import os
import platform
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr
from temporalio.client import Client

import starter
from bench import results
from bench.engines import connected
from bench.stack import cpu_seconds
from contracts.request import EjectRequest
from custody import keys
from custody.vault import Vault
from device.identity import Identity
from runtime.development import SERVER_SETTINGS, free_port, line_of, process, server_command
from runtime.process import leave
from workflows import attributes

# What a person must have said to a process that hangs; no step of a run takes longer without an answer.
PATIENCE = 60.0

# A server that loses its process loses nothing with these, and writes twice as fast as without them.
_PRAGMAS = ("journal_mode=WAL", "synchronous=NORMAL")


class NotReadyError(Exception):
    """The run cannot go on; the text says what to do."""


@dataclass
class Program:
    """A process that can be killed and started again with the same files."""

    command: tuple[str, ...]
    log: Path
    env: dict[str, str] | None = None
    running: asyncio.subprocess.Process | None = None
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def start(self) -> None:
        """Start it, for the first time or again."""
        self.running = await self._stack.enter_async_context(
            process(*self.command, log=self.log, env=self.env)
        )

    async def kill(self) -> None:
        """SIGKILL: it has no time for anything."""
        assert self.running is not None, "it was started"  # noqa: S101
        self.running.kill()
        await self.running.wait()

    async def end(self) -> None:
        """Ask it to end, and wait."""
        await self._stack.aclose()

    def memory(self) -> dict[str, float]:
        """Resident memory now and at its highest, in MB (10^6 bytes), as Linux tells."""
        assert self.running is not None, "it was started"  # noqa: S101
        lines = Path(f"/proc/{self.running.pid}/status").read_text().splitlines()
        kb = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith(("VmRSS", "VmHWM"))}
        return {
            "rss_mb": round(int(kb["VmRSS"]) * 1024 / 1e6, 1),
            "peak_mb": round(int(kb["VmHWM"]) * 1024 / 1e6, 1),
        }

    def cpu_seconds(self) -> float:
        """CPU that it has used, user and system."""
        assert self.running is not None, "it was started"  # noqa: S101
        return cpu_seconds(self.running.pid)


class Server:
    """A development server, on a database file or, where it need not survive, in its own memory."""

    def __init__(self, folder: Path, name: str, *, on_disk: bool) -> None:
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        self.database = folder / f"{name}.db"
        more = ["--headless", "--log-level", "error"]
        if on_disk:
            more += ["--db-filename", str(self.database)]
            for pragma in _PRAGMAS:
                more += ["--sqlite-pragma", pragma]
        settings = (*SERVER_SETTINGS, "frontend.namespaceRPS.visibility=5000")
        command = server_command(port, attributes.ALL, *more, settings=settings)
        self.program = Program(tuple(command), folder / f"{name}.log")

    async def start(self) -> Client:
        """Start it, and connect once it answers."""
        await self.program.start()
        return await self.connect()

    async def connect(self) -> Client:
        """A new connection."""
        return await connected(self.address)

    def database_bytes(self) -> int:
        """The database with what its log has not yet moved into it."""
        places = (self.database, self.database.with_name(f"{self.database.name}-wal"))
        return sum(place.stat().st_size for place in places if place.exists())


@dataclass
class Ground:
    """The sandbox, the keys and the vault of one run, and what starts its workers."""

    folder: Path
    sandbox: str
    custodian_key: str
    owner: Identity
    role_key: Path
    recipient: str
    receipt_key: str
    stack: AsyncExitStack

    def vault_folder(self, name: str) -> Path:
        """A vault of this run."""
        return self.folder / f"vault-{name}"

    def environment(self, server: Server, vault: str) -> dict[str, str]:
        """The settings of a worker of ours."""
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("EJECT_")},
            "TEMPORAL_ADDRESS": server.address,
            "EJECT_VAULT_URL": self.vault_folder(vault).as_uri(),
            "EJECT_PORTAL_URL": f"{self.sandbox}/api/v3",
            "EJECT_ENCLAVE_URL": self.sandbox,
            "EJECT_CUSTODIAN_API_KEY": self.custodian_key,
            "EJECT_CLIENT_IDENTITY": self.role_key.read_text(),
            "EJECT_RECEIPT_KEY": (self.folder / "receipts.pem").read_text(),
            "EJECT_LOG_LEVEL": "WARNING",
            # The sandbox has no budgets here: what is measured is ours.
            **{f"EJECT_BUDGET_{name}": "1000000" for name in ("CUSTODIAN", "CLIENT", "ENCLAVE")},
        }

    def worker(self, server: Server, vault: str, **settings: str) -> Program:
        """`worker.py --role all`, as anybody starts it; not yet started."""
        command = (sys.executable, "worker.py", "--role", "all")
        env = self.environment(server, vault) | settings
        return self.own(Program(command, self.folder / f"worker-{vault}.log", env))

    def own(self, program: Program) -> Program:
        """End a program with the run."""
        self.stack.push_async_callback(program.end)
        return program

    async def server(self, name: str, *, on_disk: bool = True) -> tuple[Server, Client]:
        """A started server that ends with the run."""
        server = Server(self.folder, name, on_disk=on_disk)
        self.own(server.program)
        return server, await server.start()

    async def deposited(self, vault: str, count: int) -> list[str]:
        """New clients of the sandbox's, with their shares deposited; their ids."""
        opened, ids = Vault(self.vault_folder(vault).as_uri()), []
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as http:
            for _ in range(count):
                seeded = (await http.post(f"{self.sandbox}/_sandbox/seed", json={})).raise_for_status().json()
                shares = SecretStr(seeded["generate_response"])
                await starter.deposit(opened, seeded["client_id"], shares, self.recipient)
                ids.append(str(seeded["client_id"]))
        return ids

    def request(self, client_id: str) -> EjectRequest:
        """An eject to the owner of this run, as long as windows may be."""
        return EjectRequest.model_validate(
            {
                "client_id": client_id,
                "recipient": self.owner.recipient,
                "window": "P30D",
                "requested_by": "bench",
                "reason": "is measured",
            }
        )


@asynccontextmanager
async def ground() -> AsyncIterator[Ground]:
    """A folder, keys and a sandbox for one run; everything that it starts ends with the block."""
    with tempfile.TemporaryDirectory(prefix="eject-bench-") as name:
        folder = Path(name)
        async with AsyncExitStack() as stack:
            role = Identity.generate()
            role.save(folder / "client-role.key")
            command = (sys.executable, "-m", "sandbox", "--state", str(folder / "sandbox.sqlite"))
            sandbox = Program((*command, "--log-level", "error"), folder / "sandbox.log")
            stack.push_async_callback(sandbox.end)
            await sandbox.start()
            assert sandbox.running is not None, "it was started"  # noqa: S101
            ready = json.loads(await line_of(sandbox.running))
            yield Ground(
                folder=folder,
                sandbox=ready["url"],
                custodian_key=ready["custodian_api_key"],
                owner=Identity.generate(),
                role_key=folder / "client-role.key",
                recipient=role.recipient,
                receipt_key=keys.make_key(folder / "receipts.pem"),
                stack=stack,
            )


def say(words: str) -> None:
    """A line for whoever watches the run."""
    sys.stderr.write(f"{words}\n")
    sys.stderr.flush()


def keep(section: str, figures: dict[str, Any], place: Path = results.PATH) -> None:
    """Put the figures of one benchmark beside those of the others."""
    machine = {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load_before": LOAD_BEFORE,
    }
    results.keep({section: figures | {"machine": machine}}, place)


# Of the last minute, before this run had begun: more than a few tenths means that others worked meanwhile.
LOAD_BEFORE = round(os.getloadavg()[0], 2)


def main(bench: Callable[[], Awaitable[int]]) -> None:
    """Run a benchmark; it takes everything down that it has started, also after Ctrl-C or SIGTERM."""

    async def run() -> int:
        me = asyncio.current_task()
        assert me is not None, "a coroutine runs in a task"  # noqa: S101
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, me.cancel)
        return await bench()

    try:
        code = asyncio.run(run())
    except NotReadyError as error:
        say(str(error))
        code = 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        code = 130
    leave(code)
