"""A pool of connections that costs the same however many there are."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable

import httpx


class Pool(httpx.AsyncBaseTransport):
    """Transports of one connection each; the one that was used last is used next.

    httpx's own pool walks over all its connections at the beginning and at the end of every call, and asks
    each idle one whether it still stands, which under load costs more than the call (docs/performance.md).
    """

    def __init__(self, verify: ssl.SSLContext, *, most: int = 100) -> None:
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)
        self._all = [httpx.AsyncHTTPTransport(verify, limits=limits, trust_env=False) for _ in range(most)]
        self._free: asyncio.LifoQueue[httpx.AsyncHTTPTransport] = asyncio.LifoQueue()
        for one in self._all:
            self._free.put_nowait(one)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send on a free connection; `PoolTimeout` where none comes free in time."""
        try:
            async with asyncio.timeout(request.extensions.get("timeout", {}).get("pool")):
                taken = await self._free.get()
        except TimeoutError:
            raise httpx.PoolTimeout("no connection came free", request=request) from None
        try:
            response = await taken.handle_async_request(request)
        except BaseException:
            self._free.put_nowait(taken)
            raise
        assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101 (what the transport answers)
        response.stream = _Lent(response.stream, lambda: self._free.put_nowait(taken))
        return response

    async def aclose(self) -> None:
        """Close every connection."""
        for one in self._all:
            await one.aclose()


class _Lent(httpx.AsyncByteStream):
    """A body whose connection goes back once, when it is closed."""

    def __init__(self, body: httpx.AsyncByteStream, give_back: Callable[[], None]) -> None:
        self._body = body
        self._give_back: Callable[[], None] | None = give_back

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._body:
            yield part

    async def aclose(self) -> None:
        try:
            await self._body.aclose()
        finally:
            if self._give_back is not None:
                give_back, self._give_back = self._give_back, None
                give_back()
