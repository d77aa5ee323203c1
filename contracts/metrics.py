"""The metrics of our own: their names, labels and buckets. No label names a client, a wallet or an eject.

They go through the SDK's own meter, so that one address shows all of a worker. Counters are shown from a
worker's start on, at nought: Prometheus sees no increase in a series that begins with its first event.
"""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What Prometheus calls it."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Outcome(StrEnum):
    """What one call to Portal came to."""

    OK = "ok"
    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"
    LOST = "lost"
    CREDENTIAL_REJECTED = "credential_rejected"
    REFUSED = "refused"
    UNREADABLE = "unreadable"
    GIVEN_UP = "given_up"


class Refused(StrEnum):
    """Why a proof was refused: before it was taken, or because it does not prove the key."""

    FORM = "form"
    WRONG = "wrong"


@dataclass(frozen=True)
class Metric:
    """One metric as our code names it; `buckets` of a histogram are upper bounds in seconds."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    meaning: str
    buckets: tuple[float, ...] = ()

    @property
    def shown(self) -> str:
        """Its name at the metrics' address; a histogram's series add `_bucket`, `_sum` and `_count`."""
        suffixes = {Kind.COUNTER: "_total", Kind.GAUGE: "", Kind.HISTOGRAM: "_seconds"}
        return self.name + suffixes[self.kind]


_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0

RUNNING = Metric("eject_running", Kind.GAUGE, ("stage",), "Running ejects by stage")
RUNNING_LONGER = Metric(
    "eject_running_longer",
    Kind.GAUGE,
    ("stage", "than"),
    "Running ejects that have been in their stage for longer than so long",
)
WINDOW_CLOSING = Metric(
    "eject_window_closing",
    Kind.GAUGE,
    ("stage", "within"),
    "Running ejects whose window closes within so long, or has closed",
)
WATCHED = Metric(
    "eject_watched_timestamp_seconds",
    Kind.GAUGE,
    (),
    "When a worker last read all of the figures above, as Unix time",
)
DRIFT_FINDINGS = Metric(
    "eject_drift_findings",
    Kind.GAUGE,
    (),
    "Clients in a state that no eject of ours caused, or too many to look twice, at the last look",
)
DRIFT_WATCHED = Metric(
    "eject_drift_watched_timestamp_seconds",
    Kind.GAUGE,
    (),
    "When this worker last ended a look at all clients, as Unix time",
)
STAGE_DURATION = Metric(
    "eject_stage_duration",
    Kind.HISTOGRAM,
    ("stage",),
    "How long an eject was in a stage, once it leaves it",
    (1, 5, 15, _MINUTE, 5 * _MINUTE, 15 * _MINUTE, _HOUR, 6 * _HOUR, _DAY, 3 * _DAY, 7 * _DAY, 30 * _DAY),
)
ENDED = Metric("eject_ended", Kind.COUNTER, ("end",), "Ejects that ended, by how")
PARKED = Metric("eject_parked", Kind.COUNTER, ("step", "failure"), "Parks, by step and failure")
PROOFS_REFUSED = Metric("eject_proofs_refused", Kind.COUNTER, ("reason",), "Proofs that were refused")
ATTEMPTS_FAILED = Metric(
    "eject_attempts_failed", Kind.COUNTER, ("step",), "Attempts at a step that failed, retried or not"
)
PORTAL_CALLS = Metric("eject_portal_calls", Kind.COUNTER, ("call", "outcome"), "Calls to Portal")
PORTAL_CALL_DURATION = Metric(
    "eject_portal_call_duration",
    Kind.HISTOGRAM,
    ("call",),
    "How long a call to Portal took, whatever it came to",
    (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 45, 90, 120),
)

ALL = (
    RUNNING,
    RUNNING_LONGER,
    WINDOW_CLOSING,
    WATCHED,
    DRIFT_FINDINGS,
    DRIFT_WATCHED,
    STAGE_DURATION,
    ENDED,
    PARKED,
    PROOFS_REFUSED,
    ATTEMPTS_FAILED,
    PORTAL_CALLS,
    PORTAL_CALL_DURATION,
)
