"""When two things meet: one test for each row of what decides, both orders where there are two."""

import asyncio
from datetime import timedelta

import pytest
from temporalio import activity
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowUpdateFailedError

import starter
from activities.verify import verify
from contracts.failures import Failure, StepError
from contracts.owner import ClaimAnswer, Prove, Verified, Verify
from contracts.parks import RetryOutcome
from contracts.receipt import Status
from contracts.stages import End, Stage
from custody.vault import Vault
from serving import steps
from tests.harness.portal import Customer
from tests.harness.world import PATIENCE, World, serving

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


async def awaiting_claim(world: World) -> tuple[Customer, starter.EjectHandle]:
    """An eject whose window is open for a day."""
    customer = world.sandbox.seed()
    handle = await world.start(customer)
    await world.reach(handle, Stage.AWAITING_CLAIM)
    return customer, handle


class BlockedCopy:
    """Writes to `released/` fail until the test lets them through."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open = False
        self.tried = asyncio.Event()
        original = Vault.create

        async def create(vault: Vault, name: str, data: bytes) -> bytes:
            if name.startswith("released/") and not self.open:
                self.tried.set()
                raise StepError(Failure.VAULT_UNAVAILABLE, "The vault is down")
            return await original(vault, name, data)

        monkeypatch.setattr(Vault, "create", create)


async def claiming(world: World, customer: Customer) -> "asyncio.Task[ClaimAnswer]":
    """A claim in the background."""
    return asyncio.create_task(world.claim(customer))


async def test_a_copy_that_runs_at_the_close_is_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Claimed in time, and the copy succeeds within the grace: answered, then purged, then unresolved."""
    customer, handle = await awaiting_claim(world)
    copy = BlockedCopy(monkeypatch)
    await world.until_close(customer, handle, timedelta(seconds=122))
    claim = await claiming(world, customer)
    await copy.tried.wait()
    assert await world.forward(handle, timedelta(seconds=121))
    copy.open = True  # the next attempt comes two seconds after the close
    assert await world.forward(handle, timedelta(seconds=5))
    answer = await claim
    assert answer.client_id == customer.client_id
    await world.forward(handle, timedelta(seconds=60))
    await world.reach(handle, Stage.UNRESOLVED)
    assert not [name for name in world.left_in_vault() if not name.startswith("deposits/")]
    await world.resolve(customer)
    assert (await world.end(handle)).end is End.CLOSED


