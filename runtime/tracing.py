"""Traces, where OpenTelemetry's own variables name a receiver; elsewhere nothing of it is imported.

A trace begins where an eject is started and goes on through Temporal's headers into every step of it. Spans
name workflows, steps and calls; they hold no input, no answer and no address of a request.
"""

import importlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from temporalio.client import Interceptor

from runtime.settings import SettingsError

if TYPE_CHECKING:
    from runtime.spans import Spans

RECEIVER = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
# A receiver that does not answer must not hold a command line, or the end of a worker.
_FLUSHED_WITHIN = 3.0


@dataclass
class CallSpan:
    """One call to Portal: `trace` is what Portal is told, `attributes` what the span says at its end."""

    trace: str
    attributes: dict[str, str | int] = field(default_factory=dict)
    failed: bool = False


def portal_id(trace: int) -> str:
    """A trace's id as Portal takes one: in the form of a random UUID.

    Traces that begin here have such an id, so that both are the same 32 digits. Of another's trace six bits
    are set to what the form asks for; then the spans' `portal.trace_id` leads back to it.
    """
    return str(uuid.UUID(int=trace, version=4)) if trace else str(uuid.uuid4())


def interceptors() -> list[Interceptor]:
    """What a client of Temporal traces with; its workers do too. None where nobody is to be told."""
    spans = _spans()
    return [spans.interceptor] if spans else []


@contextmanager
def portal_call(call: str) -> Iterator[CallSpan]:
    """A span round one call to Portal; without tracing only an id of its own for Portal."""
    spans = _spans()
    if spans is None:
        yield CallSpan(portal_id(0))
        return
    with spans.portal_call(call) as span:
        yield span


def here() -> dict[str, str]:
    """The ids of the trace and the span that a line is logged in."""
    spans = _spans() if _connected() else None
    return spans.here() if spans else {}


def flush() -> None:
    """Send what is not sent yet, before the process ends; given up after a few seconds."""
    if _connected() and (spans := _spans()):
        spans.flush(_FLUSHED_WITHIN)


def _connected() -> bool:
    """Whether this process has asked for its interceptors; before that it has no span to speak of."""
    return bool(_spans.cache_info().currsize)


@cache
def _spans() -> "Spans | None":
    if not any(os.environ.get(name) for name in RECEIVER):
        return None
    try:
        spans: Spans = importlib.import_module("runtime.spans").Spans()
    except ImportError:
        raise SettingsError(
            f"{RECEIVER[1]} is set, but traces are not installed: pip install 'eject[traces]', or unset it"
        ) from None
    return spans
