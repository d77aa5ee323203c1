"""The time inside an activity."""

import time
from datetime import datetime, timedelta

from temporalio import activity


class AttemptClock:
    """The workflow's time, going on from the start of this attempt.

    `datetime.now()` would not follow time that a test skips; the start of the attempt does.
    """

    def __init__(self) -> None:
        self._started = activity.info().started_time
        self._ticks, self._wall = time.monotonic(), time.time()

    def now(self) -> datetime:
        """The time now, in UTC."""
        # The monotonic clock stands still while the machine sleeps, the wall clock can be set back.
        passed = max(time.monotonic() - self._ticks, time.time() - self._wall)
        return self._started + timedelta(seconds=passed)
