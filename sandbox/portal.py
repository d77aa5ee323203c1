"""What all calls share: the state, the clock, faults, budgets, switches and the custodian's keys."""

from dataclasses import dataclass
from pathlib import Path

from sandbox.budgets import Spending
from sandbox.clock import Clock
from sandbox.credentials import CUSTODIAN_KEY, GATEWAY_KEY, kept_key
from sandbox.faults import Faults
from sandbox.store import Store


@dataclass(frozen=True)
class Portal:
    """One sandbox."""

    store: Store
    clock: Clock
    faults: Faults
    spending: Spending

    @property
    def custodian_key(self) -> str:
        """The custodian's API key, as it is now."""
        return kept_key(self.store, CUSTODIAN_KEY)

    @property
    def gateway_key(self) -> str:
        """The gateway's key, as it is now."""
        return kept_key(self.store, GATEWAY_KEY)

    def switch(self, name: str) -> bool:
        """Say whether a switch is on; all are off at first."""
        return self.store.setting(name) == "on"

    def set_switch(self, name: str, *, on: bool) -> None:
        """Turn a switch."""
        self.store.set_setting(name, "on" if on else "off")


def open_portal(
    state: Path | None, custodian_key: str | None = None, gateway_key: str | None = None
) -> Portal:
    """Open the state file, or a state in memory, and all that lives in it."""
    store = Store(state)
    kept_key(store, CUSTODIAN_KEY, custodian_key)
    kept_key(store, GATEWAY_KEY, gateway_key)
    return Portal(store, Clock(store), Faults(store), Spending(store))
