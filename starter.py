"""Start, watch and command ejects: a library for other services, a command line for people.

Every function takes a connected `temporalio.client.Client` (see `runtime.temporal.connect`) and raises
`EjectError` with one sentence where it is refused. Exit codes of the command line: 0 done, 1 refused,
2 wrong use or settings, 3 Temporal or the eject does not answer.
"""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from pydantic import BaseModel, SecretStr, TypeAdapter, ValidationError
from rich.console import Console
from temporalio.client import Client
from temporalio.service import RPCError

from contracts.approvals import Approve, ApproveAnswer
from contracts.base import Id, sentence
from contracts.commands import Cancel, Extend, Resolve
from contracts.owner import Claim, Prove
from contracts.parks import Retry
from contracts.receipt import Receipt
from contracts.request import Backup, BackupMethod, EjectRequest, FetchAs, digest_of
from contracts.stages import End, Stage
from custody.sealing import is_recipient
from custody.vault import Vault
from ejects.approvers import sign
from ejects.deposits import deposit, deposit_api_key
from ejects.offline import offline
from ejects.registering import register
from ejects.resealing import Resealed, reseal
from ejects.service import (
    EjectError,
    EjectHandle,
    NoAnswerError,
    approve,
    cancel,
    claim,
    extend,
    handle_of,
    prove,
    resolve,
    retry,
    stages,
    start,
    status,
    trying,
)
from ejects.showing import table, watch
from ejects.sweeping import Swept, sweep
from ejects.visibility import Listed, ejects
from runtime.codec import CodecError
from runtime.fitting import fit
from runtime.process import run
from runtime.settings import Settings, SettingsError, WorkerRole, load_settings
from runtime.temporal import TemporalUnreachableError, connect
from runtime.uses import Program

__all__ = [
    "EjectError",
    "EjectHandle",
    "Listed",
    "NoAnswerError",
    "Resealed",
    "Swept",
    "approve",
    "cancel",
    "claim",
    "connect",
    "deposit",
    "deposit_api_key",
    "digest_of",
    "ejects",
    "extend",
    "handle_of",
    "prove",
    "register",
    "reseal",
    "resolve",
    "retry",
    "stages",
    "start",
    "status",
    "sweep",
    "trying",
    "watch",
]

T = TypeVar("T")

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help=__doc__)
app.add_typer(offline)
resolutions = typer.Typer()
app.add_typer(resolutions, name="resolve", help="Decide over a claimed eject that will not be proven.")


def _id(text: str) -> str:
    try:
        return TypeAdapter(Id).validate_python(text)
    except ValidationError:
        raise typer.BadParameter("an id has 1 to 64 letters, digits, '-' and '_'") from None


def _recipient(text: str) -> str:
    if not is_recipient(text):
        raise typer.BadParameter("not an age public key (age1...), or its checksum is wrong: copy it again")
    return text


ClientId = Annotated[str, typer.Option("--client", callback=_id, help="Portal's id of the client.")]
InFile = Annotated[typer.FileText, typer.Option("--file", help="'-' reads standard input.")]
Why = Annotated[str, typer.Option(help="Why, in one line without secrets.")]
By = Annotated[str, typer.Option(help="Who gives this command; stands in history as asserted.")]


@app.command("deposit")
def _deposit(
    client: ClientId,
    file: InFile,
    api_key: Annotated[
        bool, typer.Option("--api-key", help="The file holds the client's own API key, not its shares.")
    ] = False,
) -> None:
    """Seal a client's signing shares (the JSON that generate answered) into the vault, or its API key."""
    settings = load_settings(Program.DEPOSIT)
    put, secret = deposit_api_key if api_key else deposit, SecretStr(file.read())
    asyncio.run(put(_vault(settings), client, secret, str(settings.client_recipient)))
    what = "API key" if api_key else "signing shares"
    typer.echo(f"The {what} of client {client} {'is' if api_key else 'are'} deposited.")


