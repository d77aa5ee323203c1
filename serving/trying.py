"""One check of `worker.py --check`: bounded, and whatever comes of it is one line."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from enum import StrEnum

from temporalio.service import RPCError

from activities.errors import unexpected
from contracts.failures import StepError
from custody.probing import VaultUnfitError
from runtime.codec import CodecError
from runtime.settings import SettingsError
from runtime.temporal import TemporalUnreachableError

# Seconds that one check may take.
WITHIN = 10.0


class Level(StrEnum):
    """How much a line matters; only `FAIL` keeps a worker from its work."""

    OK = "ok"
    WARN = "warn"
    SKIP = "skip"
    FAIL = "FAIL"


@dataclass(frozen=True)
class Found:
    """What came of one check, in one sentence without a secret."""

    level: Level
    check: str
    told: str

    def __str__(self) -> str:
        return f"{self.level:<4} {self.check}: {self.told}"


class UnfitError(Exception):
    """A check found what must be mended; the text is one sentence that says what to do."""


class DoubtError(Exception):
    """A check found what somebody should look at; a worker can serve all the same."""


async def tried(check: str, work: Awaitable[str]) -> Found:
    """Wait for a check: what it returns is fine, what it raises is told."""
    try:
        async with asyncio.timeout(WITHIN):
            return Found(Level.OK, check, await work)
    except DoubtError as error:
        return Found(Level.WARN, check, str(error))
    except TimeoutError:
        told = f"no answer within {WITHIN:.0f} s: see that it can be reached from here"
    except StepError as error:
        told = error.sentence
    except RPCError as error:
        told = f"Temporal refuses this: {error.message}"
    except (UnfitError, VaultUnfitError, SettingsError, TemporalUnreachableError, CodecError) as error:
        told = str(error)
    except Exception as error:
        told = unexpected(error).sentence
    return Found(Level.FAIL, check, told)
