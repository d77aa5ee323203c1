"""A worker as `worker.py` starts it, that stands still where it is told to.

`python -m tests.harness.halting_worker ROLE CLIENT/STEP/ACCESS/MOMENT...`: at each of these points, once for
each time it is named, it writes `here CLIENT` to standard output and waits to be killed, or goes on at
SIGUSR1. With `hold:` before it, a point is one where the sandbox stands still: it does the call of that very
step, and keeps the reply.
"""

import asyncio
import signal
import sys
from collections import Counter
from datetime import timedelta
from typing import Any

import httpx
from temporalio.worker import (
    StartActivityInput,
    StartLocalActivityInput,
    WorkflowInboundInterceptor,
    WorkflowOutboundInterceptor,
)
from temporalio.workflow import ActivityHandle

import worker
from portal import http
from runtime import logs
from runtime.settings import WorkerRole, load_settings
from tests.harness.moments import Moment, Point, watching

# Longer than it takes on a busy machine until all stand.
_STANDS_FOR = timedelta(minutes=10)


class _Outbound(WorkflowOutboundInterceptor):
    """Gives attempts as long as it takes until all stand; that somebody died is told by heartbeats."""

    def start_activity(self, input: StartActivityInput) -> ActivityHandle[Any]:  # noqa: A002
        if input.heartbeat_timeout:
            input.start_to_close_timeout = _STANDS_FOR
        return super().start_activity(input)

    def start_local_activity(self, input: StartLocalActivityInput) -> ActivityHandle[Any]:  # noqa: A002
        input.start_to_close_timeout = input.schedule_to_close_timeout = _STANDS_FOR
        return super().start_local_activity(input)


class Unhurried(WorkflowInboundInterceptor):
    """Put round the workflows of this worker."""

    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        """Put ourselves before what the workflow asks for."""
        super().init(_Outbound(outbound))


class Halts:
    """Who stands where, or will."""

    def __init__(self, points: list[str], sandbox: str) -> None:
        self._sandbox = sandbox
        self._to_come = Counter(points)
        self._standing: list[asyncio.Event] = []

    async def meet(self, client: str, point: Point) -> None:
        """Stand still where this was asked for."""
        acted = Point(point.step, point.access, Moment.ACTED)
        if point.moment is Moment.BEFORE and self._comes(f"hold:{client}/{acted}"):
            await asyncio.to_thread(self._hold, client, point.access)
        if self._comes(f"{client}/{point}"):
            await self._stand(client)

    def _comes(self, name: str) -> bool:
        comes = self._to_come[name] > 0
        self._to_come[name] -= comes
        return comes

    def _hold(self, client: str, call: str) -> None:
        fault = {"call": call, "kind": "stall", "seconds": 3600, "client_id": client}
        httpx.post(f"{self._sandbox}/_sandbox/faults", json=fault, trust_env=False).raise_for_status()

    async def _stand(self, client: str) -> None:
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
    # Whoever stands inside a call, or waits for a reply that the sandbox keeps, must not be given up.
    http._TIMEOUT = http._ENCLAVE_TIMEOUT = httpx.Timeout(_STANDS_FOR.total_seconds())
    settings = load_settings()
    logs.configure(settings.log_level)
    with watching(Halts(points, settings.enclave_url).meet, Unhurried):
        asyncio.run(worker.serve(WorkerRole(role), settings))
