"""Faults of a reply: the call took effect, and its reply comes late, in part, byte by byte, or huge."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.sandbox.harness import CLIENTS, ME, Box, Owner, connected, process

BIG = 10_000_000


async def enable(box: Box, owner: Owner) -> httpx.Response:
    """A call with an effect and an answer."""
    body = {"walletId": (await box.wallet(owner))["id"]}
    return await box.custodian("PATCH", f"{CLIENTS}/{owner.client_id}/enable-eject", json=body)


async def complete(box: Box, owner: Owner) -> httpx.Response:
    """A call with an effect and no body in its answer."""
    return await box.call("POST", f"{ME}/eject", owner.client_api_key)


async def test_stall_does_the_call_and_answers_late(box: Box) -> None:
    """The answer is whole, and comes after so long."""
    owner = await box.seed()
    await box.control("faults", {"call": "enable_eject", "kind": "stall", "seconds": 0.05})
    reply = await enable(box, owner)
    assert (reply.status_code, reply.elapsed >= timedelta(seconds=0.05)) == (200, True)
    assert await box.effects(fault="stall") == ["window_set"]


async def test_drip_does_the_call_and_answers_byte_by_byte(box: Box) -> None:
    """Read patiently, the answer is whole."""
    owner = await box.seed()
    await box.control("faults", {"call": "enable_eject", "kind": "drip", "seconds": 0})
    await box.control("faults", {"call": "complete_client", "kind": "drip", "seconds": 0})
    assert (await enable(box, owner)).json()["ejectableUntil"] is not None
    reply = await complete(box, owner)
    assert (reply.status_code, reply.json()) == (200, {})
    assert await box.effects(fault="drip") == ["window_set", "completed"]


async def test_huge_does_the_call_and_fills_its_answer_up(box: Box) -> None:
    """The answer is of the asked size and still JSON; with a status it is a refusal of that size instead."""
    owner = await box.seed()
    for more in ({}, {"status": 503, "body": {"error": "busy"}}):
        await box.control("faults", {"call": "enable_eject", "kind": "huge", "bytes": BIG, **more})
    first, second = await enable(box, owner), await enable(box, owner)
    assert (first.status_code, len(first.content)) == (200, BIG)
    assert "ejectableUntil" in json.loads(first.content)
    assert (second.status_code, len(second.content)) == (503, BIG)
    assert await box.effects(fault="huge") == ["window_set", None]


@pytest.mark.parametrize("what", [{"kind": "stall"}, {"kind": "drip"}, {"kind": "huge"}])
async def test_a_fault_of_a_reply_needs_its_measure(box: Box, what: dict[str, Any]) -> None:
    """What says no time or size is refused."""
    reply = await box.http.post("/_sandbox/faults", json={"call": "back_up", **what})
    assert (reply.status_code, list(reply.json())) == (400, ["error"])


async def _raw(url: httpx.URL, token: str, line: str, body: str) -> bytes:
    reader, writer = await asyncio.open_connection(url.host, url.port)
    head = f"{line} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
    received = await reader.read()
    writer.close()
    await writer.wait_closed()
    return received


async def test_cut_does_the_call_and_closes_in_the_middle() -> None:
    """On the wire: the whole is announced, half of it comes, and the call took effect, once."""
    with process() as (_running, ready):
        async with connected(ready) as box:
            owner, url = await box.seed(), httpx.URL(ready["url"])
            for call in ("enable_eject", "complete_client"):
                await box.control("faults", {"call": call, "kind": "cut"})
            body = json.dumps({"walletId": (await box.wallet(owner))["id"]})
            enable = f"PATCH {CLIENTS}/{owner.client_id}/enable-eject"
            for cut in (
                await _raw(url, box.custodian_key, enable, body),
                await _raw(url, owner.client_api_key, f"POST {ME}/eject", ""),
            ):
                head, _, part = cut.partition(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 200")
                (length,) = (
                    int(line.partition(b":")[2])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length:")
                )
                assert len(part) == length // 2
            assert await box.effects(fault="cut") == ["window_set", "completed"]


async def test_whoever_leaves_a_drip_does_not_hold_the_sandbox() -> None:
    """A dripping reply that nobody reads any more, and a stalled one, do not keep the process from ending."""
    with process() as (running, ready):
        async with connected(ready) as box:
            owner = await box.seed()
            for kind in ("drip", "stall"):
                await box.control("faults", {"call": "read_client", "kind": kind, "seconds": 600})
            for _ in range(2):
                with pytest.raises(httpx.ReadTimeout):
                    await box.custodian("GET", f"{CLIENTS}/{owner.client_id}", timeout=0.3)
            assert (await box.read(owner.client_id))["id"] == owner.client_id
        running.terminate()
        assert running.wait(10) == 0
