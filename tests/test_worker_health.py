"""What a worker's probes see: alive throughout, ready from serving until it drains."""

import asyncio
import signal
import socket
from asyncio import open_connection
from contextlib import AsyncExitStack, suppress

import httpx
import pytest

from runtime.development import free_port
from runtime.settings import SettingsError, load_settings
from serving.health import answering
from tests.harness.world import PATIENCE, World
from tests.test_worker_process import gate, said, settings_of, worker

ALIVE = (200, "alive")
SERVING = (200, "serving")
NOT_SERVING = (503, "not serving")


async def probed(address: str, path: str) -> tuple[int, str]:
    """What a probe of its own connection is answered, once somebody listens."""
    async with httpx.AsyncClient(trust_env=False) as http, asyncio.timeout(PATIENCE):
        while True:
            try:
                answer = await http.get(f"http://{address}{path}")
            except httpx.ConnectError:
                await asyncio.sleep(0.02)
            else:
                return answer.status_code, answer.text


async def probes(address: str) -> list[tuple[int, str]]:
    """Liveness and readiness."""
    return [await probed(address, "/healthz"), await probed(address, "/readyz")]


async def test_a_worker_is_ready_only_while_it_serves(workerless: World) -> None:
    """Not before Temporal has answered, not while its last attempt drains; alive at each of these times."""
    address = f"127.0.0.1:{free_port()}"
    async with AsyncExitStack() as stack:
        temporal = await stack.enter_async_context(
            gate(f"http://{workerless.client.service_client.config.target_host}")
        )
        enclave = await stack.enter_async_context(gate(workerless.settings.enclave_url))
        env = settings_of(
            workerless,
            TEMPORAL_ADDRESS=temporal.url.removeprefix("http://"),
            EJECT_ENCLAVE_URL=enclave.url,
            EJECT_HEALTH_ADDRESS=address,
        )
        running = await stack.enter_async_context(worker("all", env))
        await asyncio.wait_for(temporal.came.wait(), PATIENCE)
        assert await probes(address) == [ALIVE, NOT_SERVING]
        temporal.opened.set()
        await said(running, "worker.serving")
        assert await probes(address) == [ALIVE, SERVING]
        handle = await workerless.start(workerless.sandbox.seed())
        await asyncio.wait_for(enclave.came.wait(), PATIENCE)
        running.send_signal(signal.SIGTERM)
        await said(running, "worker.draining")
        assert await probes(address) == [ALIVE, NOT_SERVING]
        enclave.opened.set()
        assert await asyncio.wait_for(running.wait(), PATIENCE) == 0
        await handle.terminate("the test has seen what it wanted")


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
async def test_it_answers_its_two_paths_and_nothing_else(host: str) -> None:
    """Other paths and methods are not found; what is no request is let go, and the next is answered."""
    port = free_port()
    async with answering(f"{host}:{port}") as health:
        address = f"{host}:{port}"
        for path in ("/", "/healthz/", "/metrics", "/readyz?x=1", "//healthz"):
            assert (await probed(address, path))[0] == 404
        async with httpx.AsyncClient(trust_env=False) as http:
            assert (await http.post(f"http://{address}/healthz")).status_code == 404
        for wrong in (b"\r\n\r\n", b"\xff\xff\r\n\r\n", b"GET /healthz", b"x" * 100_000):
            reader, writer = await open_connection(host.strip("[]"), port)
            writer.write(wrong)
            writer.write_eof()
            with suppress(ConnectionResetError):
                assert not (await reader.read()).startswith(b"HTTP/1.1 200")
            writer.close()
        assert await probes(address) == [ALIVE, NOT_SERVING]
        health.ready = True
        assert await probes(address) == [ALIVE, SERVING]
    with pytest.raises(OSError, match=r"refused|Connect"):
        await open_connection(host.strip("[]"), port)


@pytest.mark.parametrize("port", ["99999", "taken"])
async def test_it_refuses_an_address_where_nothing_can_listen(port: str) -> None:
    """A worker that nobody can watch does not serve."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1] if port == 'taken' else port}"
        with pytest.raises(SettingsError) as caught:
            async with answering(address):
                pass
    assert str(caught.value) == f"EJECT_HEALTH_ADDRESS {address} cannot be listened at: " + (
        "name a free ip:port of this machine"
    )


@pytest.mark.parametrize("wrong", ["8080", "localhost:8080", "127.0.0.1", "127.0.0.1:http", ""])
def test_it_refuses_what_is_no_ip_and_port(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    """By the name of the setting."""
    monkeypatch.setenv("EJECT_HEALTH_ADDRESS", wrong)
    with pytest.raises(SettingsError, match="EJECT_HEALTH_ADDRESS"):
        load_settings()
