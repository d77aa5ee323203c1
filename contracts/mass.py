"""The exit of many clients at once: its list, how far it is, and what may be said to it."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field, StringConstraints

from contracts.base import Digest, Id, Moment, Result
from contracts.request import EjectRequest

MASS_WORKFLOW = "MassExit"

PAGE = 100
"""Requests in one file of the list."""

# More at once would only wait in the queues; a run has fewer children than the 2,000 that Temporal allows.
MOST_AT_ONCE = 500
# Whoever has more troubles than people read has one cause to find, and a number.
MOST_TROUBLES = 20

MassName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,40}$")]
"""What a mass exit is called; safe as a folder and in a workflow id."""


class MassList(Result):
    """What lies in the vault beside the pages of a list: how many requests, and each page's SHA-256."""

    count: int = Field(ge=1)
    pages: tuple[Digest, ...]


class MassPage(Result):
    """One page of a list."""

    requests: tuple[EjectRequest, ...]


class Pause(Result):
    """Who has stopped the starting of ejects or ended the mass exit, why, and since when; asserted."""

    by: str
    why: str
    since: Moment


class Trouble(Result):
    """A client whose eject does not go on by itself: its stage, or how its run ended, and the reason."""

    client_id: Id
    stage: str
    reason: str = ""


class Look(Result):
    """What Temporal shows of the ejects of one mass exit; its lists lag behind by a moment.

    `at_work` counts all ejects between their start and `awaiting_claim`, whoever started them, but for those
    that stand in one stage for long; no more than `at_once` are to be. `per_minute` is how many ejects
    Portal's budgets let through. `stages` has those that run, `ends` those that Temporal still shows after
    their end, `broken` the failed and terminated ones.
    """

    at: Moment
    at_work: int = 0
    at_once: int = 1
    per_minute: float = 0
    stages: dict[str, int] = Field(default_factory=dict)
    ends: dict[str, int] = Field(default_factory=dict)
    broken: int = 0
    troubles: tuple[Trouble, ...] = ()


class Started(Result):
    """How many ejects were started in the five minutes that began `at`."""

    at: Moment
    count: int


class MassProgress(Result):
    """How far a mass exit is, which a new run goes on from; it does not grow with the list.

    The first `next` requests have had their turn: `started`, `joined` where the same eject ran already, or
    `differing` where one with another request did, the first of them in `troubles`. `idle` counts the looks
    in a row that found no eject running.
    """

    began: Moment | None = None
    next: int = 0
    started: int = 0
    joined: int = 0
    differing: int = 0
    troubles: tuple[Trouble, ...] = ()
    recent: tuple[Started, ...] = ()
    paused: Pause | None = None
    ended: Pause | None = None
    look: Look | None = None
    idle: int = 0


class MassExitRequest(Result):
    """The input of a mass exit: the list in the vault by its name and SHA-256, and its pace.

    `at_once` is how many ejects may be at work at once, unset as many as Portal's budgets let through in
    three minutes. `progress` is where a run goes on whose history has become too long.
    """

    name: MassName
    digest: Digest
    count: int = Field(ge=1)
    at_once: int | None = Field(default=None, ge=1, le=MOST_AT_ONCE)
    look_every: timedelta = Field(default=timedelta(seconds=30), ge=timedelta(seconds=0.1))
    starts_in_a_run: int = Field(default=500, ge=1, le=1000)
    progress: MassProgress = MassProgress()


class MassStatus(Result):
    """Where a mass exit is: the answer to the query `status`, and its result.

    `not_started` have had no turn yet. `waiting` is how many ejects await people, `in_trouble` how many are
    parked, broken or `differing`, the first of them in `troubles`. `rate` is how many have had their turn in
    the last hour. `starting_ends` is when the last will be started, as it goes now, and `bound` what that
    depends on.
    """

    name: str
    count: int
    not_started: int
    started: int
    joined: int
    differing: int
    stages: dict[str, int] = Field(default_factory=dict)
    ends: dict[str, int] = Field(default_factory=dict)
    waiting: int = 0
    in_trouble: int = 0
    troubles: tuple[Trouble, ...] = ()
    looked: Moment | None = None
    rate: int = 0
    starting_ends: Moment | None = None
    bound: str = ""
    paused: Pause | None = None
    ended: Pause | None = None
    over: bool = False


class LookAtEjects(Result):
    """Count the ejects of a mass exit, with so long between two questions to Temporal's lists."""

    name: MassName
    at_once: int | None = None
    pace: timedelta = timedelta(0)


class ReadRequests(Result):
    """Read requests of a list from a position on, counted from 0: some, at most `most`, of one page."""

    name: MassName
    digest: Digest
    position: int
    most: int


class RequestsRead(Result):
    """Those requests, at least one."""

    requests: tuple[EjectRequest, ...] = Field(min_length=1)


class CompareRequest(Result):
    """Compare a request with that of the client's latest eject."""

    request: EjectRequest


class RequestCompared(Result):
    """The names of the fields in which they differ."""

    differing: tuple[str, ...] = ()
