"""Spans by OpenTelemetry; imported only where traces are wanted and installed (`runtime.tracing`)."""

import logging
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from temporalio.contrib.opentelemetry import TracingInterceptor

from runtime.tracing import CallSpan, portal_id

_NAME = "eject"

# A receiver that is away is told where there is a log, and not between the words of a command line.
logging.getLogger("opentelemetry").addHandler(logging.NullHandler())


class _Ids(RandomIdGenerator):
    """Traces that begin here have a random UUID for an id, which Portal takes as it is."""

    def generate_trace_id(self) -> int:
        return uuid.uuid4().int


class Spans:
    """What a process makes its spans with; the standard's own variables say where they go."""

    def __init__(self) -> None:
        named = SERVICE_NAME in OTELResourceDetector().detect().attributes
        self._provider = TracerProvider(
            # It could wait for minutes at the exit; a process ends with `flush`.
            shutdown_on_exit=False,
            resource=Resource.create({} if named else {SERVICE_NAME: _NAME}),
            id_generator=_Ids(),
        )
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer(_NAME)
        self.interceptor = TracingInterceptor(self._tracer)
        # Without baggage, which could be any text and would lie in history in the clear.
        self.interceptor.text_map_propagator = TraceContextTextMapPropagator()

    @contextmanager
    def portal_call(self, call: str) -> Iterator[CallSpan]:
        """A span round one call to Portal. It holds no text of an error and no address."""
        with self._tracer.start_as_current_span(
            f"Portal:{call}", kind=SpanKind.CLIENT, record_exception=False, set_status_on_exception=False
        ) as span:
            told = CallSpan(portal_id(span.get_span_context().trace_id))
            try:
                yield told
            finally:
                span.set_attributes({"portal.trace_id": told.trace, **told.attributes})
                if told.failed:
                    span.set_status(StatusCode.ERROR)

    def here(self) -> dict[str, str]:
        """The ids of the span that surrounds this."""
        context = trace.get_current_span().get_span_context()
        if not context.is_valid:
            return {}
        return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}

    def flush(self, within: float) -> None:
        """Send what is not sent yet, for so many seconds at most."""
        # A flush does not keep to its own time-out while the exporter tries again.
        sending = threading.Thread(target=self._provider.force_flush, daemon=True)
        sending.start()
        sending.join(within)
