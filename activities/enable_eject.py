"""Enable eject: open the ejectable window."""

from dataclasses import dataclass

from temporalio import activity

from activities.clock import AttemptClock
from activities.wallets import completed_of, require_unchanged
from contracts.failures import Failure, StepError
from contracts.steps import EjectEnabled, EnableEject
from contracts.window import aged
from portal.custodian import CustodianApi


@dataclass(frozen=True)
class EnableEjectStep:
    """Custodian role; checks the wallets again just before it opens anything."""

    custodian: CustodianApi

    @activity.defn(name="enable_eject")
    async def enable_eject(self, what: EnableEject) -> EjectEnabled:
        """Set each wallet's deadline, again if repeated; returns the earliest that Portal confirmed."""
        clock = AttemptClock()
        client = await self.custodian.read_client(what.client_id)
        if client.ejected_at is not None:
            raise StepError(Failure.WALLETS_CHANGED, "Portal calls the client ejected since it was checked")
        require_unchanged(client, what.client_id, what.wallets)
        if what.completed is not None and what.completed != completed_of(client):
            raise StepError(
                Failure.WALLETS_CHANGED, "The client's completed backups are not those that were checked"
            )
        confirmed = []
        for wallet in what.wallets:
            if what.only is not None and wallet.id not in what.only:
                continue
            if aged(what.until, clock.now()):
                raise StepError(Failure.WINDOW_AGED, "The asked window has come too near while waiting")
            confirmed.append(await self.custodian.enable_eject(what.client_id, wallet.id, what.until))
        return EjectEnabled(closes=min(confirmed))
