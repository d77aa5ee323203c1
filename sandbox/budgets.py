"""Portal's budgets, where a test or a demo asks for them: more calls in a minute are refused with a 429."""

import json
from collections import deque
from datetime import datetime, timedelta
from math import ceil

from pydantic import BaseModel, ConfigDict, Field

from sandbox.store import Store

_SETTING = "budgets"
_MINUTE = timedelta(minutes=1)


class Budgets(BaseModel):
    """Calls in any minute of the sandbox's clock; the gateway's are the custodian's. `null` is no budget.

    Portal publishes 200, 200 and 50.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    custodian: int | None = Field(default=None, ge=1)
    client: int | None = Field(default=None, ge=1)
    enclave: int | None = Field(default=None, ge=1)


class Spending:
    """What the calls of the last minute have spent. The budgets are kept in the state, the minute is not."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.budgets = Budgets.model_validate(json.loads(store.setting(_SETTING) or "{}"))
        self._calls: dict[str, deque[datetime]] = {name: deque() for name in Budgets.model_fields}

    def set(self, budgets: Budgets) -> None:
        """Ask for other budgets."""
        self.budgets = budgets
        self._store.set_setting(_SETTING, budgets.model_dump_json())

    def spend(self, budget: str, now: datetime) -> int | None:
        """Count a call; where there is nothing left for it, the seconds until there is."""
        most: int | None = getattr(self.budgets, budget)
        calls = self._calls[budget]
        while calls and now - calls[0] >= _MINUTE:
            calls.popleft()
        if most is not None and len(calls) >= most:
            return ceil((calls[-most] + _MINUTE - now).total_seconds())
        calls.append(now)
        return None
