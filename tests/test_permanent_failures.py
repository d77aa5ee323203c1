"""What fails for good, at every step: it parks in the right words, and once mended and retried all is well.

All cases are rows of one table, `tests/permanent/table.py`; `tests/test_permanent_failures_whole.py` reads
the code and goes red where a step, a failure, a meaning of a call's replies, an operation of the vault, or a
place that reports has no row.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.client import Client

import starter
from contracts.parks import Park, RetryOutcome
from contracts.receipt import Receipt
from contracts.stages import End, Stage
from runtime.settings import ClientCredential
from tests.harness.own_backup import by_wallet
from tests.harness.portal import Sandbox
from tests.harness.secrets import decoded
from tests.harness.world import World, make_world, serving
from tests.permanent.causes import signing_shares_file
from tests.permanent.rows import of_the_worker
from tests.permanent.scenes import MENDS, SECRET, Row, Scene, after_the_last_purge
from tests.permanent.table import CASES


@pytest_asyncio.fixture(loop_scope="session")
async def strict_world(temporal: Client, sandbox: Sandbox, tmp_path: Path) -> AsyncIterator[World]:
    """A world whose client role has only the client's own deposited API key."""
    made = make_world(temporal, sandbox, tmp_path)
    made.settings = made.settings.model_copy(update={"client_credential": ClientCredential.STRICT})
    async with serving(made):
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def wallet_world(unserved: World) -> AsyncIterator[World]:
    """A world that completes wallet by wallet."""
    made = by_wallet(unserved)
    async with serving(made):
        yield made


def _is_told(row: Row, park: Park, number: int, scene: Scene) -> None:
    """The park shows the row's failure in one sentence, what mends it in another, and nothing of a body."""
    assert (park.number, park.step, park.stage) == (number, row.step.name, row.road.stage)
    assert park.failure is row.failure, park
    reason = re.sub(r" \(trace [0-9a-f-]{36}\)$", "", park.reason)
    assert reason == row.reason.format(**scene.names)
    assert MENDS[row.failure] in park.mend
    assert "retry" in park.mend
    for sentence in (reason, park.mend):
        assert not re.search(r"[.!?]\s|\n|\.$", sentence), sentence
    assert SECRET not in park.reason + park.mend


async def _again(scene: Scene, row: Row, before: Park) -> Park:
    """Retry in vain; the park that stands then."""
    world, customer = scene.world, scene.customer
    retrying = asyncio.create_task(world.retry(customer, before.number))
    for _ in range(20 if row.slow else 0):
        assert await world.forward(scene.handle, timedelta(minutes=1))
        now = (await world.told(customer)).park
        if now and now.number > before.number:
            break
    answer = await retrying
    park = (await world.told(customer)).park
    assert park is not None, row
    # A slow one may have been answered before.
    assert row.slow or (answer.outcome, answer.park) == (RetryOutcome.PARKED, park), row
    return park


async def _walk(world: World, patch: pytest.MonkeyPatch, rows: tuple[Row, ...]) -> Receipt:
    """Bring an eject to the step, have it fail in each of the ways in turn, and let it finish."""
    customer = world.sandbox.seed()
    first, second = (wallet["id"] for wallet in world.sandbox.client(customer.client_id)["wallets"])
    names = {"client": customer.client_id, "first": first, "second": second}
    handle = starter.handle_of(world.client, customer.client_id)
    scene = Scene(world, patch, customer, handle, names)
    step, road = rows[0].step, rows[0].road
    if rows[0].strict:
        await world.deposit_api_key(customer)
    held = replace(next(of_the_worker(step)), existing=rows[0].existing)
    async with AsyncExitStack() as stack:
        with held.cause(scene):  # from before the start on, so that nothing overtakes it
            await stack.enter_async_context(road.way(scene))
            await world.reach(scene.handle, Stage.PARKED)
        park = (await world.told(customer)).park
        assert park is not None
        _is_told(held, park, 1, scene)
        for number, row in enumerate(rows, start=2):
            with row.cause(scene):
                park = await _again(scene, row, park)
            _is_told(row, park, number, scene)
        assert (await world.retry(customer, park.number)).outcome is RetryOutcome.DONE
    # After the last purge there is nothing left to skip, and the eject may have ended.
    ending = scene.handle.result() if road.way is after_the_last_purge else world.end(scene.handle)
    receipt = await ending
    assert receipt.end is road.end
    assert world.completions(customer) == (road.end is End.EJECTED)
    assert [c.command for c in receipt.commands].count("retry") == len(rows) + 1
    deposits = [] if road.end is End.EJECTED else [signing_shares_file(scene)]
    written = f"receipts/{customer.client_id}/{receipt.eject_id}.json"
    assert world.left_in_vault() == [*deposits, written]
    assert not [text for text in decoded(await world.history(scene.handle)) if SECRET in text]
    return receipt


def _cases(*, strict: bool = False, by_wallet: bool = False) -> pytest.MarkDecorator:
    wanted = (strict, by_wallet)
    cases = {case: rows for case, rows in CASES.items() if (rows[0].strict, rows[0].by_wallet) == wanted}
    return pytest.mark.parametrize("rows", cases.values(), ids=[f"{step}: {about}" for step, about in cases])


@_cases()
async def test_what_fails_for_good_parks_is_mended_and_finishes(
    world: World, monkeypatch: pytest.MonkeyPatch, rows: tuple[Row, ...]
) -> None:
    """Each failure parks the step in its own words; once mended and retried, the eject ends as it should."""
    await _walk(world, monkeypatch, rows)


@_cases(strict=True)
async def test_the_clients_own_credential_parks_until_it_is_right(
    strict_world: World, monkeypatch: pytest.MonkeyPatch, rows: tuple[Row, ...]
) -> None:
    """Where the role has no other credential, each step that calls as the client parks over a wrong one."""
    await _walk(strict_world, monkeypatch, rows)


@_cases(by_wallet=True)
async def test_completion_by_wallet_parks_until_it_is_mended(
    wallet_world: World, monkeypatch: pytest.MonkeyPatch, rows: tuple[Row, ...]
) -> None:
    """What Portal answers to one wallet's completion parks like what it answers to the client's."""
    await _walk(wallet_world, monkeypatch, rows)


async def test_a_client_that_portal_does_not_know_is_refused_and_may_start_again(world: World) -> None:
    """The one permanent answer that is no park: the first check ends `refused`, and the id is free."""
    customer = world.sandbox.seed()
    body, client_id = {"error": SECRET}, customer.client_id
    world.sandbox.fault("read_client", "status", status=404, body=body, client_id=client_id)
    receipt = await world.end(await world.start(customer))
    told = f"Portal does not know client {customer.client_id}: check the id and the environment"
    assert (receipt.end, receipt.reasons) == (End.REFUSED, (told,))
    _, second = await world.leave(customer)
    assert second.end is End.EJECTED
    assert world.completions(customer) == 1
