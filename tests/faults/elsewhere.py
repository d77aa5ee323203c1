"""Another place for one call: a transport that sends it where it really meets a fault."""

import asyncio
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import httpx
from temporalio import activity

from portal.pool import Pool
from portal.profiles import PROFILES
from tests.faults.table import CALLS

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
NOTICE = "notice"
_SOON = 0.3
"""Seconds."""


def _place(path: str) -> re.Pattern[str]:
    """What the path of a call may be, with whichever provider; only one call has any one path."""
    clients = "|".join(re.escape(profile.clients) for profile in PROFILES.values())
    return re.compile(".*" + re.sub(r"\{\w+\}", "[^/]+", path.replace("{clients}", f"({clients})")))


_PLACES = {name: (call.method, _place(call.path)) for name, call in CALLS.items()}


def name_of(request: httpx.Request) -> str:
    """Which call a request is; whatever is none of Portal's is a notice."""
    for name, (method, place) in _PLACES.items():
        if request.method == method and place.fullmatch(request.url.path):
            return name
    return NOTICE


@dataclass
class Elsewhere:
    """Servers of one test, each for one connection that does not behave; all end with the block."""

    over: asyncio.Event = field(default_factory=asyncio.Event)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _serving: list[asyncio.Task[None]] = field(default_factory=list)
    _shared: Pool | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()
        self.over.set()
        await asyncio.gather(*self._serving)

    async def serve(self, serve: Serve, tls: ssl.SSLContext | None = None, narrow: bool = False) -> str:
        """Serve so on a free port of loopback; `narrow` takes in next to nothing. Returns host and port."""

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._serving.append(asyncio.current_task())  # type: ignore[arg-type]
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                await serve(reader, writer)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

        listener = socket.create_server(("127.0.0.1", 0))
        if narrow:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        server = await asyncio.start_server(connected, sock=listener, ssl=tls)
        self._stack.callback(server.close)
        return f"127.0.0.1:{listener.getsockname()[1]}"

    def transport(self, most: int = 100) -> Pool:
        """The ordinary transport, as `portal_client` uses it."""
        made = Pool(httpx.create_ssl_context(trust_env=False), most=most)
        self._stack.push_async_callback(made.aclose)
        return made

    async def ask(self, request: httpx.Request, place: str, scheme: str = "http") -> httpx.Response:
        """Send the request to another place."""
        self._shared = self._shared or self.transport()
        return await self._shared.handle_async_request(moved(request, place, scheme))


def hasty(request: httpx.Request, phase: str) -> httpx.Request:
    """The same request, with a time-out of one phase that is soon over; the others stay the client's."""
    timeouts = {**request.extensions["timeout"], phase: _SOON}
    request.extensions = {**request.extensions, "timeout": timeouts}
    return request


def moved(request: httpx.Request, place: str, scheme: str = "http", **headers: str) -> httpx.Request:
    """The same request for another place."""
    host, _, port = place.partition(":")
    url = request.url.copy_with(scheme=scheme, host=host, port=int(port))
    sent = httpx.Headers(request.headers)
    sent.update(headers)
    return httpx.Request(
        request.method, url, headers=sent, stream=request.stream, extensions=request.extensions
    )


Act = Callable[[], Awaitable[bytes]]
Break = Callable[[Elsewhere, httpx.Request, Act], Awaitable[httpx.Response]]


def in_turn(plan: MutableMapping[str, Break], call: str, first: Break, *then: Break) -> None:
    """Plan that a call meets one fault each time that it is made."""

    async def meet(place: Elsewhere, request: httpx.Request, act: Act) -> httpx.Response:
        if then:
            in_turn(plan, call, *then)
        return await first(place, request, act)

    plan[call] = meet


@dataclass
class Diverting(httpx.AsyncBaseTransport):
    """Lets each call that `plan` names meet its fault once, and passes all others on.

    `made` holds each call with the step and the attempt that made it, where a step did.
    """

    inner: httpx.AsyncBaseTransport
    elsewhere: Elsewhere
    plan: MutableMapping[str, Break]
    made: list[tuple[str, str, int, str]] = field(default_factory=list)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it on, or elsewhere."""
        name = name_of(request)
        if activity.in_activity():
            info = activity.info()
            self.made.append((info.activity_type, str(info.started_time), info.attempt, name))
        broken = self.plan.pop(name, None)
        if broken is None:
            return await self.inner.handle_async_request(request)

        async def act() -> bytes:
            # With the client's own time-outs, so that a slow machine shows as what it is: a lost reply.
            reply = await self.inner.handle_async_request(request)
            try:
                return await reply.aread() or b'{"done": true}'
            finally:
                await reply.aclose()

        return await broken(self.elsewhere, request, act)

    async def aclose(self) -> None:
        """Let go of the connections."""
        await self.inner.aclose()
