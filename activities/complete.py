"""Complete: the irreversible call."""

from dataclasses import dataclass

from temporalio import activity

from activities.wallets import require_client, require_unchanged
from contracts.failures import Failure, StepError
from contracts.providers import Completion
from contracts.steps import Complete, Completed
from portal.client import ClientApi, Clients


@dataclass(frozen=True)
class CompleteStep:
    """Client role; reads before it writes, because what a second call answers is not documented."""

    clients: Clients
    completion: Completion = Completion.CLIENT

    @activity.defn(name="complete")
    async def complete(self, what: Complete) -> Completed:
        """Mark the client as ejected if it is not yet, and read Portal's mark back."""
        client = await self.clients.as_client(what.client_id)
        shown = await client.read()
        require_client(shown, what.client_id)
        if shown.ejected_at is None:
            require_unchanged(shown, what.client_id, what.wallets)
            await self._mark(client, what)
            shown = await client.read()
            require_client(shown, what.client_id)
        if shown.ejected_at is None:
            raise StepError(Failure.PORTAL_UNAVAILABLE, "Portal does not show the client as ejected yet")
        return Completed(ejected_at=shown.ejected_at)

    async def _mark(self, client: ClientApi, what: Complete) -> None:
        if self.completion is Completion.CLIENT:
            await client.complete()
            return
        for wallet in what.wallets:
            try:
                await client.complete_wallet(wallet.id)
            except StepError as error:
                # One wallet's completion may have marked the client, and then no other is taken.
                if error.failure is Failure.PORTAL_REFUSED and (await client.read()).ejected_at is not None:
                    return
                raise
