"""How each fault of the table is made: on real sockets, by real errors."""

import asyncio
import json
import socket
import struct
import tempfile
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import httpx

from runtime.development import free_port
from tests.faults.elsewhere import Act, Break, Elsewhere, hasty, moved
from tests.harness.tls import untrusted

SECRET = "Zq7planted0share1that2nobody3may4see"  # noqa: S105 (planted to be looked for)
BODY = 100_000_000
_CHUNK = b"x" * 65536
_PAUSE = 0.1
# So many drips take longer than any bound of these tests, and still end, so that a missing bound shows.
_DRIPS = 60
_PADDING = 8_000_000

Serving = Callable[[bytes, asyncio.StreamReader, asyncio.StreamWriter, asyncio.Event], Awaitable[None]]


def _head(status: str, length: int | None, *more: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", *more, "Content-Type: application/json", "Connection: close"]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode()


def _replied(serving: Serving, *, done: bool = True) -> Break:
    """The call is done (or not) as always, and its reply is what a server of this kind makes of it."""

    async def meet(place: Elsewhere, request: httpx.Request, act: Act) -> httpx.Response:
        good = await act() if done else b"{}"

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            for line in head.lower().split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    await reader.readexactly(int(line.partition(b":")[2]))
            await serving(good, reader, writer, place.over)

        return await place.ask(request, await place.serve(serve))

    return meet


def _answered(
    change: Callable[[bytes], bytes], status: str = "200 OK", *more: str, done: bool = True
) -> Break:
    """A whole reply, made from the right body."""

    async def serving(
        good: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _over: asyncio.Event
    ) -> None:
        body = change(good)
        writer.write(_head(status, len(body), *more) + body)
        await writer.drain()

    return _replied(serving, done=done)


def _said(text: bytes | Callable[[bytes], bytes], *, done: bool = True) -> Break:
    """These very bytes, and then the end of the connection."""

    async def serving(
        good: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _over: asyncio.Event
    ) -> None:
        writer.write(text if isinstance(text, bytes) else text(good))
        await writer.drain()

    return _replied(serving, done=done)


def _endless(first: bytes, again: bytes, most: int = 10 * BODY, *, done: bool = True) -> Break:
    """The same again and again, until nobody takes it any more."""

    async def serving(
        _good: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter, over: asyncio.Event
    ) -> None:
        writer.write(first)
        sent = 0
        while sent < most and not over.is_set():
            writer.write(again)
            await writer.drain()
            sent += len(again)

    return _replied(serving, done=done)


def _dripped(before: bytes, drip: bytes, after: Callable[[bytes], bytes]) -> Break:
    async def serving(
        good: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter, over: asyncio.Event
    ) -> None:
        writer.write(before)
        for _ in range(_DRIPS):
            writer.write(drip)
            await writer.drain()
            if await _is_over(over, _PAUSE):
                return
        writer.write(after(good))
        await writer.drain()

    return _replied(serving)


async def _is_over(over: asyncio.Event, seconds: float) -> bool:
    try:
        await asyncio.wait_for(over.wait(), seconds)
    except TimeoutError:
        return False
    return True


async def _silent(place: Elsewhere, request: httpx.Request, act: Act) -> httpx.Response:
    await act()
    return await place.ask(hasty(request, "read"), await place.serve(_stands(place)))


async def _reset(
    _good: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _over: asyncio.Event
) -> None:
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


async def _refused(place: Elsewhere, request: httpx.Request, _act: Act) -> httpx.Response:
    return await place.ask(request, f"127.0.0.1:{free_port()}")


async def _unknown(place: Elsewhere, request: httpx.Request, _act: Act) -> httpx.Response:
    return await place.ask(request, "nowhere.invalid:443", "https")


async def _plain(place: Elsewhere, request: httpx.Request, _act: Act) -> httpx.Response:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")

    return await place.ask(request, await place.serve(serve), "https")


async def _untrusted(place: Elsewhere, request: httpx.Request, _act: Act) -> httpx.Response:
    async def serve(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read(1)

    with tempfile.TemporaryDirectory() as folder:
        tls = untrusted(Path(folder))
    return await place.ask(request, await place.serve(serve, tls), "https")


def _stands(place: Elsewhere) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def serve(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await place.over.wait()

    return serve


async def _handshake(place: Elsewhere, request: httpx.Request, _act: Act) -> httpx.Response:
    return await place.ask(hasty(request, "connect"), await place.serve(_stands(place)), "https")


async def _unread(place: Elsewhere, request: httpx.Request, _act: Act) -> httpx.Response:
    """More than the buffers between take in, for a server that reads nothing."""
    where = await place.serve(_stands(place), narrow=True)
    request = moved(hasty(request, "write"), where, padding="x" * _PADDING)
    return await place.transport().handle_async_request(request)


async def _busy(place: Elsewhere, request: httpx.Request, _act: Act) -> httpx.Response:
    """The only connection is taken by a reply that is still being read."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(_head("200 OK", 10))
        await place.over.wait()

    only = place.transport(most=1)
    where = await place.serve(serve)
    taken = await only.handle_async_request(httpx.Request("GET", f"http://{where}/"))
    try:
        return await only.handle_async_request(moved(hasty(request, "pool"), where))
    finally:
        await taken.aclose()


def _wrong_types(good: bytes) -> bytes:
    return json.dumps({name: [SECRET] for name in json.loads(good)}).encode()


def _extra(good: bytes) -> bytes:
    body = json.loads(good)
    return json.dumps({"new": {"deep": [SECRET]}, **body, "later": SECRET}).encode()


def _soon(_good: bytes) -> bytes:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=8), usegmt=True)
    return _head("429 Slow Down", 0, f"Retry-After: {soon}")


def _page(_good: bytes) -> bytes:
    return f"<html>{SECRET}</html>".encode()


def _same(good: bytes) -> bytes:
    return good


def _half(good: bytes) -> bytes:
    return good[: len(good) // 2]


_REFUSAL = json.dumps({"error": SECRET}).encode()
_CHUNKED = "Transfer-Encoding: chunked"

BREAKS: dict[str, Break] = {
    "refused": _refused,
    "unknown host": _unknown,
    "plain": _plain,
    "untrusted": _untrusted,
    "connect timeout": _handshake,
    "pool timeout": _busy,
    "write timeout": _unread,
    "read timeout": _silent,
    "dropped": _said(b""),
    "reset": _replied(_reset),
    "cut": _said(lambda good: _head("200 OK", len(good)) + _half(good)),
    "cut chunks": _said(
        lambda good: _head("200 OK", None, _CHUNKED) + f"{len(good):x}\r\n".encode() + good + b"\r\n"
    ),
    "cut JSON": _answered(_half),
    "page": _answered(_page, done=False),
    "drip": _dripped(_head("200 OK", None), b" ", _same),
    "head drip": _dripped(
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nX-Slow: ",
        b"x",
        lambda good: f"\r\nContent-Length: {len(good)}\r\n\r\n".encode() + good,
    ),
    "head flood": _endless(b"HTTP/1.1 200 OK\r\n", f"X-More: {SECRET}\r\n".encode() * 1000),
    "1xx drip": _dripped(
        b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", lambda good: _head("200 OK", len(good)) + good
    ),
    "no HTTP": _said(f"{SECRET} is no HTTP\r\n\r\n".encode()),
    "switch": _said(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
    "500": _answered(lambda _: _REFUSAL, "500 Oh", done=False),
    "503 huge": _endless(_head("503 Busy", BODY), _CHUNK, BODY, done=False),
    "503 compressed": _answered(lambda _: _REFUSAL, "503 Busy", "Content-Encoding: gzip", done=False),
    "429 seconds": _answered(lambda _: _REFUSAL, "429 Slow Down", "Retry-After: 7", done=False),
    "429 date": _said(_soon, done=False),
    "redirect": _answered(
        lambda _: b"", "307 Moved", f"Location: http://nowhere.invalid/{SECRET}", done=False
    ),
    "huge": _endless(_head("200 OK", BODY), _CHUNK, BODY),
    "huge chunks": _endless(
        _head("200 OK", None, _CHUNKED), f"{len(_CHUNK):x}\r\n".encode() + _CHUNK + b"\r\n", BODY
    ),
    "compressed": _answered(_same, "200 OK", "Content-Encoding: gzip"),
    "wrong types": _answered(_wrong_types),
    "missing fields": _answered(lambda _: b"{}"),
    "204": _said(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"),
    "extra fields": _answered(_extra),
    "hints": _said(
        lambda good: b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + _head("200 OK", len(good)) + good
    ),
}
