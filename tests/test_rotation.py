"""Every key and credential is exchanged under a running eject, in the order of `docs/rotation.md`.

Nothing is lost on the way: an eject goes on, or parks in words that say what mends it and goes on then.
"""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from temporalio.testing import TimeSkipper

import starter
from contracts.approvals import Approve, ApproveAnswer
from contracts.failures import Failure
from contracts.names import receipt_name
from contracts.parks import Park, RetryOutcome
from contracts.providers import Provider
from contracts.receipt import Receipt
from contracts.stages import End, Stage
from custody.audit import Audit
from custody.keys import make_key
from custody.receipts import read_receipt
from custody.signing import Trust
from device.identity import Identity
from ejects.approvers import sign
from runtime.codec import CodecError
from runtime.settings import ClientCredential
from tests.harness.codecs import new_key, with_keys
from tests.harness.portal import Customer
from tests.harness.processes import environment, run
from tests.harness.receiver import Receiver
from tests.harness.temporal import skip_to_the_end
from tests.harness.world import World, serving
from tests.test_providers import behind

HOUR = timedelta(hours=1)


def with_settings(world: World, **changes: object) -> World:
    """The same world after a restart of its workers with other settings."""
    return replace(world, settings=world.settings.model_copy(update=changes))


async def to_the_end(world: World, customer: Customer, handle: starter.EjectHandle) -> Receipt:
    """The owner's part."""
    await world.reach(handle, Stage.AWAITING_CLAIM)
    await world.prove(customer, world.proofs(await world.claim(customer)))
    return await world.end(handle)


async def agreed(world: World, customer: Customer) -> None:
    """Somebody approves, so that an eject that waited takes its next step."""
    digest = (await world.told(customer)).request_digest
    await starter.approve(
        world.client, customer.client_id, Approve(by="grace", why="asked the owner", digest=digest)
    )


async def parked(world: World, handle: starter.EjectHandle, customer: Customer) -> Park:
    """The halt at which an eject stands now."""
    await world.reach(handle, Stage.PARKED)
    park = (await world.told(customer)).park
    assert park
    return park


async def mended(world: World, handle: starter.EjectHandle, customer: Customer, park: Park) -> None:
    """The operator's retry, after which the eject ends as if nothing had been."""
    assert (await world.retry(customer, park.number)).outcome is RetryOutcome.DONE
    if park.step != "complete":
        await world.reach(handle, Stage.AWAITING_CLAIM)
        await world.prove(customer, world.proofs(await world.claim(customer)))
    assert (await world.end(handle)).end is End.EJECTED
    assert world.completions(customer) == 1


@pytest.mark.chaos
async def test_codec_keys_step_by_step(unserved: World) -> None:
    """Workers first and `starter` after them, at each step: every command is taken, and all is read."""
    a, b = new_key(), new_key()
    both, turned = {"a": a, "b": b}, {"b": b, "a": a}
    first = await with_keys(unserved, {"a": a})
    customer = unserved.sandbox.seed()
    handle = await first.start_with_short_tasks(customer, 1)
    length = timedelta(days=1)
    for workers, starters in (
        ({"a": a}, {"a": a}),
        (both, {"a": a}),
        (both, both),
        (turned, both),
        (turned, turned),
    ):
        async with serving(await with_keys(unserved, workers)):
            person = await with_keys(unserved, starters)
            await person.reach(handle, Stage.AWAITING_CLAIM)
            length += HOUR
            assert (await person.extend(customer, length)).window_closes
    # Workers do not change over at the same moment: one encrypts with the new key, one still with the old.
    async with serving(await with_keys(unserved, both)), serving(person):
        # Read with both keys: the receipt is under either.
        own = starter.handle_of(person.client, customer.client_id)
        assert (await to_the_end(person, customer, own)).end is End.EJECTED
    after = await with_keys(unserved, {"b": b})
    began = (await unserved.history(handle)).events[0].workflow_execution_started_event_attributes
    with pytest.raises(CodecError, match="the key a: add that key"):
        await after.client.data_converter.decode(began.input.payloads)
    async with serving(after):
        assert (await after.leave(unserved.sandbox.seed()))[1].end is End.EJECTED


