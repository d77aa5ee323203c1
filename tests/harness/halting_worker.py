"""A worker as `worker.py` starts it, that stands still where it is told to.

`python -m tests.harness.halting_worker ROLE CLIENT/STEP/ACCESS/MOMENT...`: at each of these points, once for
each time it is named, it writes `here CLIENT` to standard output and waits to be killed, or goes on at
SIGUSR1.
"""

import asyncio
import signal
import sys
from collections import Counter

import httpx

import worker
from portal import http
from runtime import logs
from runtime.settings import WorkerRole, load_settings
from tests.harness.moments import Point, watching


class Halts:
    """Who stands where, or will."""

    def __init__(self, points: list[str]) -> None:
        self._to_come = Counter(points)
        self._standing: list[asyncio.Event] = []

    async def meet(self, client: str, point: Point) -> None:
        """Stand still where this was asked for."""
        name = f"{client}/{point}"
        if not self._to_come[name]:
            return
        self._to_come[name] -= 1
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, self._go_on)
        self._standing.append(go_on := asyncio.Event())
        _say(f"here {client}")
        try:
            await go_on.wait()
        except asyncio.CancelledError:
            _say(f"gone {client}")  # the attempt was given up, so that a kill would miss it
            raise

    def _go_on(self) -> None:
        while self._standing:
            self._standing.pop().set()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    # Not `forbid_core_dumps` as `worker.py`: it would keep a test without root from reading this memory.
    role, *points = sys.argv[1:]
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # until somebody stands
    # A sandbox may hold a reply until every other eject of its test stands too.
    http._TIMEOUT = httpx.Timeout(120)
    settings = load_settings()
    logs.configure(settings.log_level)
    with watching(Halts(points).meet):
        asyncio.run(worker.serve(WorkerRole(role), settings))
