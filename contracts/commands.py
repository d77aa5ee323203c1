"""What a person may tell a running eject; who gives a command and why stands in history and receipt."""

from datetime import timedelta
from typing import Literal

from pydantic import field_validator

from contracts.base import Message, Moment, Result, Words
from contracts.stages import Stage
from contracts.window import bounded

CommandName = Literal["cancel", "resolve close", "extend", "retry", "native cancel", "native cancel ignored"]


class Command(Message):
    """Who gives a command, and why; both are asserted by the caller."""

    by: Words
    why: Words


class Cancel(Command):
    """End the eject before the bundle was claimed."""


class Resolve(Command):
    """Decide over an eject whose bundle was claimed and that will not be proven: `close` ends it."""

    outcome: Literal["close"] = "close"


class Extend(Command):
    """Move the close of the window to `window` from now, or open it once more; 10 minutes to 30 days."""

    window: timedelta

    _bounded = field_validator("window")(bounded)


class Taken(Result):
    """The answer to `cancel` and `resolve`: the command was taken, and the eject is at this stage."""

    stage: Stage


class Extended(Result):
    """When the window closes now; None while it is still being opened, which `status` then tells."""

    window_closes: Moment | None = None


class Commanded(Result):
    """A command as the receipt tells it; a native cancellation that was refused is told as `ignored`."""

    command: CommandName
    at: Moment
    by: str
    why: str
