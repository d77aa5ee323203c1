"""The one place that speaks HTTP: what goes out on each call, and what a broken line means."""

import asyncio
import json
import socket
import struct
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

import httpx
import pytest
from pydantic import SecretStr

from contracts.failures import Failure, StepError
from portal import calls
from portal.client import ClientApi
from portal.custodian import CustodianApi
from portal.http import LARGEST_REPLY, portal_client, send
from runtime.development import free_port
from tests.device.bundles import leaked
from tests.unit.fakes import CLIENT_TOKEN, CUSTODIAN_KEY, NOW
from tests.unit.lines import LINES

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def apis(
    answer: Callable[[httpx.Request], httpx.Response],
) -> AsyncIterator[tuple[CustodianApi, ClientApi]]:
    """Both APIs over one transport, at the hosts of their own."""
    transport = httpx.MockTransport(answer)
    async with (
        httpx.AsyncClient(base_url="https://api.portal.test/api/v3", transport=transport) as http,
        httpx.AsyncClient(base_url="https://enclave.portal.test", transport=transport) as enclave,
    ):
        yield (
            CustodianApi(http, SecretStr(CUSTODIAN_KEY)),
            ClientApi(http, enclave, SecretStr(CLIENT_TOKEN)),
        )


@asynccontextmanager
async def server(serve: Serve) -> AsyncIterator[str]:
    """A server on loopback that does to each connection what a test says."""
    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        listening.close()
        await listening.wait_closed()


async def failure_of(base_url: str) -> StepError:
    """How a read of the client ends against a server that does not behave."""
    async with portal_client(base_url) as http:
        with pytest.raises(StepError) as caught:
            await CustodianApi(http, SecretStr(CUSTODIAN_KEY)).read_client("client-1")
    assert leaked(caught.value, [CUSTODIAN_KEY]) == []
    assert "read client" in str(caught.value)
    return caught.value


def test_every_call_has_a_line() -> None:
    """A new call must say here what it sends."""
    assert {call.name for call in vars(calls).values() if isinstance(call, calls.Call)} == LINES.keys()


@pytest.mark.parametrize("name", LINES)
async def test_a_call_sends_what_portal_documents(name: str) -> None:
    """Method, place, body and credential of each call, once, and a trace id of its own."""
    do, method, url, body, credential, reply = LINES[name]
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(204) if reply is None else httpx.Response(200, json=reply)

    async with apis(answer) as (custodian, client):
        await do(custodian, client)
        await do(custodian, client)
    traces = set()
    for request in seen:
        assert (request.method, str(request.url)) == (method, url)
        assert (json.loads(request.content) if request.content else None) == body
        assert request.headers["Authorization"] == f"Bearer {credential}"
        assert "x-api-key" not in request.headers
        trace = uuid.UUID(request.headers["X-Portal-Trace-Id"])
        assert trace.version == 4
        traces.add(trace)
    assert len(seen) == len(traces) == 2


async def test_path_parameters_are_url_encoded() -> None:
    """An id can never become another path, a query or a fragment."""
    odd = "a/../b?c#d%2e e\u00e9"
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(204)

    async with apis(answer) as (_, client):
        await client.store_cipher_text(odd, "sealed")
    prefix, _, last = seen[0].url.raw_path.decode().rpartition("/")
    assert prefix == "/api/v3/clients/me/backup-share-pairs"
    assert unquote(last) == odd
    assert not seen[0].url.query


async def test_the_window_is_asked_and_read_in_utc() -> None:
    """Whatever zone the reply is written in, the window that counts is the same moment in UTC."""
    until = "2026-03-04T07:06:07+02:00"
    async with apis(lambda _: httpx.Response(200, json={"ejectableUntil": until})) as (custodian, _):
        confirmed = await custodian.enable_eject("client-1", "wallet-1", NOW)
    assert confirmed == NOW
    assert confirmed.tzinfo is UTC


async def test_a_minted_token_shows_in_no_text() -> None:
    """The token leaves the reply as a secret."""
    async with apis(lambda _: httpx.Response(200, json={"clientSessionToken": CLIENT_TOKEN})) as (
        custodian,
        _,
    ):
        token = await custodian.mint_session("client-1")
    assert token.get_secret_value() == CLIENT_TOKEN
    assert CLIENT_TOKEN not in f"{token!r} {token}"


# Surely not sent, so surely not done; after any other trouble it may have been done.
NOT_SENT = {httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout}


