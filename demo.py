"""`make demo`: a client leaves custody on this machine, with the Temporal UI open beside it.

Server, sandbox, worker and device are processes of their own; this one plays the service that asks for the
eject, and the app that stands between it and the owner's device (`story.py`). KEEP=1 keeps all of it up at
the end.
"""

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
from asyncio.subprocess import Process
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from temporalio.client import Client

import starter
from contracts.stages import End
from custody import keys
from custody.vault import Vault
from runtime.development import free_port, line_of, process, server_command, temporal_cli
from runtime.process import forbid_core_dumps, leave
from runtime.temporal import TemporalUnreachableError, connect
from story import PATIENCE, Scene, StoryError, console, make_key, play
from workflows import attributes


class DemoError(Exception):
    """The demo cannot go on; the text says what to do."""


@dataclass(frozen=True)
class Running:
    """What runs, and where its files lie."""

    folder: Path
    client: Client
    ui: str
    sandbox: str
    worker: Process
    receipt_key: str

    @property
    def vault(self) -> Path:
        """The vault's folder."""
        return self.folder / "vault"

    @property
    def scene(self) -> Scene:
        """What the story needs of it."""
        vault, recipient = Vault(self.vault.as_uri()), os.environ["EJECT_CLIENT_RECIPIENT"]
        return Scene(self.client, vault, self.sandbox, recipient, self.receipt_key, self.ui)


async def bring_up(closing: AsyncExitStack, folder: Path) -> Running:
    """Start the server, the sandbox and the worker, each with a log in the folder."""
    if shutil.which(temporal_cli()) is None:
        raise DemoError("The Temporal server is not installed beside this Python: run `make demo`")
    port, ui_port = free_port(), free_port()
    server = server_command(port, attributes.ALL, "--log-level", "error", "--ui-port", str(ui_port))
    await closing.enter_async_context(process(*server, log=folder / "temporal.log"))
    command = [sys.executable, "-m", "sandbox", "--state", str(folder / "sandbox.sqlite")]
    sandbox = await closing.enter_async_context(process(*command, log=folder / "sandbox.log"))
    ready = json.loads(await line_of(sandbox))

    recipient = await make_key(folder / "client-role.key")
    receipt_key = keys.make_key(folder / "receipts.pem")
    os.environ |= {
        "TEMPORAL_ADDRESS": f"127.0.0.1:{port}",
        "EJECT_VAULT_URL": (folder / "vault").as_uri(),
        "EJECT_CLIENT_RECIPIENT": recipient,
    }
    # The secrets of the worker are the worker's alone.
    secrets = {
        "EJECT_PORTAL_URL": f"{ready['url']}/api/v3",
        "EJECT_ENCLAVE_URL": ready["url"],
        "EJECT_CUSTODIAN_API_KEY": ready["custodian_api_key"],
        "EJECT_CLIENT_IDENTITY": (folder / "client-role.key").read_text(),
        "EJECT_RECEIPT_KEY": (folder / "receipts.pem").read_text(),
        # Of the sandbox, which has none.
        # There is somebody who watches.
        "EJECT_STAGE_SHOWN_AFTER": "PT0S",
        **{f"EJECT_BUDGET_{name}": "1000000" for name in ("CUSTODIAN", "CLIENT", "ENCLAVE")},
    }
    client = await connected()
    command = [sys.executable, "worker.py", "--role", "all"]
    worker = await closing.enter_async_context(
        process(*command, log=folder / "worker.log", env=os.environ | secrets)
    )
    return Running(folder, client, f"http://127.0.0.1:{ui_port}", ready["url"], worker, receipt_key)


async def connected() -> Client:
    """The connection, once the server answers."""
    async with asyncio.timeout(PATIENCE):
        while True:
            with suppress(TemporalUnreachableError):
                return await connect()
            await asyncio.sleep(0.1)


async def main() -> int:
    """Bring everything up, eject one client, take everything down; 0 when it ended `ejected`."""
    me = asyncio.current_task()
    assert me is not None, "a coroutine runs in a task"  # noqa: S101
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, me.cancel)
    keep = os.environ.get("KEEP") == "1"
    with tempfile.TemporaryDirectory(prefix="eject-demo-") as name:
        async with AsyncExitStack() as closing:
            demo = await bring_up(closing, Path(name))
            try:
                receipt = await play(demo.scene, demo.folder)
            finally:
                if keep:
                    address = os.environ["TEMPORAL_ADDRESS"]
                    console.print(f"\nKept up until Ctrl-C: TEMPORAL_ADDRESS={address}, files in {name}")
                    await demo.worker.wait()
    console.print(f"\nThe eject ended [bold]{receipt.end}[/bold]; nothing of the demo is left running.")
    return 0 if receipt.end is End.EJECTED else 1


if __name__ == "__main__":
    forbid_core_dumps()
    try:
        exit_code = asyncio.run(main())
    except (DemoError, StoryError, starter.EjectError, TemporalUnreachableError) as error:
        console.print(str(error), style="red")
        exit_code = 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        exit_code = 130
    leave(exit_code)
