"""Serving the sandbox on this machine: one socket, one line when it is ready, a quick clean end."""

import asyncio
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

HOST = "127.0.0.1"
_IDLE_SECONDS = 75  # longer than HTTP clients keep idle connections, so that none closes under a new request


class Protocol(H11Protocol):
    """HTTP as uvicorn speaks it, with a handle by which a reply can be dropped for real."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Put `abort` where the app finds it: in the scope's `state`."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, "abort": transport.abort}


class Server(uvicorn.Server):
    """A server that says when it really accepts connections, and ends without waiting for delayed calls."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready
        self._stopping = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen, then say so."""
        self.lifespan.state["stopping"] = self._stopping
        await super().startup(sockets=sockets)
        if self.started:
            self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Cut delays short, then end."""
        self._stopping.set()
        await super().shutdown(sockets=sockets)


def bind(port: int) -> socket.socket:
    """Take a port of the loopback address; 0 takes a free one."""
    # asyncio turns Nagle's delay off only where the protocol is named: without it each reply waits 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
    except BaseException:
        listener.close()
        raise
    return listener


def make_server(app: ASGIApp, ready: Callable[[], None], log_level: str) -> Server:
    """A server that is not serving yet; `run(sockets=[listener])` serves, also in a thread."""
    config = uvicorn.Config(
        app,
        http=Protocol,
        ws="none",
        lifespan="off",
        proxy_headers=False,
        server_header=False,
        log_config=None,
        log_level=log_level,
        access_log=log_level == "debug",
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=1,
    )
    return Server(config, ready)


def run(app: ASGIApp, listener: socket.socket, ready: Callable[[], None], log_level: str) -> None:
    """Serve until SIGTERM or SIGINT."""
    # uvicorn takes both signals while it serves and raises them again when it has ended; here an end that
    # was asked for is a success.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    make_server(app, ready, log_level).run(sockets=[listener])


def _leave(*_: Any) -> None:
    sys.exit(0)