def _transport_errors(kind: type[httpx.RequestError]) -> list[type[httpx.RequestError]]:
    return [kind, *(found for sub in kind.__subclasses__() for found in _transport_errors(sub))]


@pytest.mark.parametrize("kind", dict.fromkeys(_transport_errors(httpx.RequestError)))
async def test_a_transport_error_says_whether_it_may_have_been_done(kind: type[httpx.RequestError]) -> None:
    """Every error that httpx knows: not connected is simply unavailable, all others lose the reply."""

    def answer(_: httpx.Request) -> httpx.Response:
        raise kind(f"Bearer {CLIENT_TOKEN}")

    async with apis(answer) as (_, client):
        with pytest.raises(StepError) as caught:
            await client.complete()
    expected = Failure.PORTAL_UNAVAILABLE if kind in NOT_SENT else Failure.REPLY_LOST
    assert caught.value.failure is expected
    assert CLIENT_TOKEN not in f"{caught.value} {caught.value!r}"


async def test_a_refusal_keeps_its_meaning_and_names_its_trace() -> None:
    """The trace id is what Portal's people look a call up by; type and delay stay what the table decided."""
    traces: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        traces.append(request.headers["X-Portal-Trace-Id"])
        return httpx.Response(429, headers={"Retry-After": "7"}, json={"error": CUSTODIAN_KEY})

    async with apis(answer) as (custodian, _):
        with pytest.raises(StepError) as caught:
            await custodian.read_client("client-1")
    assert caught.value.failure is Failure.PORTAL_THROTTLED
    assert caught.value.retry_after == timedelta(seconds=7)
    assert caught.value.sentence == f"Portal answered 429 to 'read client' (trace {traces[0]})"


@pytest.mark.parametrize("zone", ["GMT", "-0000"])
async def test_a_retry_date_is_read_by_the_clock_that_wrote_it(zone: str) -> None:
    """A server whose clock is years off still means the same number of seconds."""
    headers = {"Date": f"Sat, 01 Jan 2000 00:00:00 {zone}", "Retry-After": "Sat, 01 Jan 2000 00:00:20 GMT"}
    async with apis(lambda _: httpx.Response(503, headers=headers)) as (custodian, _):
        with pytest.raises(StepError) as caught:
            await custodian.read_client("client-1")
    assert caught.value.retry_after == timedelta(seconds=20)


