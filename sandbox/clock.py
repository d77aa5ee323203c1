"""The sandbox's clock: real time plus an offset that tests move forward."""

from datetime import UTC, datetime, timedelta

from sandbox.store import Store

_OFFSET = "clock_offset_seconds"


def stamp(moment: datetime) -> str:
    """Write a time as Portal does: UTC, milliseconds, `Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def moment(text: str) -> datetime:
    """Read a time that `stamp` wrote."""
    return datetime.fromisoformat(text)


class Clock:
    """Real time plus an offset kept in the state, so that a restart does not turn time back."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._offset = timedelta(seconds=float(store.setting(_OFFSET) or 0))

    def now(self) -> datetime:
        """Answer the sandbox's time."""
        return datetime.now(UTC) + self._offset

    def advance(self, seconds: float) -> datetime:
        """Move the clock forward and answer the new time."""
        self._offset += timedelta(seconds=seconds)
        moved = self.now()  # raises OverflowError before anything is kept
        self._store.set_setting(_OFFSET, repr(self._offset.total_seconds()))
        return moved
