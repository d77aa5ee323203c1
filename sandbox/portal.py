"""What all calls share: the state, the clock, the faults and the custodian's key."""

from dataclasses import dataclass
from pathlib import Path

from sandbox.clock import Clock
from sandbox.credentials import custodian_key
from sandbox.faults import Faults
from sandbox.store import Store

SWITCHES = ("gate_fetch_by_window", "gate_completion_by_window")


@dataclass(frozen=True)
class Portal:
    """One sandbox."""

    store: Store
    clock: Clock
    faults: Faults
    custodian_key: str

    def switch(self, name: str) -> bool:
        """Say whether a switch is on; all are off at first, as Portal documents no gate."""
        return self.store.setting(name) == "on"

    def set_switch(self, name: str, *, on: bool) -> None:
        """Turn a switch."""
        self.store.set_setting(name, "on" if on else "off")


def open_portal(state: Path | None, key: str | None = None) -> Portal:
    """Open the state file, or a state in memory, and all that lives in it."""
    store = Store(state)
    return Portal(store, Clock(store), Faults(store), custodian_key(store, key))
