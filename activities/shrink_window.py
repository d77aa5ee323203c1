"""Shrink window: close early what Portal has no call to close."""

from dataclasses import dataclass

from temporalio import activity

from activities.clock import AttemptClock
from activities.wallets import require_client
from contracts.steps import ShrinkWindow, WindowShrunk
from contracts.window import SHRINK_TO
from portal.custodian import CustodianApi


@dataclass(frozen=True)
class ShrinkWindowStep:
    """Custodian role; reads first, so that a window that is not open is not opened by closing it."""

    custodian: CustodianApi

    @activity.defn(name="shrink_window")
    async def shrink_window(self, what: ShrinkWindow) -> WindowShrunk:
        """Set the nearest deadline that Portal takes for every wallet whose own is later."""
        clock = AttemptClock()
        client = await self.custodian.read_client(what.client_id)
        require_client(client, what.client_id)
        ours = {wallet.id for wallet in what.wallets}
        if client.ejected_at is not None:
            return WindowShrunk()
        closes = []
        for wallet in client.wallets:
            if wallet.id not in ours or wallet.ejectable_until is None:
                continue
            soon = clock.now() + SHRINK_TO
            if wallet.ejectable_until > soon:
                closes.append(await self.custodian.enable_eject(what.client_id, wallet.id, soon))
            else:
                closes.append(wallet.ejectable_until)
        return WindowShrunk(closes=max(closes, default=None))
