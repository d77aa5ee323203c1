"""Whole ejects in which every call meets a fault: each goes on, or parks as the table says, and ends once."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise

import obstore
import pytest
from _pytest.mark import ParameterSet
from temporalio import activity

from contracts.failures import Failure
from contracts.stages import End, Stage
from portal import calls
from portal.http import portal_client, whole
from tests.faults.breaking import BREAKS, SECRET
from tests.faults.elsewhere import Diverting, in_turn
from tests.faults.table import CALLS, FAULTS
from tests.faults.walks import OwnWalk, Plan, Walk
from tests.faults.worlds import serving_diverted
from tests.harness.own_backup import by_wallet, once_in_each_window
from tests.harness.secrets import decoded
from tests.harness.world import World
from workflows import policies
from workflows.policies import Step

NAMES = tuple(FAULTS)
READ = calls.FETCH_SHARES_AS_CLIENT.name


def spread(road: tuple[str, ...]) -> list[Plan]:
    """In each of these ejects each call meets another fault; together they meet every fault there is."""
    return [
        {call: (NAMES[(turn * len(road) + place) % len(NAMES)],) for place, call in enumerate(road)}
        for turn in range(-(-len(NAMES) // len(road)))
    ]


def first_by_default(plans: Sequence[Plan]) -> list[ParameterSet]:
    """Each plan by its number; all but the first belong to `make chaos`."""
    return [pytest.param(turn, marks=[pytest.mark.chaos] if turn else []) for turn in range(len(plans))]


SPREAD = spread(Walk.CALLS)
# The single-use read meets as many in each eject as it takes to meet every fault there is by itself.
OWN_SPREAD = [
    {**plan, READ: NAMES[turn :: len(OwnWalk.CALLS) - 2]} for turn, plan in enumerate(spread(OwnWalk.CALLS))
]
# The vault's own time-out, in seconds (custody/vault.py).
VAULT = 8


async def walk(one: Walk, plan: Plan) -> Diverting:
    """Walk an eject in which these calls meet these faults, and see what must hold of it."""
    world, customer = one.world, one.customer
    async with serving_diverted(world) as diverting:
        for call, faults in plan.items():
            in_turn(diverting.plan, call, *(BREAKS[fault] for fault in faults))
        receipt = await one.to_its_end()
        assert diverting.plan == {}, "not every call was made"
    one.parked_as(plan)
    assert receipt.end is End.EJECTED
    assert world.completions(customer) == 1
    assert world.left_in_vault() == [f"receipts/{customer.client_id}/{receipt.eject_id}.json"]
    assert not [text for text in decoded(await world.history(one.handle)) if SECRET in text]
    return diverting


async def walk_afresh(world: World, plan: Plan) -> None:
    """With a fresh backup, which is made once."""
    one = Walk(world)
    await walk(one, plan)
    filters = {"client_id": one.customer.client_id, "effect": "pairs_completed"}
    assert len(world.sandbox.journal(**filters)) == 1


async def walk_own(world: World, plan: Plan) -> None:
    """With a backup from before: each failed read costs a window, none is read twice, no share is lost."""
    one = OwnWalk(by_wallet(world))
    diverting = await walk(one, plan)
    failed = [fault for fault in plan[READ] if FAULTS[fault].reported(READ)]
    made = [name for _, _, _, name in diverting.made if name in (READ, calls.ENABLE_EJECT.name)]
    assert made.count(READ) == 2 + len(failed)
    # Both windows are opened before the first read; from then on, one before each but the other wallet's.
    again = [earlier for earlier, later in pairwise(made) if later == READ]
    assert again.count(READ) == 1
    once_in_each_window(world, one.customer)
    parked = [park for park in one.parks if park.step == policies.FETCH_SHARES_AS_CLIENT.name]
    assert Failure.WINDOW_SPENT not in {park.failure for park in parked}


def test_the_roads_make_every_call_and_the_spread_meets_every_fault() -> None:
    """A new call or a new fault is met without anybody's doing."""
    # No eject lists all clients: the drift watch does (tests/test_drift.py, tests/test_faults.py).
    assert {*Walk.CALLS, *OwnWalk.CALLS} == CALLS.keys() - {calls.LIST_CLIENTS.name}
    for road, plans in ((Walk.CALLS, SPREAD), (OwnWalk.CALLS, OWN_SPREAD)):
        assert {fault for plan in plans for faults in plan.values() for fault in faults} == FAULTS.keys()
        assert all(tuple(plan) == road for plan in plans)
    assert sorted(fault for plan in OWN_SPREAD for fault in plan[READ]) == sorted(FAULTS)
    assert max(len(plan[READ]) for plan in OWN_SPREAD) < policies.MOST_WINDOWS


@pytest.mark.parametrize("turn", first_by_default(SPREAD))
async def test_an_eject_survives_a_fault_on_every_call(workerless: World, turn: int) -> None:
    """Each call meets another fault; together these ejects meet all."""
    await walk_afresh(workerless, SPREAD[turn])


