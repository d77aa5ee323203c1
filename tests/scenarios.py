"""The named scenarios: each drives one eject through the workflow to an end of its own.

Their histories are recorded (`make histories`), replayed and compared; so a scenario waits for what it has
caused before it goes on, and two runs of it give the same commands in the same order.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import starter
from contracts.approvals import Approve
from contracts.owner import Prove
from contracts.stages import End, Stage
from device.backups import OwnersBackup
from ejects.approvers import sign
from tests.harness.own_backup import AS_CLIENT, EXISTING, FETCH, backed_up_before
from tests.harness.portal import Customer
from tests.harness.receiver import Receiver
from tests.harness.world import World

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
APPROVERS = ("grace", "linus")


def key_of(world: World, approver: str) -> Path:
    """The file of an approver's key."""
    return world.vault_folder.parent / f"{approver}.pem"


class Play:
    """One eject being played: its world, its client, whoever is told of it, and its handle once started."""

    def __init__(self, world: World, receiver: Receiver) -> None:
        self.world, self.receiver = world, receiver
        self.customer: Customer = world.sandbox.seed()
        self.handle: starter.EjectHandle
        self.owners = OwnersBackup()

    async def start(self, **changes: object) -> None:
        """Deposit and start."""
        self.handle = await self.world.start(self.customer, **changes)

    async def to_the_claim(self, times: int = 1) -> None:
        """Until the window is open and the shares are there."""
        await self.world.reach(self.handle, Stage.AWAITING_CLAIM, times)

    async def proofs(self) -> Prove:
        """Claim, and have the device sign."""
        return self.world.proofs(await self.world.claim(self.customer), self.owners)

    async def prove(self, proofs: Prove) -> None:
        """Hand proofs in."""
        await self.world.prove(self.customer, proofs)

    async def past_the_close(self) -> None:
        """A claimed window closes."""
        assert await self.world.forward(self.handle, DAY + MINUTE)
        await self.world.reach(self.handle, Stage.UNRESOLVED)

    async def approve(self, by: str, *, signed: bool = False) -> None:
        """Somebody approves what `status` shows."""
        told = await self.world.told(self.customer)
        signature = sign(key_of(self.world, by), told, told.request_digest, by) if signed else None
        command = Approve(by=by, why="knows the owner", digest=told.request_digest, signature=signature)
        await starter.approve(self.world.client, self.customer.client_id, command)

    async def end(self, end: End) -> None:
        """The eject ends as it should."""
        assert (await self.world.end(self.handle)).end is end


Road = Callable[[Play], Awaitable[None]]


@dataclass(frozen=True)
class Scenario:
    """How an eject is driven, and what its worker is set to: signed approvals, a receiver of notices."""

    road: Road
    approvers: bool = False
    notices: bool = False


SCENARIOS: dict[str, Scenario] = {}


def scenario(*, approvers: bool = False, notices: bool = False) -> Callable[[Road], Road]:
    """Put a scenario into the table, by its name."""

    def put(road: Road) -> Road:
        SCENARIOS[road.__name__] = Scenario(road, approvers=approvers, notices=notices)
        return road

    return put


@scenario()
async def ejected(play: Play) -> None:
    """The straight road."""
    await play.start()
    await play.to_the_claim()
    await play.prove(await play.proofs())
    await play.end(End.EJECTED)


@scenario()
async def expired(play: Play) -> None:
    """Nobody claims."""
    await play.start()
    await play.to_the_claim()
    await play.end(End.EXPIRED)


@scenario()
async def expired_while_fetching(play: Play) -> None:
    """The close overtakes a fetch that fails and fails."""
    play.world.sandbox.fault("fetch_shares", "status", times=10_000, status=503)
    await play.start(window=timedelta(minutes=10))
    await play.world.reach(play.handle, Stage.FETCHING_SHARES)
    await play.end(End.EXPIRED)


@scenario()
async def cancelled(play: Play) -> None:
    """Before the claim, while the window is open."""
    await play.start()
    await play.to_the_claim()
    await play.world.cancel(play.customer)
    await play.end(End.CANCELLED)


@scenario()
async def cancelled_in_a_step(play: Play) -> None:
    """While the enclave does not answer."""
    play.world.sandbox.fault("back_up", "status", times=10_000, status=503)
    await play.start()
    await play.world.reach(play.handle, Stage.BACKING_UP)
    await play.world.cancel(play.customer)
    await play.end(End.CANCELLED)


@scenario()
async def closed(play: Play) -> None:
    """Claimed, and decided by a person."""
    await play.start()
    await play.to_the_claim()
    await play.proofs()
    await play.world.resolve(play.customer)
    await play.end(End.CLOSED)


@scenario()
async def already_ejected(play: Play) -> None:
    """The client has left before."""
    left = datetime(2026, 1, 2, tzinfo=UTC).isoformat()
    play.world.sandbox.change(play.customer.client_id, ejected_at=left)
    await play.start()
    await play.end(End.ALREADY_EJECTED)


@scenario()
async def refused(play: Play) -> None:
    """The client is unfit."""
    play.world.sandbox.change(play.customer.client_id, backup_with_portal_enabled=False)
    await play.start()
    await play.end(End.REFUSED)


