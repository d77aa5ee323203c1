"""Complete: the irreversible call."""

from dataclasses import dataclass

from temporalio import activity

from activities.wallets import require_client, require_unchanged
from contracts.failures import Failure, StepError
from contracts.steps import Complete, Completed
from portal.client import Clients


@dataclass(frozen=True)
class CompleteStep:
    """Client role; reads before it writes, because what a second call answers is not documented."""

    clients: Clients

    @activity.defn(name="complete")
    async def complete(self, what: Complete) -> Completed:
        """Mark the client as ejected if it is not yet, and read Portal's mark back."""
        client = await self.clients.as_client(what.client_id)
        shown = await client.read()
        require_client(shown, what.client_id)
        if shown.ejected_at is None:
            require_unchanged(shown, what.client_id, what.wallets)
            await client.complete()
            shown = await client.read()
            require_client(shown, what.client_id)
        if shown.ejected_at is None:
            raise StepError(Failure.PORTAL_UNAVAILABLE, "Portal does not show the client as ejected yet")
        return Completed(ejected_at=shown.ejected_at)