@app.command("start")
def _start(  # noqa: PLR0917 (typer passes options by name)
    client: ClientId,
    recipient: Annotated[
        str, typer.Option(callback=_recipient, help="The owner's age public key (age1...).")
    ],
    window: Annotated[str, typer.Option(help="How long the owner has, as PT24H or P7D.")],
    requested_by: Annotated[str, typer.Option(help="Who asks; stands in the receipt as asserted.")],
    reason: Why,
    replace_backup: Annotated[bool, typer.Option(help="The eject may replace the only backup.")] = False,
    backup: Annotated[Backup, typer.Option(help="Make a fresh backup, or use the existing one.")] = (
        Backup.FRESH
    ),
    fetch_as: Annotated[
        FetchAs, typer.Option(help="Whose credential fetches the custodian half.")
    ] = FetchAs.CUSTODIAN,
    backup_method: Annotated[
        BackupMethod | None,
        typer.Option(help="How the existing backup was encrypted; for --fetch-as client."),
    ] = None,
    approvals: Annotated[int, typer.Option(help="Ask for more approvals than the settings demand.")] = 0,
    cooling_off: Annotated[str, typer.Option(help="Ask for a longer wait after them, as PT24H.")] = "PT0S",
) -> None:
    """Start an eject, or join the one that runs with the same request."""
    request = EjectRequest.model_validate(
        {
            "client_id": client,
            "recipient": recipient,
            "window": window,
            "requested_by": requested_by,
            "reason": reason,
            "replace_backup": replace_backup,
            "backup": backup,
            "fetch_as": fetch_as,
            "backup_method": backup_method,
            "approvals": approvals,
            "cooling_off": cooling_off,
        }
    )
    handle = _connected(lambda temporal: start(temporal, request))
    typer.echo(f"{handle.id} is running: see `starter.py status --client {client}`.")


@app.command("status")
def _status(
    client: ClientId,
    watch_it: Annotated[bool, typer.Option("--watch", help="Stay, and show it until it ends.")] = False,
) -> None:
    """Print where a client's eject is, or the receipt of its last one, as JSON."""
    if watch_it:
        console = Console(stderr=True, highlight=False)
        _print(_connected(lambda temporal: watch(temporal, client, console)))
    else:
        _print(_connected(lambda temporal: status(temporal, client)))


