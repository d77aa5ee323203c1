"""A park: where an eject stands still until a person has mended something, and the command that goes on."""

from enum import StrEnum

from pydantic import Field

from contracts.base import Moment, Result
from contracts.commands import Command
from contracts.failures import Failure
from contracts.stages import Stage


class Park(Result):
    """One halt: which (counted from 1), at which stage and step, why, what mends it, since when."""

    number: int
    stage: Stage
    step: str
    failure: Failure
    reason: str
    mend: str
    since: Moment


class Retry(Command):
    """Run the parked step again; `park` names the halt that the operator has read about."""

    park: int = Field(ge=1)


class RetryOutcome(StrEnum):
    """What became of the step: done, parked again, still being tried, or no longer needed."""

    DONE = "done"
    PARKED = "parked"
    RUNNING = "running"
    ABANDONED = "abandoned"


class RetryAnswer(Result):
    """The answer to a retry; `park` is the new halt when the step parked again."""

    outcome: RetryOutcome
    park: Park | None = None
