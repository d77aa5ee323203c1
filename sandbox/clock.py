"""The sandbox's clock: real time plus an offset that tests move forward, or faster than real time."""

from datetime import UTC, datetime, timedelta

from sandbox.store import Store

_OFFSET = "clock_offset_seconds"
_RATE = "clock_rate"
_SINCE = "clock_rate_since"


def stamp(moment: datetime) -> str:
    """Write a time as Portal does: UTC, milliseconds, `Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def moment(text: str) -> datetime:
    """Read a time that `stamp` wrote."""
    return datetime.fromisoformat(text)


class Clock:
    """Real time plus an offset, which grows while the rate is above 1.

    Both are kept in the state, so that a restart does not turn time back.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._offset = timedelta(seconds=float(store.setting(_OFFSET) or 0))
        self.rate = float(store.setting(_RATE) or 1)
        self._since = datetime.fromisoformat(store.setting(_SINCE) or datetime.now(UTC).isoformat())

    def now(self) -> datetime:
        """Answer the sandbox's time."""
        real = datetime.now(UTC)
        return real + self._offset + (real - self._since) * (self.rate - 1)

    def advance(self, seconds: float) -> datetime:
        """Move the clock forward and answer the new time."""
        self._offset += timedelta(seconds=seconds)
        moved = self.now()  # raises OverflowError before anything is kept
        self._store.set_setting(_OFFSET, repr(self._offset.total_seconds()))
        return moved

    def run(self, rate: float) -> None:
        """Let so many seconds pass in each second, from now on."""
        real = datetime.now(UTC)
        self._offset, self._since, self.rate = self.now() - real, real, rate
        self._store.set_setting(_OFFSET, repr(self._offset.total_seconds()))
        self._store.set_setting(_RATE, repr(rate))
        self._store.set_setting(_SINCE, real.isoformat())
