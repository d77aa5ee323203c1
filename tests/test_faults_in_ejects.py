"""Whole ejects in which every call meets a fault: each goes on, or parks as the table says, and ends once."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import obstore
import pytest
from temporalio import activity
from temporalio.service import RPCError

import starter
from contracts.failures import RULES
from contracts.parks import Park
from contracts.providers import Completion
from contracts.receipt import Receipt, Status
from contracts.stages import End, Stage
from device.backups import OwnersBackup
from device.identity import Identity
from portal import calls
from portal.http import portal_client, whole
from tests.faults.breaking import BREAKS, SECRET
from tests.faults.table import CALLS, FAULTS
from tests.faults.worlds import serving_diverted
from tests.harness.portal import Customer
from tests.harness.secrets import decoded
from tests.harness.world import World
from workflows import policies
from workflows.policies import Step

DAY = timedelta(days=1)
# Every call, in the order in which the longest road first makes it.
ROAD = tuple(
    call.name
    for call in (
        calls.READ_CLIENT,
        calls.MINT_SESSION,
        calls.READ_CLIENT_AS_ITSELF,
        calls.BACK_UP,
        calls.STORE_CIPHER_TEXT,
        calls.CONFIRM_BACKUP,
        calls.ENABLE_EJECT,
        calls.FETCH_SHARES,
        calls.READ_CIPHER_TEXT,
        calls.COMPLETE,
    )
)
NAMES = tuple(FAULTS)
# In the n-th of these ejects each call meets another fault; together they meet every fault there is.
SPREAD = [
    {call: NAMES[(turn * len(ROAD) + place) % len(NAMES)] for place, call in enumerate(ROAD)}
    for turn in range(-(-len(NAMES) // len(ROAD)))
]
# The vault's own time-out, in seconds (custody/vault.py).
VAULT = 8


class Walk:
    """One eject on the road that makes every call: claimed, closed, extended, claimed again, proven."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.customer: Customer = world.sandbox.seed()
        self.handle = starter.handle_of(world.client, self.customer.client_id)
        self.parks: list[Park] = []

    async def to_its_end(self) -> Receipt:
        """Walk it; whatever parks is retried, because each fault is gone by then."""
        world, customer = self.world, self.customer
        self.handle = await world.start(customer)
        await self.until(lambda told: told.stage is Stage.AWAITING_CLAIM)
        await world.claim(customer)
        await world.until_close(customer, self.handle, -timedelta(minutes=1))
        await self.until(lambda told: told.stage is Stage.UNRESOLVED)
        await world.extend(customer, DAY)
        await self.until(lambda told: told.stage is Stage.AWAITING_CLAIM)
        await world.prove(customer, world.proofs(await world.claim(customer)))
        await self.until(lambda _: False)
        return await self.handle.result()

    async def until(self, reached: Callable[[Status], bool]) -> None:
        """Retry what parks, and skip the waits between attempts, until then or the end."""
        for _ in range(100):
            told = await starter.status(self.world.client, self.customer.client_id)
            if isinstance(told, Receipt) or reached(told):
                return
            if told.park is not None:
                self.parks.append(told.park)
                await self.world.retry(self.customer, told.park.number)
            else:
                with suppress(RPCError):  # it may just have ended
                    await self.world.forward(self.handle, timedelta(seconds=5))
        raise AssertionError(f"it does not go on: {told}")

    def parked_as(self, plan: dict[str, str]) -> None:
        """It parked at each of these faults that does not pass by itself, in order, and at nothing else."""
        expected = [(call, fault, FAULTS[fault].parked(call)) for call, fault in plan.items()]
        parked = [(call, fault, failure) for call, fault, failure in expected if failure]
        assert [park.failure for park in self.parks] == [failure for _, _, failure in parked]
        for park, (call, fault, failure) in zip(self.parks, parked, strict=True):
            assert f"'{call}'" in park.reason or not FAULTS[fault].reported(call)
            assert park.mend == RULES[failure].mend


async def walk(world: World, plan: dict[str, str]) -> None:
    """An eject in which these calls meet these faults, and what must hold of it."""
    async with serving_diverted(world) as diverting:
        diverting.plan.update({call: BREAKS[fault] for call, fault in plan.items()})
        one = Walk(world)
        receipt = await one.to_its_end()
        assert diverting.plan == {}, "not every call was made"
    one.parked_as(plan)
    assert receipt.end is End.EJECTED
    assert world.completions(one.customer) == 1
    filters = {"client_id": one.customer.client_id, "effect": "pairs_completed"}
    assert len(world.sandbox.journal(**filters)) == 1
    assert world.left_in_vault() == [f"receipts/{one.customer.client_id}/{receipt.eject_id}.json"]
    assert not [text for text in decoded(await world.history(one.handle)) if SECRET in text]


def test_the_road_makes_every_call_and_the_spread_meets_every_fault() -> None:
    """A new call or a new fault is met without anybody's doing."""
    assert set(ROAD) == CALLS.keys()
    assert {fault for plan in SPREAD for fault in plan.values()} == FAULTS.keys()
    assert all(plan.keys() == CALLS.keys() for plan in SPREAD)


@pytest.mark.parametrize("turn", range(len(SPREAD)))
async def test_an_eject_survives_a_fault_on_every_call(workerless: World, turn: int) -> None:
    """Each call meets another fault; together these ejects meet all."""
    await walk(workerless, SPREAD[turn])


@pytest.mark.chaos
@pytest.mark.parametrize("fault", FAULTS)
async def test_an_eject_survives_each_fault_on_every_call(workerless: World, fault: str) -> None:
    """The whole matrix: all calls of one eject meet the same fault."""
    await walk(workerless, dict.fromkeys(ROAD, fault))


async def withdraw(world: World, fault: str) -> None:
    """An eject that is cancelled while its window is open, and both calls that close it meet the fault."""
    plan = dict.fromkeys((calls.READ_CLIENT.name, calls.ENABLE_EJECT.name), fault)
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
    by_wallet = workerless.settings.model_copy(update={"completion": Completion.WALLET})
    async with serving_diverted(replace(workerless, settings=by_wallet)) as other:
        earlier = Identity.generate()
        leaving = workerless.sandbox.seed()
        workerless.sandbox.add_backup(leaving.client_id, "enclave", recipient=earlier.recipient)
        handle = await workerless.start(
            leaving, backup="existing", fetch_as="client", backup_method="PASSWORD"
        )
        await workerless.reach(handle, Stage.AWAITING_CLAIM)
        means = OwnersBackup(identities=(earlier,))
        await workerless.prove(leaving, workerless.proofs(await workerless.claim(leaving), means))
        assert (await workerless.end(handle)).end is End.EJECTED
    async with serving_diverted(workerless) as diverting:
        cancelled = workerless.sandbox.seed()
        handle = await workerless.start(cancelled)
        await workerless.reach(handle, Stage.AWAITING_CLAIM)
        await workerless.cancel(cancelled)
        assert (await workerless.end(handle)).end is End.CANCELLED
        await Walk(workerless).to_its_end()  # last, because it moves the sandbox's clock
    seconds = _slowest([*diverting.made, *other.made, *done])
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