async def test_a_copy_that_never_ends_is_cancelled_after_the_close(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The close waits half a minute and no longer; the claim is told so, and counts as claimed."""
    customer, handle = await awaiting_claim(world)
    copy = BlockedCopy(monkeypatch)
    await world.until_close(customer, handle, timedelta(seconds=122))
    claim = await claiming(world, customer)
    await copy.tried.wait()
    assert await world.forward(handle, timedelta(seconds=200))
    with pytest.raises(starter.EjectError, match="window closed before the files could be released"):
        await claim
    await world.reach(handle, Stage.UNRESOLVED)
    assert not [name for name in world.left_in_vault() if not name.startswith("deposits/")]
    await world.resolve(customer)
    assert (await world.end(handle)).end is End.CLOSED


async def test_two_claims_at_once_get_one_copy_and_the_same_answer(world: World) -> None:
    """The second claim waits for the first copy."""
    customer, handle = await awaiting_claim(world)
    one, two = await asyncio.gather(world.claim(customer), world.claim(customer))
    assert one == two
    await world.prove(customer, world.proofs(one))
    receipt = await world.end(handle)
    assert receipt.end is End.EJECTED
    history = await world.history(handle)
    scheduled = [e.activity_task_scheduled_event_attributes.activity_type.name for e in history.events]
    assert scheduled.count("release") == 1


async def test_two_proofs_at_once_are_both_taken(world: World) -> None:
    """The same proofs twice at once, and each wallet's on its own at once: one completion."""
    customer, handle = await awaiting_claim(world)
    proofs = world.proofs(await world.claim(customer))
    first, second = (Prove(proofs=(proof,)) for proof in proofs.proofs)
    answers = await asyncio.gather(
        *(world.prove(customer, prove) for prove in (first, first, second)), return_exceptions=True
    )
    refused = [answer for answer in answers if isinstance(answer, BaseException)]
    assert all("proven already" in str(error) or "No proof is awaited" in str(error) for error in refused)
    assert (await world.end(handle)).end is End.EJECTED
    assert world.completions(customer) == 1


async def test_two_starts_at_once_are_one_eject(world: World) -> None:
    """Both callers hold the same run."""
    customer = world.sandbox.seed()
    await world.deposit(customer)
    request = world.request(customer)
    one, two = await asyncio.gather(
        starter.start(world.client, request), starter.start(world.client, request)
    )
    assert (await one.describe()).run_id == (await two.describe()).run_id
    await world.reach(one, Stage.AWAITING_CLAIM)
    await world.cancel(customer)
    assert (await world.end(one)).end is End.CANCELLED


def verifying_slowly(monkeypatch: pytest.MonkeyPatch) -> tuple[asyncio.Event, asyncio.Event]:
    """Workers that start now tell by the first event that they verify, and do once the second is set."""
    entered, passed = asyncio.Event(), asyncio.Event()

    @activity.defn(name="verify")
    async def slow(what: Verify) -> Verified:
        entered.set()
        await passed.wait()
        return await verify(what)

    monkeypatch.setattr(steps, "verify", slow)
    return entered, passed


async def claimed_with_a_short_task_timeout(
    world: World, customer: Customer
) -> tuple[starter.EjectHandle, Prove]:
    """An eject whose worker reports, and hears of what happens, also while it verifies; and its proofs."""
    handle = await world.start_with_short_tasks(customer, 2)
    await world.reach(handle, Stage.AWAITING_CLAIM)
    return handle, world.proofs(await world.claim(customer))


async def test_a_proof_that_is_being_verified_at_the_close_counts(
    workerless: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Accepted before the close, verified after it: the close waits, and completion is owed."""
    entered, passed = verifying_slowly(monkeypatch)
    world, customer = workerless, workerless.sandbox.seed()
    async with serving(world):
        handle, proofs = await claimed_with_a_short_task_timeout(world, customer)
        await world.until_close(customer, handle, SECOND)
        proving = asyncio.create_task(world.prove(customer, proofs))
        await entered.wait()
        await fired(handle)
        passed.set()
        assert (await proving).awaited == ()
        receipt = await world.end(handle)
    assert receipt.end is End.EJECTED
    assert receipt.times.proven
    assert receipt.times.window_closes
    assert receipt.times.proven > receipt.times.window_closes


async def fired(handle: starter.EjectHandle) -> None:
    """Follow the history until a timer has fired."""
    async with asyncio.timeout(PATIENCE):
        async for event in handle.fetch_history_events(wait_new_event=True):
            if event.event_type == EventType.EVENT_TYPE_TIMER_FIRED:
                return


async def test_an_extension_that_the_close_overtakes_is_undone(world: World) -> None:
    """Portal has moved the window and nobody heard: the close wins, and the window is shrunk again."""
    customer, handle = await awaiting_claim(world)
    await world.until_close(customer, handle, timedelta(seconds=30))
    world.sandbox.fault("enable_eject", "drop")
    world.sandbox.fault("enable_eject", "status", times=100, status=503)
    extending = asyncio.create_task(world.extend(customer, timedelta(days=9)))
    await called(world, customer, "enable_eject", times=3)
    assert max(world.portal_closes(customer)) - world.sandbox.now() > timedelta(days=8)
    assert await world.forward(handle, timedelta(seconds=31))
    with pytest.raises(starter.EjectError, match="before the extension was made"):
        await extending
    world.sandbox.clear_faults()
    receipt = await world.end(handle)
    assert receipt.end is End.EXPIRED
    assert max(world.portal_closes(customer)) - world.sandbox.now() < timedelta(seconds=100)


async def called(world: World, customer: Customer, call: str, times: int) -> None:
    """Wait until Portal has been called so often."""
    async with asyncio.timeout(PATIENCE):
        # Portal tells nobody that it was called: each look is a call of its own, and the loop is bounded.
        while len(world.sandbox.journal(client_id=customer.client_id, call=call)) < times:  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_a_cancel_beats_an_enable_that_nobody_heard_of(world: World) -> None:
    """The window may be open though it was never acknowledged: it is shrunk all the same."""
    customer = world.sandbox.seed()
    world.sandbox.fault("enable_eject", "drop")
    world.sandbox.fault("enable_eject", "status", times=100, status=503)
    handle = await world.start(customer)
    await called(world, customer, "enable_eject", times=2)
    assert world.portal_closes(customer) != []
    await world.cancel(customer)
    world.sandbox.clear_faults()
    receipt = await world.end(handle)
    assert receipt.end is End.CANCELLED
    assert receipt.times.window_opened is None
    assert max(world.portal_closes(customer)) - world.sandbox.now() < timedelta(seconds=100)


async def test_a_claim_after_a_cancel_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other order of claim and cancel: the vault is down, so the eject is still closing."""
    customer, handle = await awaiting_claim(world)
    vault = blocked_purge(monkeypatch)
    await world.cancel(customer)
    with pytest.raises(starter.EjectError, match="nothing to claim"):
        await world.claim(customer)
    with pytest.raises(starter.EjectError, match="is closing"):
        await world.cancel(customer)
    with pytest.raises(starter.EjectError, match="is closing"):
        await world.extend(customer, DAY)
    vault.set()
    assert (await world.end(handle)).end is End.CANCELLED


def blocked_purge(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Deletions in the vault fail until the event is set."""
    mended = asyncio.Event()
    original = Vault.remove_all

    async def remove_all(vault: Vault, prefix: str) -> int:
        if not mended.is_set():
            raise StepError(Failure.VAULT_UNAVAILABLE, "The vault is down")
        return await original(vault, prefix)

    monkeypatch.setattr(Vault, "remove_all", remove_all)
    return mended


async def test_once_all_wallets_are_proven_nothing_ends_it_but_completion(world: World) -> None:
    """Cancel, resolve and a native cancellation are refused or ignored: completion is owed."""
    customer, handle = await awaiting_claim(world)
    world.sandbox.fault("complete_client", "status", times=1000, status=503)
    await world.prove(customer, world.proofs(await world.claim(customer)))
    await world.reach(handle, Stage.COMPLETING)
    for command in (world.cancel, world.resolve):
        with pytest.raises(starter.EjectError, match="completion is owed"):
            await command(customer)
    with pytest.raises(starter.EjectError, match="needs no longer window"):
        await world.extend(customer, timedelta(days=3))
    await handle.cancel()
    world.sandbox.clear_faults()
    receipt = await world.end(handle)
    assert receipt.end is End.EJECTED
    assert [c.command for c in receipt.commands] == ["native cancel ignored"]


async def test_a_completion_that_portal_refuses_after_the_close(world: World) -> None:
    """It parks; extend only opens the window again, nothing is fetched, and retry completes."""
    customer, handle = await awaiting_claim(world)
    proofs = world.proofs(await world.claim(customer))
    world.sandbox.switch(gate_completion_by_window=True)
    await world.until_close(customer, handle, 20 * SECOND)
    world.sandbox.fault(
        "read_client_as_itself", "status", times=1, status=429, headers={"Retry-After": "120"}
    )
    await world.prove(customer, proofs)
    assert await world.forward(handle, timedelta(minutes=3))
    await world.reach(handle, Stage.PARKED)
    park = (await world.told(customer)).park
    assert park
    assert (park.step, park.failure) == ("complete", Failure.PORTAL_REFUSED)
    fetched = len(world.sandbox.journal(client_id=customer.client_id, call="fetch_shares"))
    assert (await world.extend(customer, DAY)).window_closes
    assert (await world.told(customer)).stage is Stage.PARKED
    await world.retry(customer, park.number)
    receipt = await world.end(handle)
    assert receipt.end is End.EJECTED
    assert len(world.sandbox.journal(client_id=customer.client_id, call="fetch_shares")) == fetched
    assert world.completions(customer) == 1


async def test_a_window_that_reads_null_is_not_taken_for_closed(world: World) -> None:
    """Spent, not closed: our own clock decides, and nothing opens it again by shrinking it."""
    customer, handle = await awaiting_claim(world)
    wallets = world.sandbox.client(customer.client_id)["wallets"]
    world.sandbox.change(customer.client_id, wallets={w["id"]: {"ejectable_until": None} for w in wallets})
    assert await world.forward(handle, timedelta(hours=20))
    answer = await world.claim(customer)
    assert answer.client_id == customer.client_id
    await world.resolve(customer)
    assert (await world.end(handle)).end is End.CLOSED
    assert world.portal_closes(customer) == []


async def test_a_start_while_parked_joins_or_is_refused(world: World) -> None:
    """A park holds the client's id, as any stage does."""
    customer = world.sandbox.seed()
    handle = await starter.start(world.client, world.request(customer))
    await world.reach(handle, Stage.PARKED)
    joined = await starter.start(world.client, world.request(customer))
    assert (await joined.describe()).run_id == (await handle.describe()).run_id
    with pytest.raises(starter.EjectError, match="running with another requested_by, reason"):
        await starter.start(world.client, world.request(customer, requested_by="eve", reason="to take it"))
    await world.cancel(customer)
    assert (await world.end(handle)).end is End.CANCELLED


async def test_the_last_proof_does_not_wait_for_a_purge_that_fails(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The vault is down at the close; the owner proves, and completion goes on without it."""
    customer, handle = await awaiting_claim(world)
    proofs = world.proofs(await world.claim(customer))
    vault = blocked_purge(monkeypatch)
    assert await world.forward(handle, DAY + timedelta(minutes=5))
    await world.prove(customer, proofs)
    await world.reach(handle, Stage.CLOSING)
    assert world.completions(customer) == 1
    vault.set()
    assert (await world.end(handle)).end is End.EJECTED


async def test_bad_proofs_are_forgiven_after_the_close(world: World) -> None:
    """Who spent twenty proofs before the close can still prove while unresolved, where no claim is taken."""
    customer, handle = await awaiting_claim(world)
    right = world.proofs(await world.claim(customer))
    wrong = right.model_copy(
        update={
            "proofs": tuple(
                p.model_copy(update={"signature": q.signature})
                for p, q in zip(right.proofs, reversed(right.proofs), strict=True)
            )
        }
    )
    for _ in range(20):
        with pytest.raises(starter.EjectError, match="not by its key"):
            await world.prove(customer, wrong)
    assert await world.forward(handle, DAY + timedelta(minutes=1))
    await world.reach(handle, Stage.UNRESOLVED)
    await world.prove(customer, right)
    assert (await world.end(handle)).end is End.EJECTED


@pytest.mark.parametrize("update", ["claim", "prove", "retry", "cancel", "resolve", "extend"])
@pytest.mark.parametrize("payload", [None, b"x"], ids=["null", "bytes"])
async def test_an_argument_that_is_no_json_is_refused(world: World, update: str, payload: object) -> None:
    """Payloads that no model reads reach a handler as they are: they are refused, and nothing wedges."""
    customer, handle = await awaiting_claim(world)
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update(update, payload)
    assert "The command is wrong" in str(refused.value.cause)
    assert isinstance(await starter.status(world.client, customer.client_id), Status)
    await world.cancel(customer)
    assert (await world.end(handle)).end is End.CANCELLED


async def test_a_resolve_waits_for_a_proof_that_is_being_verified(
    workerless: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proof was accepted first: closing the eject is refused until it is known to be right or wrong."""
    entered, passed = verifying_slowly(monkeypatch)
    world, customer = workerless, workerless.sandbox.seed()
    async with serving(world):
        handle, proofs = await claimed_with_a_short_task_timeout(world, customer)
        proving = asyncio.create_task(world.prove(customer, proofs))
        await entered.wait()
        with pytest.raises(starter.EjectError, match="being verified"):
            await world.resolve(customer)
        passed.set()
        await proving
        assert (await world.end(handle)).end is End.EJECTED


async def test_a_retry_that_a_cancel_overtakes_is_told_so(world: World) -> None:
    """The step runs again, transiently in trouble, when the eject is cancelled: the retry hears of it."""
    customer = world.sandbox.seed()
    handle = await starter.start(world.client, world.request(customer))
    await world.reach(handle, Stage.PARKED)
    await world.deposit(customer)
    world.sandbox.fault("back_up", "status", times=1000, status=503)
    retrying = asyncio.create_task(world.retry(customer, 1))
    await called(world, customer, "back_up", times=1)
    await world.cancel(customer)
    assert (await retrying).outcome is RetryOutcome.ABANDONED
    assert (await world.end(handle)).end is End.CANCELLED