@app.command("list")
def _list(
    stage: Annotated[str | None, typer.Option(help="Only ejects in this stage, such as parked.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Print every eject that Temporal still shows: client, stage, close of the window."""
    if stage not in (None, *Stage, *End):
        raise typer.BadParameter(f"a stage is one of {', '.join((*Stage, *End))}")
    wanted = None if stage is None else End(stage) if stage in tuple(End) else Stage(stage)

    async def found(temporal: Client) -> list[Listed]:
        return [line async for line in ejects(temporal, wanted)]

    lines = _connected(found)
    if as_json:
        for line in lines:
            typer.echo(line.model_dump_json())
    else:
        # A terminal's width is for people; into a pipe every line goes whole.
        Console(width=None if sys.stdout.isatty() else 200, highlight=False).print(
            table(lines, datetime.now(UTC))
        )


@app.command("approve")
def _approve(
    client: ClientId,
    digest: Annotated[str, typer.Option(help="The request's digest, as `status` shows it: read it there.")],
    by: By,
    why: Why,
    key: Annotated[Path | None, typer.Option(help="Your key file, where approvals are signed.")] = None,
) -> None:
    """Agree to a request, its recipient included; another person than the one who asked."""
    unsigned = Approve(digest=digest, by=by, why=why)

    async def approved(temporal: Client) -> ApproveAnswer:
        if key is None:
            return await approve(temporal, client, unsigned)
        told = await status(temporal, client)
        if isinstance(told, Receipt):
            raise EjectError(f"No approval is awaited: the eject is {told.end}")
        signature = await asyncio.to_thread(sign, key, told, digest, by)
        return await approve(temporal, client, unsigned.model_copy(update={"signature": signature}))

    _print(_connected(approved))


@app.command("register")
def _register() -> None:
    """Create the search attributes that an eject writes, in the namespace of the settings."""
    missing = _connected(register)
    typer.echo(f"Created: {', '.join(missing)}." if missing else "All search attributes were there.")


@app.command("claim")
def _claim(client: ClientId, by: By) -> None:
    """Have the sealed files released; prints what the owner's device needs as JSON."""
    command = Claim(claimed_by=by)
    _print(_connected(lambda temporal: claim(temporal, client, command)))


@app.command("prove")
def _prove(client: ClientId, file: InFile) -> None:
    """Hand in the proofs that the device made (the JSON of `python -m device sign`)."""
    command = Prove.model_validate_json(file.read())
    _print(_connected(lambda temporal: prove(temporal, client, command)))


@app.command("retry")
def _retry(
    client: ClientId,
    park: Annotated[int, typer.Option(help="The number of the park, as `status` shows it.")],
    by: By,
    why: Why,
) -> None:
    """Run the parked step of a client's eject again, once its cause is mended."""
    command = Retry(park=park, by=by, why=why)
    _print(_connected(lambda temporal: retry(temporal, client, command)))


@app.command("cancel")
def _cancel(client: ClientId, by: By, why: Why) -> None:
    """End an eject before its bundle is claimed; everything of ours is withdrawn."""
    command = Cancel(by=by, why=why)
    _print(_connected(lambda temporal: cancel(temporal, client, command)))


@app.command("extend")
def _extend(
    client: ClientId,
    window: Annotated[str, typer.Option(help="How long the owner has from now, as PT24H or P7D.")],
    by: By,
    why: Why,
) -> None:
    """Move the close of the window; after the close, open it once more for a missing proof."""
    command = Extend.model_validate({"window": window, "by": by, "why": why})
    _print(_connected(lambda temporal: extend(temporal, client, command)))


@resolutions.command("close")
def _close(client: ClientId, by: By, why: Why) -> None:
    """End an eject whose bundle was claimed and will not be proven; it frees the client's id."""
    command = Resolve(by=by, why=why)
    _print(_connected(lambda temporal: resolve(temporal, client, command)))


@app.command("sweep")
def _sweep(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list; remove nothing.")] = False,
) -> None:
    """Remove what ended or vanished ejects left in the vault, and list deposits older than 30 days."""
    vault = _vault(load_settings(Program.SWEEP, Program.STARTER))
    found = _connected(lambda temporal: sweep(temporal, vault, remove=not dry_run))
    for name in found.left_behind:
        typer.echo(f"{'left behind' if dry_run else 'removed'}\t{name}")
    for name in found.old_deposits:
        typer.echo(f"old deposit\t{name}")


@app.command("reseal")
def _reseal(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list; seal nothing.")] = False,
) -> None:
    """Seal anew what was deposited to an earlier identity; with the client role's settings."""
    settings = load_settings(Program.RESEAL)
    fit(WorkerRole.CLIENT, settings)
    identities, recipient = settings.client_identity or SecretStr(""), str(settings.client_recipient)
    found = asyncio.run(reseal(_vault(settings), identities, recipient, write=not dry_run))
    for name in found.earlier:
        typer.echo(f"{'sealed to an earlier identity' if dry_run else 'sealed anew'}\t{name}")
    for name in found.unreadable:
        typer.echo(f"opens with no identity of ours\t{name}")


def _vault(settings: Settings) -> Vault:
    try:
        return Vault(str(settings.vault_url))
    except ValueError as error:
        raise SettingsError(f"EJECT_VAULT_URL {error}") from None


def _connected(work: Callable[[Client], Coroutine[Any, Any, T]]) -> T:
    async def run() -> T:
        return await work(await connect())

    return asyncio.run(run())


def _print(answer: BaseModel) -> None:
    typer.echo(answer.model_dump_json(indent=2))


def main() -> NoReturn:
    """Run the command line and leave with its exit code."""
    run(app, _ended, sys.argv[1:] or ["--help"])


def _ended(error: Exception) -> tuple[int, str]:
    code, told = 1, str(error)
    match error:
        case NoAnswerError() | TemporalUnreachableError():
            code = 3
        case EjectError():
            pass
        case SettingsError() | CodecError():
            code = 2
        case ValidationError():
            code, told = 2, f"The input is wrong: {sentence(error)}"
        case RPCError():
            code, told = 3, f"Temporal did not take the call: {error.message}"
        case UnicodeDecodeError():  # it holds what was read
            code, told = 2, "The file is not text: name the one that holds what this command reads"
        case _:
            told = (
                f"Stopped at an unexpected {type(error).__name__}, a setting it cannot use or a fault of ours"
            )
    return code, told


if __name__ == "__main__":
    main()
