"""Who looks on while Portal is called, for metrics and traces, of which this room knows nothing."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from contracts.failures import Failure


@dataclass
class Exchange:
    """One call as it goes: its name, the id by which Portal can find it, and what it came to.

    With neither an answer nor a failure it was given up, or met a defect of ours.
    """

    call: str
    trace: str
    status: int | None = None
    answered: bool = False
    failure: Failure | None = None


Watcher = Callable[[str], AbstractContextManager[Exchange]]
"""Told of a call by its name; lasts as long as the call, and gives it its trace id, a random UUID in form."""


@contextmanager
def _nobody(call: str) -> Iterator[Exchange]:
    yield Exchange(call, str(uuid.uuid4()))


watcher: ContextVar[Watcher] = ContextVar("watcher", default=_nobody)
