"""What `starter.py` shows people: a table of ejects, and one eject as it goes on."""

import asyncio
from datetime import UTC, datetime, timedelta

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text
from temporalio.client import Client

from contracts.receipt import Receipt, Status
from contracts.stages import Stage
from ejects.service import NoAnswerError, handle_of, stages, status, trying
from ejects.visibility import Listed, Trying

# A look every two seconds is enough for people and little for Temporal.
_LOOKS = 2.0


def table(lines: list[Listed], now: datetime) -> Table:
    """Ejects, one a line, with what is left of each window."""
    drawn = Table(box=None, pad_edge=False)
    for column in ("client", "stage", "window closes", "left", "started"):
        drawn.add_column(column)
    for line in lines:
        stage = line.stage if line.run in ("running", "completed") else f"{line.stage} ({line.run})"
        closes = f"{line.window_closes:%Y-%m-%d %H:%M} UTC" if line.window_closes else "-"
        drawn.add_row(
            line.client_id,
            stage,
            closes,
            left(line.window_closes, now) if line.run == "running" else "-",
            f"{line.started:%Y-%m-%d %H:%M} UTC",
        )
    return drawn


def left(closes: datetime | None, now: datetime) -> str:
    """What is left of a window, to the second."""
    if closes is None:
        return "-"
    rest = max(closes - now, timedelta(0))
    return str(timedelta(seconds=int(rest.total_seconds())))


async def watch(client: Client, client_id: str, console: Console) -> Receipt:
    """Show an eject until it ends: its stages, its window, what is being retried or parked."""
    seen: list[str] = []
    latest: Status | None = None
    retried: list[Trying] = []

    def drawn() -> Group:
        lines = [Text(" > ".join(seen))]
        if latest and latest.window_closes:
            lines.append(Text(f"window closes in {left(latest.window_closes, datetime.now(UTC))}"))
        lines += [Text(f"{one.step}: attempt {one.attempt}: {one.trouble}") for one in retried]
        if latest and latest.stage is Stage.PARKED and latest.park:
            park = latest.park
            lines.append(Text(f"park {park.number} at {park.step}: {park.reason}"))
            lines.append(Text(f"to mend it: {park.mend}"))
        return Group(*lines)

    async def follow() -> None:
        async for stage in stages(handle_of(client, client_id)):
            seen.append(str(stage))

    following = asyncio.create_task(follow())
    try:
        with Live(console=console, refresh_per_second=4, get_renderable=drawn):
            while True:
                told: Status | Receipt | None
                try:
                    told = await status(client, client_id)
                    retried = await trying(client, client_id)
                except NoAnswerError:
                    told = latest
                if isinstance(told, Receipt):
                    await following
                    return told
                latest = told
                await asyncio.wait([following], timeout=_LOOKS)
    finally:
        following.cancel()