async def test_the_client_roles_identity(unserved: World, tmp_path: Path) -> None:
    """Deposits to the old one are opened beside those to the new one, and are sealed anew before it goes."""
    identity = Identity.generate()
    identity.save(tmp_path / "new")
    old, new = unserved.settings.client_identity, (tmp_path / "new").read_text()
    assert old
    before, late, fresh = (unserved.sandbox.seed() for _ in range(3))
    async with serving(unserved):
        waiting = await unserved.start(before, approvals=1)
        await unserved.reach(waiting, Stage.AWAITING_APPROVAL)
    await unserved.deposit(late)
    several = SecretStr(f"{old.get_secret_value()}\n{new}")
    rotated = with_settings(unserved, client_identity=several, client_recipient=identity.recipient)
    async with serving(rotated):
        await agreed(rotated, before)
        assert (await to_the_end(rotated, before, waiting)).end is End.EJECTED
        assert (await rotated.leave(fresh))[1].end is End.EJECTED
    async with serving(with_settings(rotated, client_identity=SecretStr(new))):
        handle = await starter.start(rotated.client, rotated.request(late))
        park = await parked(rotated, handle, late)
        assert park.reason == "The deposit was sealed to no identity in EJECT_CLIENT_IDENTITY"
        assert "put the identity back that it was sealed to" in park.mend
        ran = await run("starter.py", "reseal", env=environment(**rotated.environment()))
        assert ran == (0, f"sealed anew\tdeposits/{late.client_id}/signing-shares.json\n", "")
        await mended(rotated, handle, late, park)


@pytest.mark.parametrize("provider", [Provider.PORTAL, pytest.param(Provider.TATUM, marks=pytest.mark.chaos)])
async def test_the_custodians_api_key(unserved: World, provider: Provider) -> None:
    """Rolled at Portal, or at Tatum: the next step parks; a worker with the new key goes on at `retry`."""
    world, customer = behind(unserved, provider), unserved.sandbox.seed()
    async with serving(world):
        handle = await world.start(customer, approvals=1)
        await world.reach(handle, Stage.AWAITING_APPROVAL)
        key = world.sandbox.roll_key("gateway" if provider is Provider.TATUM else "custodian")
        await agreed(world, customer)
        park = await parked(world, handle, customer)
        assert (park.step, park.failure) == ("check", Failure.CREDENTIAL_REJECTED)
        assert "the worker's settings and a restart" in park.mend
    async with serving(with_settings(world, custodian_api_key=key)):
        await mended(world, handle, customer, park)


async def test_a_clients_own_api_key(unserved: World) -> None:
    """Deposited again, the next attempt takes it: a park is mended by it, and in time there is none."""
    world = with_settings(unserved, client_credential=ClientCredential.STRICT)
    in_time, too_late = (world.sandbox.seed() for _ in range(2))
    async with serving(world):
        handles = {}
        for customer in (in_time, too_late):
            await world.deposit_api_key(customer)
            handles[customer] = await world.start(customer)
            await world.reach(handles[customer], Stage.AWAITING_CLAIM)
        await world.deposit_api_key(world.sandbox.roll_api_key(in_time))
        assert (await to_the_end(world, in_time, handles[in_time])).end is End.EJECTED
        rolled = world.sandbox.roll_api_key(too_late)
        await world.prove(too_late, world.proofs(await world.claim(too_late)))
        park = await parked(world, handles[too_late], too_late)
        assert (park.step, park.failure) == ("complete", Failure.CREDENTIAL_REJECTED)
        await world.deposit_api_key(rolled)
        await mended(world, handles[too_late], too_late, park)


