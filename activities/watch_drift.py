"""Watch drift: compare what Portal shows of its clients with what our ejects have done."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from temporalio import activity
from temporalio.client import Client

from activities.clock import AttemptClock
from activities.wallets import require_client
from contracts.drift import (
    DriftKind,
    DriftReported,
    LookAgain,
    LookedAgain,
    PageWatched,
    ReportDrift,
    Sighting,
    WatchPage,
)
from contracts.failures import Failure, StepError
from contracts.metrics import DRIFT_FINDINGS, DRIFT_WATCHED
from contracts.stages import Stage
from contracts.window import CLOSES_ANYWAY
from custody.shelf import ejected_by_us
from custody.vault import Vault
from portal.custodian import CustodianApi
from portal.replies import ClientReply

# Before these stages an eject has opened no window, and before those it has completed nothing. What is parked
# may have: its stage does not say at which step.
OPENS = frozenset(
    (
        Stage.ENABLING,
        Stage.FETCHING_SHARES,
        Stage.AWAITING_CLAIM,
        Stage.AWAITING_PROOF,
        Stage.UNRESOLVED,
        Stage.COMPLETING,
        Stage.PARKED,
        Stage.CLOSING,
    )
)
COMPLETES = frozenset((Stage.COMPLETING, Stage.PARKED, Stage.CLOSING))

StageOf = Callable[[Client, str], Awaitable[str | None]]
"""The stage of the eject of a client that runs now, None where none runs; asked of the eject itself."""


@dataclass(frozen=True)
class WatchDriftStep:
    """Custodian role; reads only. `notices` says whether there is a receiver of notices."""

    custodian: CustodianApi
    vault: Vault
    stage_of: StageOf
    notices: bool = False

    @activity.defn(name="watch_page")
    async def watch_page(self, what: WatchPage) -> PageWatched:
        """Read one page; what an eject of ours explains already is no suspicion."""
        clock = AttemptClock()
        page = await self.custodian.list_clients(what.cursor)
        suspects = [
            sighting
            for sighting in seen_on(page.results, what.since, clock.now())
            if not await self._explained(sighting)
        ]
        cursor = page.metadata.cursor if page.results else None
        return PageWatched(seen=len(page.results), cursor=cursor, suspects=tuple(suspects))

    @activity.defn(name="look_again")
    async def look_again(self, what: LookAgain) -> LookedAgain:
        """Read Portal first and our own side after it, so that what has ended meanwhile has its receipt."""
        clock = AttemptClock()
        try:
            client = await self.custodian.read_client(what.client_id)
        except StepError as error:
            if error.failure is Failure.NOT_FOUND:  # removed at Portal since
                return LookedAgain()
            raise
        require_client(client, what.client_id)
        for sighting in seen_on((client,), what.since, clock.now()):
            if not await self._explained(sighting):
                return LookedAgain(sighting=sighting)
        return LookedAgain()

    @activity.defn(name="report_drift")
    async def report_drift(self, what: ReportDrift) -> DriftReported:
        """Set the gauges, and write one line where something was found."""
        meter = activity.metric_meter()
        suspicious = what.report.found + what.report.unsure
        meter.create_gauge(DRIFT_FINDINGS.name, DRIFT_FINDINGS.meaning).set(suspicious)
        watched = int(what.report.watched.timestamp())
        meter.create_gauge(DRIFT_WATCHED.name, DRIFT_WATCHED.meaning).set(watched)
        if suspicious:
            clients = [f"{one.client_id} {one.kind}" for one in what.report.findings]
            found = {"found": what.report.found, "clients": clients}
            activity.logger.warning("drift.found", extra=found)
        return DriftReported(notices=self.notices)

    async def _explained(self, sighting: Sighting) -> bool:
        client_id = sighting.client_id
        if sighting.kind is DriftKind.WINDOW_OPEN:
            return await self.stage_of(activity.client(), client_id) in OPENS
        if await ejected_by_us(self.vault, client_id, sighting.at):
            return True
        if await self.stage_of(activity.client(), client_id) in COMPLETES:
            return True
        # It may have ended between the two, and its receipt came first.
        return await ejected_by_us(self.vault, client_id, sighting.at)


def seen_on(clients: Iterable[ClientReply], since: datetime, now: datetime) -> list[Sighting]:
    """Who is ejected, or has a window open, one sighting for each; a client who has left needs no window."""
    found = []
    for client in clients:
        if client.ejected_at is not None:
            if client.ejected_at >= since:
                found.append(Sighting(client_id=client.id, kind=DriftKind.EJECTED, at=client.ejected_at))
        elif (closes := client.open_until) is not None and closes > now + CLOSES_ANYWAY:
            found.append(Sighting(client_id=client.id, kind=DriftKind.WINDOW_OPEN, at=closes))
    return found
