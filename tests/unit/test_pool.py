"""The pool of connections: whoever ends gives one back, however it ended, and it is used again."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from portal.http import portal_client
from portal.pool import Pool
from tests.unit.test_http import server

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


class Portal:
    """A server that answers each request once it may, and counts its connections."""

    def __init__(self) -> None:
        self.connections = 0
        self.asked = asyncio.Semaphore(0)
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Keep a connection until whoever calls leaves."""
        self.connections += 1
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                self.asked.release()
                await self.may_answer.wait()
                writer.write(OK)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


@pytest_asyncio.fixture
async def portal() -> Portal:
    """One that answers at once."""
    return Portal()


@pytest_asyncio.fixture
async def url(portal: Portal) -> AsyncIterator[str]:
    """Its address."""
    async with server(portal.serve) as address:
        yield address


def client_of(url: str, most: int) -> httpx.AsyncClient:
    """A client of so many connections, that waits for one no longer than it must."""
    transport = Pool(httpx.create_ssl_context(trust_env=False), most=most)
    return httpx.AsyncClient(base_url=url, transport=transport, timeout=httpx.Timeout(30, pool=0.01))


async def test_one_call_after_another_takes_one_connection(portal: Portal, url: str) -> None:
    """The one that was used last, as often as there are calls; as the worker's own client has it."""
    async with portal_client(url) as http:
        for _ in range(5):
            assert (await http.get("/")).json() == {}
    assert portal.connections == 1


async def test_who_comes_when_all_are_taken_is_told_so_and_a_later_one_is_served(
    portal: Portal, url: str
) -> None:
    """Nothing was sent for the former: `PoolTimeout`, which is retried as surely not done."""
    portal.may_answer.clear()
    async with client_of(url, most=2) as http:
        taken = [asyncio.create_task(http.get("/")) for _ in range(2)]
        for _ in taken:
            await portal.asked.acquire()
        with pytest.raises(httpx.PoolTimeout):
            await http.get("/")
        portal.may_answer.set()
        assert [answer.status_code for answer in await asyncio.gather(*taken)] == [200, 200]
        assert (await http.get("/")).status_code == 200
    assert portal.connections == 2


async def test_a_call_that_is_given_up_gives_its_connection_back(portal: Portal, url: str) -> None:
    """While it waits for the answer, and while its body is read."""
    async with client_of(url, most=1) as http:
        portal.may_answer.clear()
        waiting = asyncio.create_task(http.get("/"))
        await portal.asked.acquire()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        portal.may_answer.set()
        async with http.stream("GET", "/"):
            pass
        assert (await http.get("/")).status_code == 200


async def test_a_connection_that_fails_is_given_back_too() -> None:
    """Whether nobody listens or the line breaks."""
    async with client_of("http://127.0.0.1:1", most=1) as http:
        for _ in range(3):
            with pytest.raises(httpx.ConnectError):
                await http.get("/")
