"""Replies that do not arrive as they should: late, in part, byte by byte, or without end."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

_CHUNK = b" " * 65536


async def pause(scope: Scope, seconds: float) -> None:
    """Wait, but not longer than the sandbox serves."""
    stopping: asyncio.Event = scope.get("state", {}).get("stopping") or asyncio.Event()
    with suppress(TimeoutError):
        await asyncio.wait_for(stopping.wait(), seconds)


class Stalled(Response):
    """A reply that comes late."""

    def __init__(self, reply: Response, seconds: float) -> None:
        super().__init__(status_code=reply.status_code)
        self._reply, self._seconds = reply, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait, then answer."""
        await pause(scope, self._seconds)
        await self._reply(scope, receive, send)


class Cut(Response):
    """A reply whose connection is closed in the middle of its body, or, where it has none, of its head."""

    def __init__(self, reply: Response) -> None:
        super().__init__(status_code=reply.status_code)
        self._reply = reply

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Announce the whole, send half, and close the connection as `drop` does."""
        abort: Callable[[], None] | None = scope.get("state", {}).get("abort")
        if abort is None:
            raise ConnectionResetError("reply cut")  # served in process, there is no connection
        body = bytes(self._reply.body) or b"{}"
        headers = [(name, value) for name, value in self._reply.raw_headers if name != b"content-length"]
        headers.append((b"content-length", str(len(body)).encode()))
        # A reply that has no body by its status could not be cut in it.
        status = self._reply.status_code if self._reply.body else 200
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        abort()
        await receive()


class Dripping(StreamingResponse):
    """A reply of which one byte comes at a time, with a pause after each."""

    def __init__(self, reply: Response, seconds: float) -> None:
        self._scope: Scope = {}
        super().__init__(self._drops(bytes(reply.body) or b"{}", seconds), reply.status_code)
        self.raw_headers = [(name, value) for name, value in reply.raw_headers if name != b"content-length"]
        if not reply.body:
            self.status_code = 200

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer until all has come, or nobody listens any more."""
        self._scope = scope
        await super().__call__(scope, receive, send)

    async def _drops(self, body: bytes, seconds: float) -> AsyncIterator[bytes]:
        for position in range(len(body)):
            yield body[position : position + 1]
            await pause(self._scope, seconds)


def huge(reply: Response, size: int) -> Response:
    """A reply filled up with spaces, which are still JSON, to so many bytes; never held as a whole."""

    async def body() -> AsyncIterator[bytes]:
        text = bytes(reply.body) or b"{}"
        yield text
        left = size - len(text)
        while left > 0:
            yield _CHUNK[:left]
            left -= len(_CHUNK)

    answer = StreamingResponse(body(), reply.status_code if reply.body else 200)
    answer.raw_headers = [(name, value) for name, value in reply.raw_headers if name != b"content-length"]
    return answer
