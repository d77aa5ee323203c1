"""Drift: an open window or an ejected client at Portal that no eject of ours caused."""

from enum import StrEnum

from contracts.base import Id, Moment, Result

DRIFT_WORKFLOW = "DriftWatch"
# The schedule's id, and what its runs' ids begin with: no eject's, which all begin with `eject-`.
DRIFT_SCHEDULE = "drift-watch"


class DriftKind(StrEnum):
    """What Portal shows of a client."""

    WINDOW_OPEN = "window_open"
    EJECTED = "ejected"


class Sighting(Result):
    """One client with what no eject of ours explains; `at` is the window's close, or Portal's `ejectedAt`."""

    client_id: Id
    kind: DriftKind
    at: Moment


class Watch(Result):
    """One look at every client; who was ejected before `since` is known.

    The rest is where a look goes on that has become too long for one history; `known` is what the look before
    it found.
    """

    since: Moment
    cursor: Id | None = None
    seen: int = 0
    suspects: tuple[Sighting, ...] = ()
    more: int = 0
    known: tuple[Sighting, ...] | None = None


class WatchReport(Result):
    """What a look came to: how many clients it read, how many it found, and the first of those.

    `unsure` counts clients beyond these who looked suspicious at first and were not looked at again.
    """

    watched: Moment
    seen: int = 0
    found: int = 0
    findings: tuple[Sighting, ...] = ()
    unsure: int = 0


class WatchPage(Result):
    """Read one page of Portal's clients."""

    since: Moment
    cursor: Id | None = None


class PageWatched(Result):
    """How many clients were on it, who was suspicious, where the next page begins; None after the last."""

    seen: int = 0
    cursor: Id | None = None
    suspects: tuple[Sighting, ...] = ()


class LookAgain(Result):
    """Read one suspicious client once more."""

    client_id: Id
    since: Moment


class LookedAgain(Result):
    """What is still unexplained, if anything."""

    sighting: Sighting | None = None


class ReportDrift(Result):
    """Show what was found where people look."""

    report: WatchReport


class DriftReported(Result):
    """Whether there is a receiver of notices."""

    notices: bool = False
