"""`make demo`: a client leaves custody on this machine, with the Temporal UI open beside it.

Server, sandbox, worker and device are processes of their own; this one plays the service that asks for the
eject, and the app that stands between it and the owner's device. KEEP=1 keeps all of it up at the end.
"""

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from pydantic import SecretStr
from rich.console import Console
from rich.live import Live
from rich.table import Table
from temporalio.client import Client

import starter
from contracts.names import receipt_name, released_prefix
from contracts.owner import Claim, Prove
from contracts.receipt import Receipt
from contracts.request import EjectRequest
from contracts.stages import End, Stage
from custody import keys
from custody.audit import Audit
from custody.signing import Trust
from custody.vault import Vault
from runtime.development import ROOT, SERVER_SETTINGS, free_port, line_of, process, temporal_cli
from runtime.process import forbid_core_dumps, leave
from runtime.temporal import TemporalUnreachableError, connect
from workflows import attributes

# Nothing here takes this long; it bounds waits for what never comes.
PATIENCE = 60.0

console = Console(highlight=False)


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


async def device(*arguments: str) -> str:
    """Run the owner's device, a process of its own, to its end; what it wrote to standard output."""
    ran = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "device", *arguments, cwd=ROOT, stdout=PIPE, stderr=PIPE
    )
    out, err = await ran.communicate()
    if ran.returncode:
        raise DemoError(f"The device refused: {err.decode().strip()}")
    return out.decode()


async def make_key(path: Path) -> str:
    """Have the device make an age identity; its public key."""
    words = await device("keygen", "--out", str(path))
    return next(word for word in words.split() if word.startswith("age1"))


async def bring_up(closing: AsyncExitStack, folder: Path) -> Running:
    """Start the server, the sandbox and the worker, each with a log in the folder."""
    if shutil.which(temporal_cli()) is None:
        raise DemoError("The Temporal server is not installed beside this Python: run `make demo`")
    port, ui_port = free_port(), free_port()
    options = ["--log-level", "error", "--port", str(port), "--ui-port", str(ui_port)]
    for key in attributes.ALL:
        options += ["--search-attribute", f"{key.name}={key.indexed_value_type.name.capitalize()}"]
    for setting in SERVER_SETTINGS:
        options += ["--dynamic-config-value", setting]
    server = [temporal_cli(), "server", "start-dev", *options]
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


class Watch:
    """Shows the stages as they come, and lets the story wait for one."""

    def __init__(self, client: Client, handle: starter.EjectHandle, client_id: str) -> None:
        self._client, self._handle, self._client_id = client, handle, client_id
        self._seen: list[tuple[float, Stage | End]] = []
        self._closes: datetime | None = None
        self._changed = asyncio.Condition()

    async def run(self) -> None:
        """Follow the eject to its end."""
        clock = asyncio.get_running_loop()
        began = clock.time()
        with Live(console=console, refresh_per_second=4, get_renderable=self._table):
            async for stage in starter.stages(self._handle):
                self._seen.append((clock.time() - began, stage))
                if stage is Stage.AWAITING_CLAIM:
                    told = await starter.status(self._client, self._client_id)
                    self._closes = None if isinstance(told, Receipt) else told.window_closes
                async with self._changed:
                    self._changed.notify_all()

    async def until(self, wanted: Stage) -> None:
        """Wait for a stage; DemoError when it does not come."""
        try:
            async with asyncio.timeout(PATIENCE), self._changed:
                await self._changed.wait_for(lambda: any(stage is wanted for _, stage in self._seen))
        except TimeoutError:
            at = self._seen[-1][1] if self._seen else "not started"
            raise DemoError(f"The eject is {at}, not {wanted}: run with KEEP=1 and look") from None

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False)
        table.add_column("after", justify="right", style="dim")
        table.add_column("stage")
        table.add_column("window", style="dim")
        for after, stage in self._seen:
            table.add_row(f"{after:.1f} s", str(stage))
        if self._seen and self._closes and not isinstance(self._seen[-1][1], End):
            left = max(self._closes - datetime.now(UTC), timedelta(0))
            table.add_row("", "", f"closes in {str(left).partition('.')[0]}")
        return table


async def eject(demo: Running) -> Receipt:
    """The story: a service asks, the owner claims, rebuilds and proves."""
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as http:
        seeded = (await http.post(f"{demo.sandbox}/_sandbox/seed", json={})).raise_for_status().json()
    client_id = seeded["client_id"]
    vault, shares = Vault(demo.vault.as_uri()), SecretStr(seeded["generate_response"])
    await starter.deposit(vault, client_id, shares, os.environ["EJECT_CLIENT_RECIPIENT"])
    request = EjectRequest(
        client_id=client_id,
        recipient=await make_key(demo.folder / "owner.key"),
        window=timedelta(minutes=10),
        requested_by="demo",
        reason="the owner moves to self custody",
    )
    handle = await starter.start(demo.client, request)
    page = f"{demo.ui}/namespaces/{demo.client.namespace}/workflows/{handle.id}"
    console.print(
        f"Client {client_id} leaves custody; watch it in the Temporal UI:\n  {page}\n", soft_wrap=True
    )
    watch = Watch(demo.client, handle, client_id)
    following = asyncio.create_task(watch.run())
    try:
        await watch.until(Stage.AWAITING_CLAIM)
        opened = await own(demo, client_id)
        receipt = await handle.result()
        await following
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    console.print(
        f"\n[bold]The owner's device[/bold] (what it rebuilt, beside what Portal publishes)\n{opened}"
    )
    console.print(f"[bold]The receipt[/bold] ({receipt_name(client_id, receipt.eject_id)} in the vault)")
    console.print_json(receipt.model_dump_json(exclude={"wallets", "files", "earlier", "proofs", "reasons"}))
    audit = Audit(demo.vault, Trust({demo.receipt_key}))
    if problems := list(audit.problems()):
        raise DemoError("; ".join(problems))
    console.print(f"Verified: its signature, its proofs, the chain (head {audit.head})", soft_wrap=True)
    console.print(f"\nThe whole history: {page}", soft_wrap=True)
    return receipt


async def own(demo: Running, client_id: str) -> str:
    """Claim the bundle, hand it to the owner's device, prove what the device signed; the device's words."""
    answer = await starter.claim(demo.client, client_id, Claim(claimed_by="the owner"))
    claim, files = demo.folder / "claim.json", demo.folder / "files"
    claim.write_text(answer.model_dump_json())
    shutil.copytree(demo.vault / released_prefix(answer.eject_id), files)
    bundle = ["--identity", str(demo.folder / "owner.key"), "--claim", str(claim), "--files", str(files)]
    opened = await device("open", *bundle, "--out", str(demo.folder / "keys"))
    proofs = await device("sign", *bundle)
    await starter.prove(demo.client, client_id, Prove.model_validate_json(proofs))
    return opened


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
                receipt = await eject(demo)
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
    except (DemoError, starter.EjectError, TemporalUnreachableError) as error:
        console.print(str(error), style="red")
        exit_code = 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        exit_code = 130
    leave(exit_code)
