"""Commands of people who decide over a running eject: approve, retry, cancel, extend, resolve."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from temporalio.client import Client

from commands.common import By, ClientId, Why, connected, show
from contracts.approvals import Approve, ApproveAnswer
from contracts.commands import Cancel, Extend, Resolve
from contracts.parks import Retry
from contracts.receipt import Receipt
from ejects.approvers import sign
from ejects.service import EjectError, approve, cancel, extend, resolve, retry, status

deciding = typer.Typer()
resolutions = typer.Typer()
deciding.add_typer(resolutions, name="resolve", help="Decide over a claimed eject that will not be proven.")


@deciding.command("approve")
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

    show(connected(approved))


@deciding.command("retry")
def _retry(
    client: ClientId,
    park: Annotated[int, typer.Option(help="The number of the park, as `status` shows it.")],
    by: By,
    why: Why,
) -> None:
    """Run the parked step of a client's eject again, once its cause is mended."""
    command = Retry(park=park, by=by, why=why)
    show(connected(lambda temporal: retry(temporal, client, command)))


@deciding.command("cancel")
def _cancel(client: ClientId, by: By, why: Why) -> None:
    """End an eject before its bundle is claimed; everything of ours is withdrawn."""
    command = Cancel(by=by, why=why)
    show(connected(lambda temporal: cancel(temporal, client, command)))


@deciding.command("extend")
def _extend(
    client: ClientId,
    window: Annotated[str, typer.Option(help="How long the owner has from now, as PT24H or P7D.")],
    by: By,
    why: Why,
) -> None:
    """Move the close of the window; after the close, open it once more for a missing proof."""
    command = Extend.model_validate({"window": window, "by": by, "why": why})
    show(connected(lambda temporal: extend(temporal, client, command)))


@resolutions.command("close")
def _close(client: ClientId, by: By, why: Why) -> None:
    """End an eject whose bundle was claimed and will not be proven; it frees the client's id."""
    command = Resolve(by=by, why=why)
    show(connected(lambda temporal: resolve(temporal, client, command)))
