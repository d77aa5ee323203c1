"""Nothing is done before enough people have agreed, to this very request, and the cooling-off is over."""

from datetime import timedelta
from pathlib import Path

import pytest

import starter
from contracts.approvals import Approve, ApproveAnswer
from contracts.receipt import Receipt
from contracts.stages import End, Stage
from custody.keys import make_key
from device.identity import Identity
from ejects.approvers import sign
from runtime.settings import Settings
from tests.harness.portal import Customer
from tests.harness.world import World, serving

DAY = timedelta(days=1)


async def approve(world: World, customer: Customer, by: str, **more: str | None) -> ApproveAnswer:
    """Somebody approves what `status` shows."""
    digest = more.pop("digest", None) or (await world.told(customer)).request_digest
    command = Approve.model_validate({"by": by, "why": "I know the owner", "digest": digest} | more)
    return await starter.approve(world.client, customer.client_id, command)


def untouched(world: World, customer: Customer) -> bool:
    """Whether Portal was only read, and only by us."""
    calls = {call["call"] for call in world.sandbox.journal(client_id=customer.client_id)}
    return calls <= {"read_client"} and not [n for n in world.left_in_vault() if n.startswith("held/")]


async def through(world: World, customer: Customer, handle: starter.EjectHandle) -> Receipt:
    """The rest of the road."""
    await world.reach(handle, Stage.AWAITING_CLAIM)
    await world.prove(customer, world.proofs(await world.claim(customer)))
    return await world.end(handle)


async def test_two_distinct_people_approve(world: World) -> None:
    """Not the requester, not the same one twice in other letters; the receipt calls the names asserted."""
    customer = world.sandbox.seed()
    handle = await world.start(customer, approvals=2)
    await world.reach(handle, Stage.AWAITING_APPROVAL)
    with pytest.raises(starter.EjectError, match="cannot approve it"):
        await approve(world, customer, "Ada")
    assert (await approve(world, customer, "grace")).approvals == 1
    with pytest.raises(starter.EjectError, match="has approved already"):
        await approve(world, customer, "GRACE ")
    assert untouched(world, customer)
    assert (await approve(world, customer, "linus")).approvals == 2
    receipt = await through(world, customer, handle)
    assert receipt.end is End.EJECTED
    assert [(a.by, a.signed) for a in receipt.approvals] == [("grace", False), ("linus", False)]


async def test_an_approval_given_to_another_request_does_not_pass(world: World) -> None:
    """A thief starts the same with a recipient of its own: the digest that was approved is not its own."""
    customer = world.sandbox.seed()
    request = world.request(customer, approvals=1)
    approved_digest = starter.digest_of(request)
    thief = world.request(customer, approvals=1, recipient=Identity.generate().recipient)
    handle = await starter.start(world.client, thief)
    await world.reach(handle, Stage.AWAITING_APPROVAL)
    with pytest.raises(starter.EjectError, match="for another request"):
        await approve(world, customer, "grace", digest=approved_digest)
    assert untouched(world, customer)
    await world.cancel(customer)
    assert (await world.end(handle)).end is End.CANCELLED


