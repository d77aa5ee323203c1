"""The arithmetic of the ejectable window: every margin, with its reason."""

from datetime import datetime, timedelta

SHORTEST = timedelta(minutes=10)
LONGEST = timedelta(days=30)

# Portal refuses a deadline less than a minute ahead; the rest is for the call's own way there.
ENABLE_MARGIN = timedelta(seconds=90)
# A share fetched any later could arrive after the close.
FETCH_MARGIN = timedelta(seconds=30)
# An owner who claims any later could not read the files before they are destroyed.
CLAIM_MARGIN = timedelta(minutes=2)
# Portal has no call to close a window: the way is to set the nearest deadline that it takes.
SHRINK_TO = timedelta(seconds=90)
# What an eject that ended early leaves open, and twice that: too short for anybody to do anything about it.
CLOSES_ANYWAY = 2 * SHRINK_TO
# A claim that came before the close gets this long to finish its copy.
RELEASE_GRACE = timedelta(seconds=30)


def bounded(window: timedelta) -> timedelta:
    """A window as it may be asked for; ValueError otherwise."""
    if not SHORTEST <= window <= LONGEST:
        raise ValueError("must be from 10 minutes (PT10M) to 30 days (P30D)")
    return window


def aged(until: datetime, now: datetime) -> bool:
    """Whether a deadline has come too near to be asked of Portal."""
    return until - now < ENABLE_MARGIN


def may_fetch(not_after: datetime, now: datetime) -> bool:
    """Whether a share may still be fetched."""
    return not_after - now >= FETCH_MARGIN


def may_claim(closes: datetime, now: datetime) -> bool:
    """Whether the bundle may still be claimed."""
    return closes - now >= CLAIM_MARGIN
