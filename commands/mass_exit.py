"""Commands of a custodian that closes down: all clients of a list leave."""

import asyncio
import csv
import io
from datetime import UTC, datetime
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.live import Live
from rich.text import Text
from temporalio.client import Client

from commands.common import By, Why, being, connected, show
from contracts.base import sentence
from contracts.commands import Command
from contracts.mass import MOST_AT_ONCE, MassName, MassStatus
from contracts.request import EjectRequest
from ejects.mass_exit import (
    cancel_mass_exit,
    mass_status,
    pause_mass_exit,
    resume_mass_exit,
    start_mass_exit,
)
from ejects.mass_file import ListError, read_file
from ejects.mass_report import ReportLine, report
from ejects.service import NoAnswerError
from ejects.showing import left
from runtime.settings import load_settings
from runtime.uses import Program
from serving.fitting import vault_of

leaving = typer.Typer()

_LOOKS = 2.0
# Right in itself, so that only what is common to all lines can be wrong with it.
_SOME = {"client_id": "client", "recipient": f"age1{'q' * 58}", "window": "P1D"}


_IS_NAME = being(MassName, "a name has 1 to 40 letters, digits, '-' and '_'")
Name = Annotated[str, typer.Option("--name", callback=_IS_NAME, help="What this mass exit is called.")]


@leaving.command("mass-exit")
def _mass_exit(  # noqa: PLR0917 (typer passes options by name)
    file: Annotated[
        typer.FileText,
        typer.Argument(help="The list, CSV with a header or JSON lines; '-' is standard input."),
    ],
    name: Name,
    requested_by: Annotated[str, typer.Option(help="Who asks; stands in the receipts as asserted.")],
    reason: Why,
    window: Annotated[
        str | None, typer.Option(help="How long each owner has, as P7D, where a line names nothing else.")
    ] = None,
    at_once: Annotated[
        int | None,
        typer.Option(
            min=1, max=MOST_AT_ONCE, help="Ejects at work at once; unset, what Portal's budgets carry."
        ),
    ] = None,
) -> None:
    """Eject every client of a list under Portal's budgets, or join the mass exit of that name and list."""
    settings = load_settings(Program.MASS_EXIT, Program.STARTER)
    common = {"requested_by": requested_by, "reason": reason} | ({"window": window} if window else {})
    try:
        EjectRequest.model_validate(_SOME | common)
    except ValidationError as error:
        raise ListError(f"Nothing was started: {sentence(error)}") from None
    requests = read_file(file.read(), common)
    vault = vault_of(settings)
    new = connected(lambda temporal: start_mass_exit(temporal, vault, name, requests, at_once=at_once))
    what = f"{len(requests)} clients are to leave" if new else "The same mass exit is running already"
    typer.echo(f"{what}: see `starter.py mass-exit-status --name {name} --watch`.")


@leaving.command("mass-exit-status")
def _status(
    name: Name,
    watch_it: Annotated[bool, typer.Option("--watch", help="Stay, and show it until it ends.")] = False,
) -> None:
    """Print how far a mass exit is, as JSON: counts, who is in trouble, when the last will be started."""
    if watch_it:
        console = Console(stderr=True, highlight=False)
        show(connected(lambda temporal: _watch(temporal, name, console)))
    else:
        show(connected(lambda temporal: mass_status(temporal, name)))


@leaving.command("mass-exit-pause")
def _pause(name: Name, by: By, why: Why) -> None:
    """Start no more ejects until `mass-exit-resume`; those that run go on."""
    command = Command(by=by, why=why)
    show(connected(lambda temporal: pause_mass_exit(temporal, name, command)))


@leaving.command("mass-exit-resume")
def _resume(name: Name, by: By, why: Why) -> None:
    """Start ejects again."""
    command = Command(by=by, why=why)
    show(connected(lambda temporal: resume_mass_exit(temporal, name, command)))


@leaving.command("mass-exit-cancel")
def _cancel(name: Name, by: By, why: Why) -> None:
    """End a mass exit: no more are started, nobody counts any more; ejects that run go on."""
    command = Command(by=by, why=why)
    show(connected(lambda temporal: cancel_mass_exit(temporal, name, command)))


@leaving.command("mass-exit-report")
def _report(
    name: Name, as_json: Annotated[bool, typer.Option("--json", help="JSON lines instead of CSV.")] = False
) -> None:
    """Print a line for every client of the list: its end with the receipt, its stage, or its trouble."""
    vault = vault_of(load_settings(Program.MASS_EXIT, Program.STARTER))

    async def printed(temporal: Client) -> None:
        if not as_json:
            typer.echo(_cells(ReportLine.model_fields))
        async for line in report(temporal, vault, name):
            typer.echo(line.model_dump_json() if as_json else _cells(line.model_dump().values()))

    connected(printed)


def _cells(values: object) -> str:
    row = io.StringIO()
    csv.writer(row, lineterminator="").writerow(values)  # type: ignore[arg-type]
    return "".join(c if c.isprintable() else "?" for c in row.getvalue())


async def _watch(client: Client, name: str, console: Console) -> MassStatus:
    status = await mass_status(client, name)
    with Live(console=console, refresh_per_second=4, get_renderable=lambda: _drawn(status)):
        while not status.over:
            await asyncio.sleep(_LOOKS)
            try:
                status = await mass_status(client, name)
            except NoAnswerError:
                continue
    return status


def _drawn(status: MassStatus) -> Text:
    had = status.count - status.not_started
    lines = [
        f"{had} of {status.count} ({100 * had // status.count} %): {status.started} started, "
        f"{status.joined} ran already, {status.rate} in the last hour"
    ]
    if status.paused:
        lines.append(f"paused by {status.paused.by}: {status.paused.why}")
    elif status.starting_ends:
        in_ = left(status.starting_ends, datetime.now(UTC))
        lines.append(f"all started in {in_}: {status.bound}")
    else:
        lines.append(status.bound)
    counts = {**status.stages, **status.ends}
    lines.append(", ".join(f"{number} {stage}" for stage, number in counts.items()))
    lines += [f"{one.client_id}, {one.stage}: {one.reason}" for one in status.troubles]
    return Text("\n".join(filter(None, lines)))
