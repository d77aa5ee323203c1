"""What a worker says of itself to whoever keeps it running: `GET /healthz` and `GET /readyz`."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus

from runtime.settings import SettingsError

# Who asks has asked within this, or is let go.
_SECONDS = 5
_LONGEST_REQUEST = 8 * 1024


@dataclass
class Health:
    """`ready` while the worker serves its queues: not before that, and not while it drains."""

    ready: bool = False

    def answer(self, request: bytes) -> tuple[HTTPStatus, str]:
        """What is answered to the first line of a request."""
        match request.split():
            case [b"GET", b"/healthz", _]:
                return HTTPStatus.OK, "alive"  # whoever reads this had the event loop's turn
            case [b"GET", b"/readyz", _] if self.ready:
                return HTTPStatus.OK, "serving"
            case [b"GET", b"/readyz", _]:
                return HTTPStatus.SERVICE_UNAVAILABLE, "not serving"
        return HTTPStatus.NOT_FOUND, "ask for /healthz or /readyz"


@asynccontextmanager
async def answering(address: str | None) -> AsyncIterator[Health]:
    """Answer at `ip:port` as long as the block lasts; with None, nowhere.

    `SettingsError` where nothing can listen there.
    """
    health = Health()
    if address is None:
        yield health
        return

    async def answer(reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(_SECONDS):
                request = await reader.readuntil(b"\r\n\r\n")
                status, told = health.answer(request.partition(b"\r\n")[0])
                head = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: text/plain\r\n"
                size = f"Content-Length: {len(told)}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
                writer.write(f"{head}{size}{told}".encode())
                await writer.drain()
        writer.close()

    host, _, port = address.rpartition(":")
    try:
        server = await asyncio.start_server(answer, host.strip("[]"), int(port), limit=_LONGEST_REQUEST)
    except (OSError, OverflowError):
        raise SettingsError(
            f"EJECT_HEALTH_ADDRESS {address} cannot be listened at: name a free ip:port of this machine"
        ) from None
    async with server:
        yield health