@pytest.mark.parametrize("turn", first_by_default(OWN_SPREAD))
async def test_the_single_use_read_survives_every_fault(workerless: World, turn: int) -> None:
    """It meets several one after another, and each other call of its road meets one."""
    await walk_own(workerless, OWN_SPREAD[turn])


@pytest.mark.chaos
@pytest.mark.parametrize("fault", FAULTS)
async def test_an_eject_survives_each_fault_on_every_call(workerless: World, fault: str) -> None:
    """The whole matrix: all calls of one eject meet the same fault."""
    await walk_afresh(workerless, dict.fromkeys(Walk.CALLS, (fault,)))


@pytest.mark.chaos
@pytest.mark.parametrize("fault", FAULTS)
async def test_the_single_use_read_survives_each_fault_on_every_call(workerless: World, fault: str) -> None:
    """The same where the client fetches; the read meets its fault as often as its windows allow."""
    plan = dict.fromkeys(OwnWalk.CALLS, (fault,))
    # One more may be lost before the read, when the token is minted; without a failure there are two reads.
    times = policies.MOST_WINDOWS - 2 if FAULTS[fault].reported(READ) else 2
    await walk_own(workerless, {**plan, READ: (fault,) * times})


async def withdraw(world: World, fault: str) -> None:
    """An eject that is cancelled while its window is open, and both calls that close it meet the fault."""
    plan = dict.fromkeys((calls.READ_CLIENT.name, calls.ENABLE_EJECT.name), (fault,))
    async with serving_diverted(world) as diverting:
        one = Walk(world)
        one.handle = await world.start(one.customer)
        await one.until(lambda told: told.stage is Stage.AWAITING_CLAIM)
        diverting.plan.update(dict.fromkeys(plan, BREAKS[fault]))
        await world.cancel(one.customer)
        await one.until(lambda _: False)
        receipt = await one.handle.result()
        assert diverting.plan == {}, "not every call was made"
    one.parked_as(plan)
    assert receipt.end is End.CANCELLED
    assert max(world.portal_closes(one.customer)) < world.sandbox.now() + timedelta(minutes=2)
    assert not [text for text in decoded(await world.history(one.handle)) if SECRET in text]


@pytest.mark.parametrize("fault", ["read timeout", "wrong types"])
async def test_a_window_closes_whatever_its_calls_meet(workerless: World, fault: str) -> None:
    """One fault that passes, one that parks."""
    await withdraw(workerless, fault)


@pytest.mark.chaos
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_window_closes_after_each_fault(workerless: World, fault: str) -> None:
    """Whatever either call meets, Portal's window closes within two minutes in the end."""
    await withdraw(workerless, fault)


async def test_every_attempt_has_time_for_all_that_it_does(
    workerless: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were each call, and each look into the vault, as slow as it may be, an attempt would get through."""
    done: list[tuple[str, str, int, str]] = []

    def watch(operation: str) -> None:
        original = getattr(obstore, operation)

        def watching(*given: object, **named: object) -> object:
            if activity.in_activity():
                info = activity.info()
                done.append((info.activity_type, str(info.started_time), info.attempt, operation))
            return original(*given, **named)

        monkeypatch.setattr(obstore, operation, watching)

    for operation in ("get", "put", "list", "delete"):
        watch(operation)
    async with serving_diverted(workerless) as diverting:
        cancelled = workerless.sandbox.seed()
        handle = await workerless.start(cancelled)
        await workerless.reach(handle, Stage.AWAITING_CLAIM)
        await workerless.cancel(cancelled)
        assert (await workerless.end(handle)).end is End.CANCELLED
        made = diverting.made
    async with serving_diverted(by_wallet(workerless)) as diverting:
        await OwnWalk(workerless).to_its_end()
        made += diverting.made
    async with serving_diverted(workerless) as diverting:
        await Walk(workerless).to_its_end()  # last, because it moves the sandbox's clock
        seconds = _slowest([*made, *diverting.made, *done])
    steps = {step.name: step for step in vars(policies).values() if isinstance(step, Step)}
    assert seconds.keys() == steps.keys()
    late = {
        name: slow for name, slow in seconds.items() if slow >= steps[name].start_to_close.total_seconds()
    }
    assert late == {}, seconds


def _slowest(done: list[tuple[str, str, int, str]]) -> dict[str, float]:
    """For each step, the seconds that its longest attempt may take by its own time-outs."""
    bounds = {}
    for enclave in (False, True):
        client = portal_client("https://portal.test", enclave=enclave)
        bounds[enclave] = whole(client.timeout) or 0
    attempts: dict[tuple[str, str, int], float] = {}
    for step, number, attempt, what in done:
        cost = bounds[what == calls.BACK_UP.name] if what in CALLS else VAULT
        attempts[step, number, attempt] = attempts.get((step, number, attempt), 0) + cost
    slowest: dict[str, float] = {}
    for (step, _, _), cost in attempts.items():
        slowest[step] = max(cost, slowest.get(step, 0))
    return slowest
