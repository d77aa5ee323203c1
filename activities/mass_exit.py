"""What a mass exit does outside of its workflow: read its list, look at its ejects."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from temporalio import activity
from temporalio.client import Client

from activities.clock import AttemptClock
from contracts.mass import (
    MOST_AT_ONCE,
    PAGE,
    CompareRequest,
    Look,
    LookAtEjects,
    ReadRequests,
    RequestCompared,
    RequestsRead,
)
from contracts.request import EjectRequest
from custody.mass_lists import read_list, read_page
from custody.vault import Vault

Looking = Callable[[Client, LookAtEjects, datetime], Awaitable[Look]]
"""What Temporal shows of the ejects of a mass exit."""

Comparing = Callable[[Client, EjectRequest], Awaitable[list[str]]]
"""In which fields the request of a client's latest eject differs from this one."""

# A look comes far more often; this much is at work in between, so that no queue of Portal's stands idle.
_MINUTES = 3
_FEWEST_AT_ONCE = 10


@dataclass(frozen=True)
class MassExitStep:
    """Custodian role; reads only. `per_minute` is how many ejects Portal's budgets let through."""

    vault: Vault
    looking: Looking
    comparing: Comparing
    per_minute: float

    @activity.defn(name="look_at_ejects")
    async def look_at_ejects(self, what: LookAtEjects) -> Look:
        """Count who is where, and say how many may be at work."""
        look = await self.looking(activity.client(), what, AttemptClock().now())
        by_budget = min(max(round(_MINUTES * self.per_minute), _FEWEST_AT_ONCE), MOST_AT_ONCE)
        return look.model_copy(
            update={"at_once": what.at_once or by_budget, "per_minute": round(self.per_minute, 1)}
        )

    @activity.defn(name="read_requests")
    async def read_requests(self, what: ReadRequests) -> RequestsRead:
        """Read who comes next, of the very list that the mass exit was started with."""
        of = await read_list(self.vault, what.name, what.digest)
        number, offset = divmod(what.position, PAGE)
        page = await read_page(self.vault, what.name, of, number)
        return RequestsRead(requests=page[offset : offset + what.most])

    @activity.defn(name="compare_request")
    async def compare_request(self, what: CompareRequest) -> RequestCompared:
        """Say whether the eject that runs already is the one that was asked for."""
        return RequestCompared(differing=tuple(await self.comparing(activity.client(), what.request)))
