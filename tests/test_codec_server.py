"""The codec server as a process: when it refuses to start, what it leaves in its log, how it ends."""

import asyncio
import signal
import socket
import sys
from pathlib import Path

import httpx

from runtime.development import free_port, line_of, process
from tests.harness.codecs import TOKEN, as_setting, new_key
from tests.harness.processes import environment, run

KEYS = as_setting({"a": new_key()})


def settings_of(**more: str) -> dict[str, str]:
    """The environment of a server on a free port."""
    address = f"127.0.0.1:{free_port()}"
    own = {"EJECT_CODEC_KEYS": KEYS, "EJECT_CODEC_TOKEN": TOKEN, "EJECT_CODEC_ADDRESS": address}
    return environment(**(own | more))


async def test_it_serves_until_it_is_asked_to_end() -> None:
    """On the address of its settings, without core dumps, nothing of a request in its log."""
    env = settings_of(EJECT_LOG_LEVEL="DEBUG")
    command = ["/bin/sh", "-c", 'exec "$@" 2>&1', "sh", sys.executable, "codec_server.py"]
    async with process(*command, env=env) as running:
        while "codec_server.serving" not in await line_of(running):
            pass
        url = f"http://{env['EJECT_CODEC_ADDRESS']}"
        async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
            assert (await http.get("/health")).text == "serving"
            asked = {"Authorization": f"Bearer {TOKEN}", "X-Namespace": "PLANTED"}
            body = '{"payloads": [{"metadata": {"encoding": "PLANTED="}, "data": "PLANTED="}]}'
            assert (await http.post("/encode", content=body, headers=asked)).status_code == 200
            assert (await http.post("/decode", content="PLANTED", headers=asked)).status_code == 400
        limits = Path(f"/proc/{running.pid}/limits")
        if await asyncio.to_thread(limits.exists):
            text = await asyncio.to_thread(limits.read_text)
            (core,) = [line for line in text.splitlines() if line.startswith("Max core file size")]
            assert core.split()[4:6] == ["0", "0"]
        running.send_signal(signal.SIGTERM)
        assert running.stdout
        rest = (await asyncio.wait_for(running.stdout.read(), 60)).decode()
        assert await running.wait() == 0
    assert "PLANTED" not in rest
    assert TOKEN not in rest
    assert "Traceback" not in rest


async def test_it_does_not_serve_without_a_token() -> None:
    """Nor without keys: a line for each and exit code 2."""
    code, out, error = await run("codec_server.py", env=environment())
    assert (code, out) == (2, "")
    assert [line.partition(" is not set: ")[0] for line in error.splitlines()] == [
        "EJECT_CODEC_KEYS",
        "EJECT_CODEC_TOKEN",
    ]


async def test_it_says_that_its_address_is_taken() -> None:
    """As a sentence that names the setting."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        code, out, error = await run("codec_server.py", env=settings_of(EJECT_CODEC_ADDRESS=address))
    assert (code, out) == (2, "")
    assert error == f"EJECT_CODEC_ADDRESS: nothing can listen at {address}, or something does\n"
