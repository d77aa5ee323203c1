"""A receiver of traces, as OpenTelemetry's exporters speak to one (OTLP over HTTP)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SentSpan

from runtime.development import free_port
from tests.harness.world import PATIENCE


@dataclass(frozen=True)
class Span:
    """One span as it was received; ids are hex, `failed` is its status."""

    name: str
    trace: str
    id: str
    parent: str
    failed: bool
    attributes: dict[str, str]


@dataclass
class Receiver:
    """Everything that was received, in order; `raw` as it came over the wire."""

    port: int = field(default_factory=free_port)
    spans: list[Span] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def environment(self) -> dict[str, str]:
        """The standard's own variables, with which a process sends its spans here at once."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.port}",
            "OTEL_BSP_SCHEDULE_DELAY": "50",
        }

    async def until(self, *names: str) -> None:
        """Wait until a span of each of these names was received."""
        async with asyncio.timeout(PATIENCE), self.changed:
            await self.changed.wait_for(lambda: {span.name for span in self.spans} >= set(names))

    def called(self, name: str) -> list[Span]:
        """The spans of one name."""
        return [span for span in self.spans if span.name == name]

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Receiver"]:
        """Take spans until the block ends."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().lower().split("\r\n")
                (length,) = [line.partition(":")[2] for line in lines if line.startswith("content-length:")]
                body = await reader.readexactly(int(length))
                async with self.changed:
                    self.raw += [head, body]
                    self.spans += _spans(ExportTraceServiceRequest.FromString(body))
                    self.changed.notify_all()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the sender has ended
        finally:
            writer.close()


def _spans(request: ExportTraceServiceRequest) -> list[Span]:
    return [
        _span(span)
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def _span(sent: SentSpan) -> Span:
    return Span(
        name=sent.name,
        trace=sent.trace_id.hex(),
        id=sent.span_id.hex(),
        parent=sent.parent_span_id.hex(),
        failed=sent.status.code == 2,
        attributes={
            pair.key: pair.value.string_value or str(pair.value.int_value) for pair in sent.attributes
        },
    )