@pytest.mark.parametrize("date", ["", "yesterday", "Sat, 01 Jan 2000 00:00:00 +9999999999999"])
async def test_without_a_readable_date_our_own_clock_serves(date: str) -> None:
    """A server that tells no time cannot keep us from reading its date."""
    soon = (datetime.now(UTC) + timedelta(minutes=30)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    headers = {"Date": date, "Retry-After": soon}
    async with apis(lambda _: httpx.Response(503, headers=headers)) as (custodian, _):
        with pytest.raises(StepError) as caught:
            await custodian.read_client("client-1")
    assert caught.value.retry_after is not None
    assert timedelta(minutes=25) < caught.value.retry_after <= timedelta(minutes=30)


async def test_nobody_listens() -> None:
    """A refused connection did surely nothing."""
    assert (await failure_of(f"http://127.0.0.1:{free_port()}")).failure is Failure.PORTAL_UNAVAILABLE


async def _closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.close()


async def _resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.close()


async def _cuts(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"id": "client-1"')
    await writer.drain()
    writer.close()


async def _babbles(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"this is no HTTP\r\n\r\n")
    await writer.drain()
    writer.close()


@pytest.mark.parametrize("serve", [_closes, _resets, _cuts, _babbles])
async def test_a_line_that_breaks_after_the_request_loses_the_reply(serve: Serve) -> None:
    """On a real socket: closed, reset, cut short or not HTTP, it may have been done."""
    async with server(serve) as url:
        assert (await failure_of(url)).failure is Failure.REPLY_LOST


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize(
    ("status", "failure"), [("200 OK", Failure.REPLY_UNREADABLE), ("500 Oh", Failure.PORTAL_UNAVAILABLE)]
)
async def test_an_oversized_reply_is_refused_while_it_comes(
    status: str, failure: Failure, announced: bool
) -> None:
    """A body without end is given up at the bound, and a refusal then means what its status says."""
    most = 50 * LARGEST_REPLY
    sent = 0
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        try:
            await reader.readuntil(b"\r\n\r\n")
            length = f"Content-Length: {most}\r\n" if announced else ""
            writer.write(f"HTTP/1.1 {status}\r\n{length}\r\n".encode())
            while sent < most:
                writer.write(b"x" * 65536)
                await writer.drain()
                sent += 65536
        except ConnectionError:
            pass
        finally:
            writer.close()
            ended.set()

    async with server(serve) as url:
        error = await failure_of(url)
        await asyncio.wait_for(ended.wait(), 30)
    assert error.failure is failure
    assert sent < most / 2  # the bound, and what the kernel's buffers took


async def test_a_length_that_is_too_large_is_refused_unread() -> None:
    """What says that it is too large is not waited for."""
    headers = {"Content-Length": str(LARGEST_REPLY + 1)}
    async with apis(lambda _: httpx.Response(200, headers=headers, stream=Unread())) as (custodian, _):
        with pytest.raises(StepError) as caught:
            await custodian.read_client("client-1")
    assert caught.value.failure is Failure.REPLY_UNREADABLE


class Unread(httpx.AsyncByteStream):
    """A body that nobody may read."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Fail."""
        raise AssertionError("it was read")
        yield b""


@pytest.mark.parametrize(("status", "failure"), [(503, Failure.PORTAL_UNAVAILABLE), (200, None)])
async def test_a_compressed_refusal_means_what_its_status_says(status: int, failure: Failure | None) -> None:
    """A proxy's compressed page with a 503 passes by itself; only an answer has to be readable."""
    headers = {"Content-Encoding": "gzip"}
    async with apis(lambda _: httpx.Response(status, headers=headers, stream=Unread())) as (custodian, _):
        with pytest.raises(StepError) as caught:
            await custodian.read_client("client-1")
    assert caught.value.failure is (failure or Failure.REPLY_UNREADABLE)


async def test_a_reply_of_the_largest_size_is_read() -> None:
    """The bound itself is still a reply."""
    body = json.dumps({"id": "client-1"}).encode().ljust(LARGEST_REPLY)
    async with apis(lambda _: httpx.Response(200, content=body)) as (custodian, _):
        assert (await custodian.read_client("client-1")).id == "client-1"


def _says(text: str, seen: list[bytes]) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(text.encode())
        await writer.drain()
        writer.close()

    return serve


OK = 'HTTP/1.1 200 OK\r\nContent-Length: 18\r\nConnection: close\r\n\r\n{"id": "client-1"}'


async def test_a_redirect_is_not_followed() -> None:
    """The credential goes to the configured host and nowhere else."""
    elsewhere: list[bytes] = []
    async with server(_says(OK, elsewhere)) as other:
        moved = f"HTTP/1.1 307 Moved\r\nLocation: {other}/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        async with server(_says(moved, [])) as url:
            assert (await failure_of(url)).failure is Failure.PORTAL_REFUSED
    assert elsewhere == []


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment calls a proxy sees no credential."""
    proxied: list[bytes] = []
    direct: list[bytes] = []
    async with server(_says(OK, proxied)) as proxy, server(_says(OK, direct)) as url:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy)
            monkeypatch.setenv(name.lower(), proxy)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        async with portal_client(url) as http:
            client = await CustodianApi(http, SecretStr(CUSTODIAN_KEY)).read_client("client-1")
    assert client.id == "client-1"
    assert proxied == []
    assert len(direct) == 1


@pytest.mark.parametrize("credential", ["", "Zq7planted\nX-Evil: 1", "Zq7planted ", "Zq7plant\u00e9d"])
async def test_a_credential_that_no_header_can_hold_is_rejected_unsent(credential: str) -> None:
    """A key that was pasted wrongly parks at once as what it is, and is neither shown nor put on the wire."""
    seen: list[bytes] = []
    async with server(_says(OK, seen)) as url, portal_client(url) as http:
        with pytest.raises(StepError) as caught:
            await send(http, calls.COMPLETE, SecretStr(credential), body={})
    assert caught.value.failure is Failure.CREDENTIAL_REJECTED
    assert leaked(caught.value, ["Zq7plant"]) == []
    assert seen == []


@pytest.mark.parametrize("enclave", [False, True])
async def test_every_phase_of_a_call_is_bounded(enclave: bool) -> None:
    """No call waits for ever; the enclave may take longer to answer, and only that."""
    async with portal_client("https://portal.test", enclave=enclave) as http:
        bounds = http.timeout.as_dict()
    assert bounds == {"connect": 5, "read": 90 if enclave else 30, "write": 10, "pool": 30}