async def test_signed_approvals(workerless: World, tmp_path: Path) -> None:
    """With approver keys set, only their signatures over this eject's own text count."""
    world = workerless
    keys = {name: make_key(tmp_path / f"{name}.pem") for name in ("grace", "linus")}
    stranger = tmp_path / "stranger.pem"
    make_key(stranger)
    guarded = world.settings.model_copy(update={"minimum_approvals": 2, "approvers": keys})
    world.settings = guarded
    async with serving(world):
        customer = world.sandbox.seed()
        handle = await world.start(customer)
        await world.reach(handle, Stage.AWAITING_APPROVAL)
        told = await world.told(customer)
        with pytest.raises(starter.EjectError, match="signed here"):
            await approve(world, customer, "grace")
        with pytest.raises(starter.EjectError, match="is no approver"):
            await approve(world, customer, "eve", signature="0" * 128)
        forged = sign(stranger, told, told.request_digest, "grace")
        with pytest.raises(starter.EjectError, match="not by grace's key"):
            await approve(world, customer, "grace", signature=forged)
        other = told.model_copy(update={"eject_id": "another-eject"})
        replayed = sign(tmp_path / "grace.pem", other, told.request_digest, "grace")
        with pytest.raises(starter.EjectError, match="not by grace's key"):
            await approve(world, customer, "grace", signature=replayed)
        assert untouched(world, customer)
        right = sign(tmp_path / "grace.pem", told, told.request_digest, "grace")
        assert (await approve(world, customer, "grace", signature=right)).approvals == 1
        assert untouched(world, customer)
        second = sign(tmp_path / "linus.pem", told, told.request_digest, "linus")
        assert (await approve(world, customer, "linus", signature=second)).approvals == 2
        receipt = await through(world, customer, handle)
    assert receipt.end is End.EJECTED
    assert [(a.by, a.signed) for a in receipt.approvals] == [("grace", True), ("linus", True)]
    assert [a.key for a in receipt.approvals] == [keys["grace"], keys["linus"]]
    assert world.audit() == []
    assert (tmp_path / "grace.pem").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"requesters": ("eve",)}, "ada may not ask"),
        (
            {"minimum_approvals": 2, "approvers": {"ada": "a" * 64, "grace": "b" * 64}},
            "1 approvers beside the requester",
        ),
    ],
)
async def test_what_the_settings_forbid_is_refused(
    workerless: World, settings: dict[str, object], words: str
) -> None:
    """Who may not ask, and approvals that nobody could give, are refused at the first check."""
    world = workerless
    world.settings = world.settings.model_copy(update=settings)
    async with serving(world):
        receipt = await world.end(await world.start(world.sandbox.seed()))
    assert receipt.end is End.REFUSED
    assert words in receipt.reasons[0]


async def test_the_cooling_off_is_kept_across_a_worker_restart(workerless: World) -> None:
    """A durable timer: another worker goes on after it, and the client is checked again."""
    world = workerless
    customer = world.sandbox.seed()
    world.settings = world.settings.model_copy(update={"minimum_cooling_off": 3 * DAY})
    async with serving(world):
        handle = await world.start(customer, cooling_off=DAY, window=timedelta(days=9))
        await world.reach(handle, Stage.COOLING_OFF)
        assert await world.forward(handle, DAY)
    async with serving(world):
        assert await world.forward(handle, DAY)
        assert untouched(world, customer)
        assert await world.forward(handle, DAY + timedelta(minutes=1))
        receipt = await through(world, customer, handle)
    assert receipt.end is End.EJECTED
    assert receipt.times.approved
    assert receipt.times.backed_up
    assert receipt.times.backed_up - receipt.times.approved >= 3 * DAY
    assert len(world.sandbox.journal(client_id=customer.client_id, call="read_client")) >= 2


async def test_a_client_that_becomes_unfit_while_cooling_off_is_refused(world: World) -> None:
    """The check runs again after the wait."""
    customer = world.sandbox.seed()
    handle = await world.start(customer, cooling_off=DAY)
    await world.reach(handle, Stage.COOLING_OFF)
    world.sandbox.change(customer.client_id, backup_with_portal_enabled=False)
    receipt = await world.end(handle)
    assert receipt.end is End.REFUSED
    assert "manages its backups itself" in receipt.reasons[0]


async def test_a_request_can_only_ask_for_more(workerless: World) -> None:
    """A request without approvals meets a setting that demands them."""
    world = workerless
    world.settings = Settings.model_validate(world.settings.model_dump() | {"minimum_approvals": 1})
    async with serving(world):
        customer = world.sandbox.seed()
        handle = await world.start(customer, approvals=0)
        await world.reach(handle, Stage.AWAITING_APPROVAL)
        assert (await world.told(customer)).approvals_needed == 1
        await world.cancel(customer)
        assert (await world.end(handle)).end is End.CANCELLED


def test_a_key_file_is_never_overwritten(tmp_path: Path) -> None:
    """An existing file stays as it is."""
    path = tmp_path / "key.pem"
    path.write_text("mine")
    with pytest.raises(FileExistsError):
        make_key(path)
    assert path.read_text() == "mine"
