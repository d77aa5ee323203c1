"""Commands of whoever runs ejects: register, sweep, reseal, reconcile, watch."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from pydantic import SecretStr, TypeAdapter, ValidationError
from temporalio.client import Client

from commands.common import connected
from contracts.base import Moment
from custody.keys import public_key
from custody.signing import Trust
from ejects.advice import Advice
from ejects.drift import end_watch, keep_watch
from ejects.offline import keys_of
from ejects.reconciling import advise
from ejects.registering import register
from ejects.resealing import reseal
from ejects.standing import standings
from ejects.sweeping import sweep
from portal.custodian import CustodianApi
from portal.profiles import PROFILES
from runtime.fitting import fit
from runtime.settings import Settings, WorkerRole, load_settings
from runtime.temporal import TemporalUnreachableError, connect
from runtime.uses import Program
from serving.fitting import receipt_key_of, vault_of
from serving.steps import hosts_of

operating = typer.Typer()


@operating.command("register")
def _register() -> None:
    """Create the search attributes that an eject writes, in the namespace of the settings."""
    missing = connected(register)
    typer.echo(f"Created: {', '.join(missing)}." if missing else "All search attributes were there.")


@operating.command("sweep")
def _sweep(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list; remove nothing.")] = False,
) -> None:
    """Remove what ended or vanished ejects left in the vault, and list deposits older than 30 days."""
    vault = vault_of(load_settings(Program.SWEEP, Program.STARTER))
    found = connected(lambda temporal: sweep(temporal, vault, remove=not dry_run))
    for name in found.left_behind:
        _print(f"{'left behind' if dry_run else 'removed'}\t{name}")
    for name in found.old_deposits:
        _print(f"old deposit\t{name}")


@operating.command("reseal")
def _reseal(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list; seal nothing.")] = False,
) -> None:
    """Seal anew what was deposited to an earlier identity; with the client role's settings."""
    settings = load_settings(Program.RESEAL)
    fit(WorkerRole.CLIENT, settings)
    identities, recipient = settings.client_identity or SecretStr(""), str(settings.client_recipient)
    found = asyncio.run(reseal(vault_of(settings), identities, recipient, write=not dry_run))
    for name in found.earlier:
        _print(f"{'sealed to an earlier identity' if dry_run else 'sealed anew'}\t{name}")
    for name in found.unreadable:
        _print(f"opens with no identity of ours\t{name}")


@operating.command("reconcile")
def _reconcile(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    key: Annotated[
        list[str] | None,
        typer.Option(callback=keys_of, help="An earlier public key of receipts, as hex; may be repeated."),
    ] = None,
) -> None:
    """Say where each client stands after a loss, and what to do; needs the custodian role's settings.

    Reads the vault, Portal and, where it answers, Temporal; writes nothing anywhere.
    """
    for line in asyncio.run(_reconciled(load_settings(Program.RECONCILE), key or [])):
        _print(line.model_dump_json() if as_json else _told(line))


async def _reconciled(settings: Settings, keys: list[str]) -> list[Advice]:
    signing = receipt_key_of(settings)
    trusted = {*keys, *({public_key(signing)} if signing else ())}
    temporal: Client | None = None
    with suppress(TemporalUnreachableError):
        temporal = await connect(settings)
    async with hosts_of(settings) as hosts:
        key = settings.custodian_api_key or SecretStr("")
        portal = CustodianApi(hosts.custodian, key, PROFILES[settings.provider])
        trust = Trust(frozenset(trusted), unsigned=not trusted and not settings.production)
        return advise(await standings(portal, vault_of(settings), temporal, trust), datetime.now(UTC))


def _told(line: Advice) -> str:
    return "\t".join((line.client_id or "-", line.state, f"{line.facts}. {line.advice}.", *line.commands))


def _print(line: str) -> None:
    """Print a line; names and words in it may come from a file that anybody wrote, and go to a terminal."""
    typer.echo("".join(c if c.isprintable() or c == "\t" else "?" for c in line))


def _interval(text: str) -> timedelta:
    try:
        return TypeAdapter(timedelta).validate_python(text)
    except ValidationError:
        raise typer.BadParameter("an interval is an ISO duration, as PT1H") from None


def _moment(text: str) -> datetime:
    try:
        return TypeAdapter(Moment).validate_python(text)
    except ValidationError:
        raise typer.BadParameter("a time is like 2030-01-31T12:00:00Z") from None


@operating.command("watch")
def _watch(
    every: Annotated[timedelta | None, typer.Option(parser=_interval, help="How often, as PT1H.")] = None,
    since: Annotated[
        datetime | None,
        typer.Option(parser=_moment, help="Who was ejected before this is known; unset, as it was, or now."),
    ] = None,
    delete: Annotated[bool, typer.Option("--delete", help="End the watch.")] = False,
) -> None:
    """Have a Temporal schedule look for clients who are open or ejected at Portal by no eject of ours."""
    if (every is None) is not delete:
        raise typer.BadParameter("name --every, or --delete")
    if every is None:
        gone = connected(end_watch)
        typer.echo("The watch has ended." if gone else "There was no watch.")
        return
    interval = every
    new = connected(lambda temporal: keep_watch(temporal, interval, since))
    typer.echo("The watch has begun." if new else "The watch goes on, changed.")
