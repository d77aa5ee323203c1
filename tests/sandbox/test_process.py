"""`python -m sandbox` as a process: its one line, its state, its end."""

import asyncio
import json
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.sandbox.harness import CLIENTS, GATEWAY, ME, ROOT, Box, connected, process


async def test_sigkill_and_restart_lose_nothing(tmp_path: Path) -> None:
    """Killed after its replies, the sandbox comes back with clients, clock, switches, faults and journal."""
    state = str(tmp_path / "state.db")
    with process("--state", state) as (running, ready):
        async with connected(ready) as box:
            owner = await box.seed()
            share = (await box.back_up(owner))["SECP256K1"]
            await box.confirm(owner, share["id"])
            await box.control("clock", {"advance_seconds": 864_000, "rate": 10})
            await box.control("budgets", {"custodian": 100})
            await box.control("switches", {"gate_completion_by_window": True})
            fault = {"call": "fetch_shares", "times": 2, "kind": "status", "status": 503}
            await box.control("faults", fault)
            wallet = (await box.wallet(owner))["id"]
            assert (await box.fetch(owner, wallet)).status_code == 503
            before = await _everything(box, owner.client_id)
            now = (await box.control("clock"))["now"]
        running.send_signal(signal.SIGKILL)
        running.wait(10)
    with process("--state", state) as (_running, again):
        for name in ("custodian_api_key", "gateway_api_key"):
            assert again[name] == ready[name]
        async with connected(again) as box:
            assert await _everything(box, owner.client_id) == before
            assert (await box.control("clock"))["now"] > now
            assert (await box.fetch(owner, wallet)).status_code == 503
            assert (await box.fetch(owner, wallet)).status_code == 200
            assert (await box.call("GET", ME, owner.client_api_key)).status_code == 200
            assert (await box.back_up(owner))["SECP256K1"]["id"] != share["id"]


async def _everything(box: Box, client_id: str) -> object:
    shown = [await box.control(path) for path in ("journal", "switches", "faults", "budgets")]
    return [*shown, await box.control(f"clients/{client_id}", {})]


async def test_drop_fault_does_the_call_and_closes_the_connection() -> None:
    """The reply of a dropped call has not one byte, yet the call took effect, once."""
    with process() as (_running, ready):
        async with connected(ready) as box:
            owner = await box.seed()
            await box.control("faults", {"call": "complete_client", "kind": "drop"})
            url = httpx.URL(ready["url"])
            reader, writer = await asyncio.open_connection(url.host, url.port)
            request = (
                f"POST {ME}/eject HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {owner.client_api_key}\r\n\r\n"
            )
            writer.write(request.encode())
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()
            assert (await box.read(owner.client_id))["ejectedAt"] is not None
            assert await box.effects(call="complete_client", fault="drop") == ["completed"]
            assert (await box.call("POST", f"{ME}/eject", owner.client_api_key)).status_code == 400
            await box.control("faults", {"call": "read_client", "kind": "drop"})
            with pytest.raises(httpx.RemoteProtocolError):
                await box.read(owner.client_id)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_ends_quickly_and_cleanly(number: signal.Signals) -> None:
    """A signal ends the process with code 0 in seconds, although one client is connected and one waits."""
    with process() as (running, ready):
        async with connected(ready) as box:
            await box.control("faults", {"call": "list_clients", "kind": "delay", "seconds": 600})
            waiting = asyncio.create_task(box.custodian("GET", CLIENTS))
            while (await box.control("faults"))["faults"]:
                pass  # until the delayed call has met its fault
            started = time.monotonic()
            running.send_signal(number)
            output, errors = await asyncio.to_thread(running.communicate, None, 10)
            assert (running.returncode, output) == (0, "")
            assert time.monotonic() - started < 5
            assert "Traceback" not in errors
            await asyncio.gather(waiting, return_exceptions=True)


async def test_one_line_on_stdout_and_no_secret_in_the_log(tmp_path: Path) -> None:
    """Stdout has the ready line and no more; the log at debug level has paths, and no credential or share."""
    key, tatum_key = "key-of-this-test", "tatum-key-of-this-test"
    env = {"SANDBOX_CUSTODIAN_API_KEY": key, "SANDBOX_GATEWAY_API_KEY": tatum_key}
    with process("--log-level", "debug", env=env) as (running, ready):
        assert set(ready) == {"url", "custodian_api_key", "gateway_api_key"}
        assert (ready["custodian_api_key"], ready["gateway_api_key"]) == (key, tatum_key)
        assert ready["url"].startswith("http://127.0.0.1:")
        async with connected(ready) as box:
            owner = await box.seed()
            shares = await box.back_up(owner)
            assert (await box.gateway("GET", GATEWAY)).status_code == 200
        running.send_signal(signal.SIGTERM)
        output, errors = await asyncio.to_thread(running.communicate, None, 10)
    assert output == ""
    assert "/v1/backup" in errors
    share = json.loads(owner.generate_response)["ED25519"]["share"]
    for secret in (key, tatum_key, owner.client_api_key, share, shares["ED25519"]["share"]):
        assert secret not in errors


def _modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


async def test_state_is_its_owners_alone(tmp_path: Path) -> None:
    """Every file of the state is readable by its owner only, and a second sandbox on it is refused."""
    state = tmp_path / "state.db"
    state.touch(mode=0o644)
    with process("--state", str(state)) as (_running, ready):
        async with connected(ready) as box:
            await box.seed()
            modes = await asyncio.to_thread(_modes, tmp_path)
            assert "state.db" in modes and set(modes.values()) == {0o600}
        command = [sys.executable, "-m", "sandbox", "--state", str(state)]
        second = await asyncio.to_thread(
            subprocess.run, command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False
        )
        assert (second.returncode, second.stdout) == (1, "")
        assert second.stderr.startswith("cannot use the state file: ")


def test_state_of_another_version_is_refused(tmp_path: Path) -> None:
    """A state that another version wrote is left alone, with a sentence that says what to do."""
    state = tmp_path / "state.db"
    with closing(sqlite3.connect(state)) as other:
        other.execute("CREATE TABLE journal (seq INTEGER)")
        other.commit()
    command = [sys.executable, "-m", "sandbox", "--state", str(state)]
    refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == (
        "cannot use the state file: another version of the sandbox wrote it; name a new file\n"
    )


def test_serves_this_machine_only() -> None:
    """Any other host than 127.0.0.1 is refused."""
    command = [sys.executable, "-m", "sandbox", "--host", "0.0.0.0"]  # noqa: S104 (to be refused)
    refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "127.0.0.1 only" in refused.stderr


async def test_concurrent_calls_keep_their_effects_apart() -> None:
    """Of 50 completions sent at once for one client exactly one takes effect, and no call is lost."""
    with process() as (_running, ready):
        async with connected(ready) as box:
            owner = await box.seed()
            path, key = f"{ME}/eject", owner.client_api_key
            replies = await asyncio.gather(*(box.call("POST", path, key) for _ in range(50)))
            assert sorted(reply.status_code for reply in replies) == [204] + [400] * 49
            assert len(await box.effects(effect="completed")) == 1
            assert len(await box.effects(call="complete_client")) == 50
