"""Complete one wallet: what it marks, what a repeat answers, and how the journal counts it."""

from typing import Any

import pytest

from tests.sandbox.harness import ME, Box


async def test_first_wallet_marks_the_client(box: Box) -> None:
    """By Tatum's document the first wallet sets `ejectedAt`; the other one can be completed after it."""
    owner = await box.seed()
    first, second = (wallet["id"] for wallet in (await box.read(owner.client_id))["wallets"])
    reply = await box.complete(owner, first)
    assert (reply.status_code, reply.content) == (204, b"")
    ejected_at = (await box.read(owner.client_id))["ejectedAt"]
    assert ejected_at is not None
    await box.control("clock", {"advance_seconds": 60})
    assert (await box.complete(owner, second)).status_code == 204
    assert (await box.read(owner.client_id))["ejectedAt"] == ejected_at
    assert await box.effects(call="complete_wallet") == ["wallet_completed completed", "wallet_completed"]
    assert len(await box.effects(effect="completed")) == 1
    assert len(await box.effects(effect="wallet_completed")) == 2


async def test_last_wallet_marks_the_client_when_told(box: Box) -> None:
    """With the switch on, the client is marked only when every wallet is completed."""
    owner = await box.seed()
    await box.control("switches", {"complete_one_by_one": True})
    marked = []
    for wallet in (await box.read(owner.client_id))["wallets"]:
        await box.complete(owner, wallet["id"])
        marked.append((await box.read(owner.client_id))["ejectedAt"] is not None)
    assert marked == [False, True]
    assert await box.effects(call="complete_wallet") == ["wallet_completed", "wallet_completed completed"]


@pytest.mark.parametrize(("ok", "status"), [(False, 400), (True, 204)])
async def test_repeat_changes_nothing(box: Box, ok: bool, status: int) -> None:
    """Completing again, by wallet or by client, answers as the switch says and marks nothing twice."""
    owner = await box.seed()
    await box.control("switches", {"repeat_completion_ok": ok})
    wallet = (await box.wallet(owner))["id"]
    await box.complete(owner, wallet)
    ejected_at = (await box.read(owner.client_id))["ejectedAt"]
    await box.control("clock", {"advance_seconds": 60})
    again = [
        await box.complete(owner, wallet),
        await box.call("POST", f"{ME}/eject", owner.client_api_key),
    ]
    assert [reply.status_code for reply in again] == [status] * 2
    assert all(list(reply.json()) == ["error"] for reply in again if status == 400)
    assert (await box.read(owner.client_id))["ejectedAt"] == ejected_at
    assert len(await box.effects(effect="completed")) == 1


async def test_completing_the_client_completes_its_wallets(box: Box) -> None:
    """After the client-wide call, completing a wallet is a repeat."""
    owner = await box.seed()
    assert (await box.call("POST", f"{ME}/eject", owner.client_api_key)).status_code == 204
    assert (await box.complete(owner, (await box.wallet(owner))["id"])).status_code == 400


async def test_wallet_completion_refuses(box: Box) -> None:
    """Another client's wallet or an unknown one is a 400, other credentials a 401, and nothing is marked."""
    owner, other = await box.seed(), await box.seed()
    foreign = (await box.wallet(other))["id"]
    for wallet in (foreign, "unknown"):
        reply = await box.complete(owner, wallet)
        assert (reply.status_code, list(reply.json())) == (400, ["error"])
    own = f"{ME}/wallets/{(await box.wallet(owner))['id']}/complete-eject"
    for key in (box.custodian_key, box.gateway_key, "nobody"):
        reply = await box.call("PATCH", own, key)
        assert (reply.status_code, list(reply.json())) == (401, ["error"])
    assert await box.effects(call="complete_wallet") == [None] * 5
    assert (await box.read(owner.client_id))["ejectedAt"] is None


async def test_gate_asks_for_this_wallets_window(box: Box) -> None:
    """With the gate on, a wallet is completed inside its own window only."""
    owner = await box.seed()
    await box.control("switches", {"gate_completion_by_window": True, "complete_one_by_one": True})
    evm, solana = (wallet["id"] for wallet in (await box.read(owner.client_id))["wallets"])
    await box.enable(owner, evm)
    statuses = [(await box.complete(owner, wallet)).status_code for wallet in (solana, evm)]
    assert statuses == [400, 204]


async def test_bodiless_replies_are_204_or_200(box: Box) -> None:
    """With the switch on, every reply without a body is a 200, still without one."""
    owner = await box.seed()
    share = (await box.back_up(owner))["SECP256K1"]
    pair = f"{ME}/backup-share-pairs/{share['id']}"
    store: dict[str, Any] = {"clientCipherText": "sealed"}
    statuses = []
    for on in (False, True):
        await box.control("switches", {"empty_200": on, "repeat_completion_ok": True})
        replies = [
            await box.call("PATCH", pair, owner.client_api_key, json=store),
            await box.confirm(owner, share["id"]),
            await box.complete(owner, (await box.wallet(owner))["id"]),
            await box.call("POST", f"{ME}/eject", owner.client_api_key),
        ]
        statuses.append([(reply.status_code, reply.content) for reply in replies])
    assert statuses == [[(204, b"")] * 4, [(200, b"")] * 4]