async def test_approver_keys(workerless: World, tmp_path: Path) -> None:
    """A key that was taken out approves nothing more, a new one does at once; what was approved stays so."""
    keys = {name: make_key(tmp_path / name) for name in ("grace", "linus", "new linus", "mary")}
    first = with_settings(
        workerless, minimum_approvals=2, approvers={name: keys[name] for name in ("grace", "linus")}
    )
    one, two = workerless.sandbox.seed(), workerless.sandbox.seed()

    async def approve(customer: Customer, by: str, file: str | None = None) -> ApproveAnswer:
        told = await first.told(customer)
        signature = sign(tmp_path / (file or by), told, told.request_digest, by)
        command = Approve(by=by, why="asked the owner", digest=told.request_digest, signature=signature)
        return await starter.approve(first.client, customer.client_id, command)

    async with serving(first):
        handles = [await first.start(one), await first.start(two, cooling_off=HOUR)]
        for handle in handles:
            await first.reach(handle, Stage.AWAITING_APPROVAL)
        assert (await approve(one, "grace")).approvals == 1
    now = {"linus": keys["new linus"], "mary": keys["mary"]}
    async with serving(with_settings(first, approvers=now)):
        with pytest.raises(starter.EjectError, match="grace is no approver: see EJECT_APPROVERS"):
            await approve(two, "grace")
        with pytest.raises(starter.EjectError, match="not by linus's key"):
            await approve(two, "linus")
        for customer, by, count in ((one, "mary", 2), (two, "linus", 1), (two, "mary", 2)):
            assert (await approve(customer, by, "new linus" if by == "linus" else None)).approvals == count
        assert (await first.told(two)).stage is Stage.COOLING_OFF
    async with serving(with_settings(first, approvers={"grace": keys["grace"]})):
        assert await TimeSkipper(first.client).fast_forward(handles[1], HOUR)
        receipts = [await to_the_end(first, c, h) for c, h in zip((one, two), handles, strict=True)]
    assert [[(a.by, a.key) for a in receipt.approvals] for receipt in receipts] == [
        [("grace", keys["grace"]), ("mary", keys["mary"])],
        [("linus", keys["new linus"]), ("mary", keys["mary"])],
    ]
    assert first.audit() == []


async def test_the_receipt_key(unserved: World, tmp_path: Path) -> None:
    """Receipts before the change verify with the old public key, and the one chain goes on across it."""
    new = make_key(tmp_path / "new.pem")
    customer = unserved.sandbox.seed()
    async with serving(unserved):
        gone = (await unserved.leave(unserved.sandbox.seed()))[1]
        handle = await unserved.start(customer)
        await unserved.reach(handle, Stage.AWAITING_CLAIM)
    pem = SecretStr((tmp_path / "new.pem").read_text())
    async with serving(with_settings(unserved, receipt_key=pem)):
        last = await to_the_end(unserved, customer, handle)
    old, vault = unserved.receipt_key, unserved.vault_folder
    for receipt, right, wrong in ((gone, old, new), (last, new, old)):
        data = (vault / receipt_name(receipt.client_id, receipt.eject_id)).read_bytes()
        assert read_receipt(data, Trust({right}))[1] == []
        assert read_receipt(data, Trust({wrong}))[1] == ["is signed with a key that was not named with --key"]
    audit = Audit(vault, Trust({old, new}))
    assert [*audit.problems()] == []
    assert audit.head
    assert audit.head.number == 2
    assert len([*Audit(vault, Trust({new})).problems()]) == 2, "the old entry and its receipt"


@pytest.mark.chaos
async def test_the_secret_of_notices(workerless: World) -> None:
    """Signed with both, whichever the receiver has; after a plain switch they wait until both sides agree."""
    receiver, other = Receiver(), Receiver()
    old, new = SecretStr(receiver.secret), SecretStr(other.secret)
    world = with_settings(workerless, notify_url=receiver.url, notify_secret=old)
    customer = world.sandbox.seed()
    both = with_settings(world, notify_secret=SecretStr(f"{new.get_secret_value()} {receiver.secret}"))
    async with receiver.listening():
        async with serving(both):
            handle = await both.start(customer, approvals=1)
            await receiver.until("approval_needed")
            receiver.secret = other.secret
            await agreed(both, customer)
            await receiver.until("approval_needed", "shares_ready")
        async with serving(world):  # a worker that still has the old one alone: refused, and not lost
            receipt = await to_the_end(world, customer, handle)
            async with receiver.changed:
                await receiver.changed.wait_for(lambda: bool(receiver.refused))
        async with serving(with_settings(world, notify_secret=new)):
            notice = world.client.get_workflow_handle(f"eject-notice-{receipt.eject_id}-3")
            await skip_to_the_end(world.client, notice)
            await receiver.until("approval_needed", "shares_ready", "ejected")
