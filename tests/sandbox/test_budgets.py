"""The sandbox's budgets, and its clock when it runs faster."""

from datetime import datetime

import pytest

from tests.sandbox.harness import CLIENTS, GATEWAY, ME, Box


async def test_what_is_more_in_a_minute_is_refused(box: Box) -> None:
    """Not before the budget is spent, with the wait until there is something left of it, and in no journal's
    effect; each budget for itself.
    """
    owner = await box.seed()
    await box.control("budgets", {"custodian": 3, "client": 1, "enclave": 1})
    assert await box.control("budgets") == {"custodian": 3, "client": 1, "enclave": 1}
    await box.custodian("GET", CLIENTS)
    await box.control("clock", {"advance_seconds": 30})
    await box.gateway("GET", GATEWAY)  # the custodian's too
    await box.custodian("GET", CLIENTS)
    refused = await box.custodian("GET", CLIENTS)
    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 30
    assert (await box.call("GET", ME, owner.client_api_key)).status_code == 200
    assert (await box.call("GET", ME, owner.client_api_key)).status_code == 429
    await box.back_up(owner)
    assert (await box.call("POST", "/v1/backup", owner.client_api_key, json={})).status_code == 429
    await box.control("clock", {"advance_seconds": 30})
    assert (await box.custodian("GET", CLIENTS)).status_code == 200
    assert (await box.custodian("GET", CLIENTS)).status_code == 429
    entries = (await box.control("journal?status=429"))["entries"]
    assert [entry["call"] for entry in entries] == [
        *("list_clients", "read_client_as_itself", "back_up", "list_clients")
    ]
    await box.control("budgets", {})
    assert (await box.custodian("GET", CLIENTS)).status_code == 200


@pytest.mark.parametrize("wrong", [{"custodian": 0}, {"custodians": 1}, {"client": "many"}])
async def test_a_budget_is_a_number_of_calls(box: Box, wrong: dict[str, object]) -> None:
    """Another thing is refused."""
    assert (await box.http.post("/_sandbox/budgets", json=wrong)).status_code == 400


async def test_the_clock_runs_faster(box: Box) -> None:
    """From now on, and without a jump; what is moved is moved on top of it."""
    before = await now(box)
    started = await moved(box, rate=1000)
    assert (started - before).total_seconds() < 60
    first = await now(box)
    while (await now(box) - first).total_seconds() < 60:
        pass  # a minute of it in some hundredths of a second
    later = await moved(box, rate=1, advance_seconds=86_400)
    assert (later - first).total_seconds() > 86_460
    assert (await now(box) - later).total_seconds() < 60
    assert (await box.http.post("/_sandbox/clock", json={"rate": 0.5})).status_code == 400


async def now(box: Box) -> datetime:
    """The sandbox's time."""
    return datetime.fromisoformat((await box.control("clock"))["now"])


async def moved(box: Box, **how: float) -> datetime:
    """The sandbox's time after a change."""
    return datetime.fromisoformat((await box.control("clock", how))["now"])