@scenario()
async def park_and_retry(play: Play) -> None:
    """The deposit is missing: parked, retried in vain, parked again, mended, retried."""
    world = play.world
    play.handle = await starter.start(world.client, world.request(play.customer))
    await world.reach(play.handle, Stage.PARKED)
    await world.retry(play.customer, 1)
    await world.deposit(play.customer)
    await world.retry(play.customer, 2)
    await play.to_the_claim()
    await play.prove(await play.proofs())
    await play.end(End.EJECTED)


@scenario()
async def extension(play: Play) -> None:
    """More time, before the close."""
    await play.start()
    await play.to_the_claim()
    await play.world.extend(play.customer, 3 * DAY)
    assert await play.world.forward(play.handle, 2 * DAY)
    await play.prove(await play.proofs())
    await play.end(End.EJECTED)


@scenario()
async def reopened_after_the_purge(play: Play) -> None:
    """Claimed, closed unproven, opened once more, claimed again."""
    await play.start()
    await play.to_the_claim()
    await play.proofs()
    await play.past_the_close()
    await play.world.extend(play.customer, DAY)
    await play.to_the_claim(times=2)
    await play.prove(await play.proofs())
    await play.end(End.EJECTED)


@scenario()
async def late_proof(play: Play) -> None:
    """One wallet is proven in time, the other months after the close."""
    await play.start()
    await play.to_the_claim()
    first, second = (await play.proofs()).proofs
    await play.prove(Prove(proofs=(first,)))
    await play.past_the_close()
    assert await play.world.forward(play.handle, 90 * DAY)
    await play.prove(Prove(proofs=(second,)))
    await play.end(End.EJECTED)


@scenario()
async def native_cancel(play: Play) -> None:
    """The cancel button of the Temporal UI, before the claim."""
    await play.start()
    await play.to_the_claim()
    await play.handle.cancel()
    await play.end(End.CANCELLED)


@scenario()
async def native_cancel_ignored(play: Play) -> None:
    """The same button after the claim."""
    await play.start()
    await play.to_the_claim()
    proofs = await play.proofs()
    await play.handle.cancel()
    await play.prove(proofs)
    await play.end(End.EJECTED)


@scenario(approvers=True)
async def signed_approvals_and_cooling_off(play: Play) -> None:
    """Two approvers sign, then a day passes."""
    await play.start(approvals=2, cooling_off=DAY)
    await play.world.reach(play.handle, Stage.AWAITING_APPROVAL)
    for approver in APPROVERS:
        await play.approve(approver, signed=True)
    await play.world.reach(play.handle, Stage.COOLING_OFF)
    assert await play.world.forward(play.handle, DAY + MINUTE)
    await play.to_the_claim()
    await play.prove(await play.proofs())
    await play.end(End.EJECTED)


@scenario(notices=True)
async def told_of_everything(play: Play) -> None:
    """A service hears of approval, park, shares, warning, close, end; each before the next happens."""
    world, told = play.world, ["approval_needed"]
    play.handle = await starter.start(world.client, world.request(play.customer, approvals=1))
    await play.receiver.until(*told)
    await play.approve("grace")
    await play.receiver.until(*told, "parked")
    await world.deposit(play.customer)
    await world.retry(play.customer, 1)
    told += ["parked", "shares_ready"]
    await play.receiver.until(*told)
    proofs = await play.proofs()
    await world.until_close(play.customer, play.handle, timedelta(hours=1))
    told += ["window_closing"]
    await play.receiver.until(*told)
    assert await world.forward(play.handle, timedelta(hours=2))
    told += ["unresolved"]
    await play.receiver.until(*told)
    await play.prove(proofs)
    await play.end(End.EJECTED)
    await play.receiver.until(*told, "ejected")


@scenario()
async def claimed_twice_with_a_bad_proof(play: Play) -> None:
    """Both claims get the same answer; the bad proof is refused, the right one taken."""
    await play.start()
    await play.to_the_claim()
    right = await play.proofs()
    assert (await play.proofs()).proofs[0].bundle == right.proofs[0].bundle
    first, second = right.proofs
    flipped = f"{int(first.signature[:2], 16) ^ 1:02x}{first.signature[2:]}"
    try:
        await play.prove(Prove(proofs=(first.model_copy(update={"signature": flipped}), second)))
    except starter.EjectError as refused:
        assert "not by its key" in str(refused)
    await play.prove(right)
    await play.end(End.EJECTED)


@scenario()
async def existing_backup(play: Play) -> None:
    """The owner rebuilds from a backup that was made before; the custodian fetches."""
    play.owners = backed_up_before(play.world, play.customer)
    await play.start(**EXISTING)
    await play.to_the_claim()
    await play.prove(await play.proofs())
    await play.end(End.EJECTED)


@scenario()
async def fetched_as_client(play: Play) -> None:
    """The client itself fetches; its first read is lost, so that another window is opened."""
    play.owners = backed_up_before(play.world, play.customer)
    play.world.sandbox.fault(FETCH, "drop")
    await play.start(**AS_CLIENT)
    await play.to_the_claim()
    await play.prove(await play.proofs())
    await play.end(End.EJECTED)
