"""The story that the demo tells: a service asks for an eject, the owner claims, rebuilds and proves.

It plays against what runs already: a sandbox, Temporal, workers and a vault. `demo.py` brings these up as
processes of this machine; the `sandbox` profile of docker-compose.yml does so in containers.
"""

import asyncio
import secrets
import sys
import tempfile
from asyncio.subprocess import PIPE
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import httpx
import typer
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
from runtime.development import ROOT
from runtime.process import run
from runtime.settings import SettingsError, load_settings
from runtime.temporal import TemporalUnreachableError, connect

# Nothing here takes this long; it bounds waits for what never comes.
PATIENCE = 60.0

# The public half of EJECT_RECEIPT_KEY, beside it.
RECEIPT_KEY = "receipt_key.pub"

console = Console(highlight=False)


class StoryError(Exception):
    """The story cannot go on; the text says what to do."""


@dataclass(frozen=True)
class Scene:
    """What runs already: its addresses, and what a service knows of it."""

    client: Client
    vault: Vault
    sandbox: str
    recipient: str
    """The client role's, for the deposit."""
    receipt_key: str
    """The public key by which the receipt is verified, as hex."""
    ui: str


async def device(*arguments: str) -> str:
    """Run the owner's device, a process of its own, to its end; what it wrote to standard output."""
    ran = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "device", *arguments, cwd=ROOT, stdout=PIPE, stderr=PIPE
    )
    out, err = await ran.communicate()
    if ran.returncode:
        raise StoryError(f"The device refused: {err.decode().strip()}")
    return out.decode()


async def make_key(path: Path) -> str:
    """Have the device make an age identity; its public key."""
    words = await device("keygen", "--out", str(path))
    return next(word for word in words.split() if word.startswith("age1"))


def make_keys(folder: Path) -> bool:
    """Make what sandbox, workers and service share, as an EJECT_SECRETS_DIR; False if it was there."""
    if (folder / RECEIPT_KEY).exists():
        return False
    folder.mkdir(mode=0o700, exist_ok=True)
    for half in folder.glob("eject_*"):
        half.unlink()  # of a run that was interrupted
    recipient = asyncio.run(make_key(folder / "eject_client_identity"))
    (folder / "eject_client_recipient").write_text(recipient)
    (folder / "eject_custodian_api_key").write_text(secrets.token_hex(16))
    (folder / RECEIPT_KEY).write_text(keys.make_key(folder / "eject_receipt_key"))
    return True


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
        """Wait for a stage; StoryError when it does not come."""
        try:
            async with asyncio.timeout(PATIENCE), self._changed:
                await self._changed.wait_for(lambda: any(stage is wanted for _, stage in self._seen))
        except TimeoutError:
            at = self._seen[-1][1] if self._seen else "not started"
            raise StoryError(f"The eject is {at}, not {wanted}: look at the worker's log") from None

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


async def play(scene: Scene, folder: Path) -> Receipt:
    """The story, from a new client to the verified receipt; the owner's files go into the folder."""
    client_id = await _deposited(scene)
    request = EjectRequest(
        client_id=client_id,
        recipient=await make_key(folder / "owner.key"),
        window=timedelta(minutes=10),
        requested_by="demo",
        reason="the owner moves to self custody",
    )
    handle = await starter.start(scene.client, request)
    page = f"{scene.ui}/namespaces/{scene.client.namespace}/workflows/{handle.id}"
    console.print(
        f"Client {client_id} leaves custody; watch it in the Temporal UI:\n  {page}\n", soft_wrap=True
    )
    watch = Watch(scene.client, handle, client_id)
    following = asyncio.create_task(watch.run())
    try:
        await watch.until(Stage.AWAITING_CLAIM)
        opened = await _own(scene, folder, client_id)
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
    for kept in ("chain/", "receipts/"):  # in this order: a receipt is written before its entry
        await _copy(scene.vault, kept, folder / "audited" / kept)
    audit = Audit(folder / "audited", Trust({scene.receipt_key}))
    if problems := list(audit.problems()):
        raise StoryError("; ".join(problems))
    console.print(f"Verified: its signature, its proofs, the chain (head {audit.head})", soft_wrap=True)
    console.print(f"\nThe whole history: {page}", soft_wrap=True)
    return receipt


async def _deposited(scene: Scene) -> str:
    """A new client of the sandbox's, whose shares and API key the custodian has deposited; its id."""
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as http:
        seeded = (await http.post(f"{scene.sandbox}/_sandbox/seed", json={})).raise_for_status().json()
    client_id, shares = str(seeded["client_id"]), SecretStr(seeded["generate_response"])
    await starter.deposit(scene.vault, client_id, shares, scene.recipient)
    api_key = SecretStr(seeded["client_api_key"])
    await starter.deposit_api_key(scene.vault, client_id, api_key, scene.recipient)
    return client_id


async def _own(scene: Scene, folder: Path, client_id: str) -> str:
    """Claim the bundle, hand it to the owner's device, prove what the device signed; the device's words."""
    answer = await starter.claim(scene.client, client_id, Claim(claimed_by="the owner"))
    claim, files = folder / "claim.json", folder / "files"
    claim.write_text(answer.model_dump_json())
    await _copy(scene.vault, released_prefix(answer.eject_id), files)
    bundle = ["--identity", str(folder / "owner.key"), "--claim", str(claim), "--files", str(files)]
    opened = await device("open", *bundle, "--out", str(folder / "keys"))
    proofs = await device("sign", *bundle)
    await starter.prove(scene.client, client_id, Prove.model_validate_json(proofs))
    return opened


async def _copy(vault: Vault, prefix: str, folder: Path) -> None:
    """What lies under a prefix of the vault, as files of a folder."""
    for name in await vault.names(prefix):
        path = folder / name.removeprefix(prefix)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(await vault.read(name) or b"")


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True, help=__doc__)


@app.command("keys")
def _keys(out: Annotated[Path, typer.Option(help="The folder; where it has them, nothing changes.")]) -> None:
    """Make what a sandbox, its workers and this program share: files for EJECT_SECRETS_DIR."""
    typer.echo("Made." if make_keys(out) else "All keys were there.")


@app.command("play")
def _play(
    sandbox: Annotated[str, typer.Option(help="The sandbox's address.")],
    keys_in: Annotated[Path, typer.Option("--keys", help="The folder that `keys` made.")],
    ui: Annotated[str, typer.Option(help="The Temporal UI's, for the link.")] = "http://localhost:8080",
) -> None:
    """Play it once; exit code 0 when the eject ended `ejected` and its receipt is right."""
    settings = load_settings()
    settings.require("vault_url")
    recipient = (keys_in / "eject_client_recipient").read_text().strip()
    receipt_key = (keys_in / RECEIPT_KEY).read_text().strip()

    async def playing() -> End:
        vault = Vault(str(settings.vault_url))
        scene = Scene(await connect(settings), vault, sandbox, recipient, receipt_key, ui)
        with tempfile.TemporaryDirectory(prefix="eject-story-") as folder:
            return (await play(scene, Path(folder))).end

    end = asyncio.run(playing())
    if end is not End.EJECTED:
        raise StoryError(f"The eject ended {end}: look at the worker's log")


def _ended(error: Exception) -> tuple[int, str]:
    if isinstance(error, StoryError | starter.EjectError):
        return 1, str(error)
    if isinstance(error, SettingsError | TemporalUnreachableError):
        return 2, str(error)
    return 1, f"The story stopped at an unexpected {type(error).__name__}: does everything run that it needs?"


if __name__ == "__main__":
    run(app, _ended)
