"""A PostgreSQL of the bench's own, in a folder that goes with it."""

import asyncio
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from runtime.development import free_port

_INSTALLED = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1:]
PROGRAMS = _INSTALLED[0] if _INSTALLED else Path(shutil.which("initdb") or "/nowhere/initdb").parent

# PostgreSQL refuses to run as root.
_USER = "nobody" if os.geteuid() == 0 else None
# The development server keeps nothing on disk, so that PostgreSQL is not made to wait for one either.
_SETTINGS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=100")


@dataclass(frozen=True)
class Database:
    """A PostgreSQL that runs; `pid` is the one whose children serve the connections."""

    url: str
    pid: int


def installed() -> bool:
    """Whether this machine has PostgreSQL."""
    return (PROGRAMS / "initdb").exists()


def version() -> str | None:
    """Which it is."""
    if not installed():
        return None
    said = subprocess.run(  # noqa: S603
        [PROGRAMS / "postgres", "--version"], capture_output=True, text=True, check=True
    )
    return said.stdout.split()[2]


async def _as_user(*command: str) -> None:
    await asyncio.to_thread(
        subprocess.run,
        command,
        user=_USER,
        check=True,
        cwd="/",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@asynccontextmanager
async def database() -> AsyncIterator[Database]:
    """A new cluster until the block ends; it listens on the loopback address alone."""
    with tempfile.TemporaryDirectory(prefix="eject-bench-postgres-") as folder:
        if _USER is not None:
            account = pwd.getpwnam(_USER)
            os.chown(folder, account.pw_uid, account.pw_gid)
        data, port = f"{folder}/data", free_port()
        await _as_user(str(PROGRAMS / "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "--no-sync")
        settings = [f"-c {setting}" for setting in _SETTINGS]
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= {' '.join(settings)}"
        control = [str(PROGRAMS / "pg_ctl"), "-D", data, "-w", "-t", "60"]
        await _as_user(*control, "-l", f"{folder}/log", "-o", options, "start")
        try:
            pid = int((await asyncio.to_thread(Path(f"{data}/postmaster.pid").read_text)).split()[0])
            yield Database(f"postgresql://postgres@127.0.0.1:{port}/bench", pid)
        finally:
            await _as_user(*control, "-m", "immediate", "stop")
