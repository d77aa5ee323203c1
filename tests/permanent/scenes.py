"""What fails for good: the form of its rows, and the roads that lead to each step."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

import starter
from contracts.failures import Failure
from contracts.stages import End, Stage
from device.backups import OwnersBackup
from portal import calls
from portal.calls import Call
from tests.harness.own_backup import AS_CLIENT, EXISTING, backed_up_before
from tests.harness.portal import Customer
from tests.harness.world import World
from workflows import policies
from workflows.policies import Step

DAY = timedelta(days=1)
# Stands in every body that Portal refuses with, and in every error of the vault; nobody may repeat it.
SECRET = "Zq7planted0share1that2nobody3may4see"  # noqa: S105 (planted to be looked for)

# Not troubles but turns of the story: no park ever shows them.
TURNS = {Failure.WINDOW_AGED, Failure.WINDOW_CLOSED}
# The words without which what mends a failure would not tell an operator what to do.
MENDS = {
    Failure.UNEXPECTED: "update the worker",
    Failure.CREDENTIAL_REJECTED: "a credential that Portal takes",
    Failure.VAULT_REFUSED: "access to the vault",
    Failure.NOT_FOUND: "with Portal why it does not know this",
    Failure.PORTAL_REFUSED: "mend at Portal what it refuses",
    Failure.REPLY_UNREADABLE: "update the worker",
    Failure.DEPOSIT_MISSING: "`--api-key` for the API key",
    Failure.DEPOSIT_UNREADABLE: "`--api-key` for the API key",
    Failure.SHARE_UNREADABLE: "ask Portal why its share",
    Failure.PAIR_MISMATCH: "ask Portal why",
    Failure.CIPHER_TEXT_CHANGED: "who replaced the cipher text",
    Failure.WALLETS_CHANGED: "put the client's wallets back",
    Failure.HELD_MISSING: "from a backup, remove what is not its own from released/",
    Failure.MESSAGE_INVALID: "update the worker",
    Failure.WINDOW_SPENT: "who else fetched shares",
    Failure.WINDOWS_USED_UP: "why the client's fetch fails",
}


@dataclass
class Scene:
    """One eject and what a case needs to trouble it."""

    world: World
    patch: pytest.MonkeyPatch
    customer: Customer
    handle: starter.EjectHandle
    names: dict[str, str]
    owners: OwnersBackup = field(default_factory=OwnersBackup)

    @property
    def eject_id(self) -> str:
        """The id under which its files lie."""
        return str(self.handle.first_execution_run_id)

    def shown(self) -> dict[str, Any]:
        """The client as Portal shows it now."""
        return self.world.sandbox.client(self.customer.client_id)

    def fault(self, call: Call[Any], status: int, body: Any, **more: Any) -> None:
        """Have Portal answer the next such call about this client so."""
        (name,) = (name for name, known in vars(calls).items() if known is call)
        on_the_wire = "complete_client" if call is calls.COMPLETE else name.lower()
        client_id = self.customer.client_id
        self.world.sandbox.fault(on_the_wire, "status", status=status, body=body, client_id=client_id, **more)


# A cause troubles the scene; what stands after its `yield` is the mend.
Cause = Callable[[Scene], AbstractContextManager[None]]


Way = Callable[[Scene], AbstractAsyncContextManager[None]]


@dataclass(frozen=True)
class Row:
    """One failure at one step, with what causes and mends it; rows of the same `about` share one eject.

    `reason` is the sentence that `status` shows, without its trace; in braces stand names of the scene.
    `operation` is the vault's, where one is refused. `strict` and `by_wallet` say how the worker is set,
    `existing` that the road with a backup from before leads here; `slow` that pauses come before the park.
    """

    step: Step[Any, Any]
    about: str
    failure: Failure
    reason: str
    cause: Cause
    operation: str = ""
    strict: bool = False
    by_wallet: bool = False
    existing: bool = False
    slow: bool = False

    @property
    def road(self) -> "Road":
        """The way to where it shows."""
        road = ROADS[self.step.name]
        return replace(road, way=with_an_existing_backup) if self.existing else road


async def _started(scene: Scene) -> None:
    scene.handle = await scene.world.start(scene.customer)


async def _claimable(scene: Scene) -> None:
    await _started(scene)
    await scene.world.reach(scene.handle, Stage.AWAITING_CLAIM)


async def _prove(scene: Scene) -> None:
    world, customer = scene.world, scene.customer
    await world.prove(customer, world.proofs(await world.claim(customer), scene.owners))


@asynccontextmanager
async def before_the_claim(scene: Scene) -> AsyncIterator[None]:
    """The first steps run by themselves."""
    await _started(scene)
    yield
    await scene.world.reach(scene.handle, Stage.AWAITING_CLAIM)
    await _prove(scene)


@asynccontextmanager
async def with_an_existing_backup(scene: Scene) -> AsyncIterator[None]:
    """The custodian fetches the halves of a backup from before."""
    async with _from_before(scene, EXISTING):
        yield


@asynccontextmanager
async def as_the_client(scene: Scene) -> AsyncIterator[None]:
    """The client itself fetches them."""
    async with _from_before(scene, AS_CLIENT):
        yield


@asynccontextmanager
async def _from_before(scene: Scene, asked: dict[str, Any]) -> AsyncIterator[None]:
    scene.owners = backed_up_before(scene.world, scene.customer)
    scene.handle = await scene.world.start(scene.customer, **asked)
    yield
    await scene.world.reach(scene.handle, Stage.AWAITING_CLAIM)
    await _prove(scene)


@asynccontextmanager
async def at_the_claim(scene: Scene) -> AsyncIterator[None]:
    """The owner's first claim waits as long as the release does."""
    await _claimable(scene)
    claiming = asyncio.create_task(scene.world.claim(scene.customer))
    try:
        yield
        await scene.world.prove(scene.customer, scene.world.proofs(await claiming))
    finally:
        claiming.cancel()


@asynccontextmanager
async def after_an_extension(scene: Scene) -> AsyncIterator[None]:
    """Claimed, closed, and opened once more: both halves come back."""
    await _claimable(scene)
    await scene.world.claim(scene.customer)
    assert await scene.world.forward(scene.handle, DAY + timedelta(minutes=1))
    await scene.world.reach(scene.handle, Stage.UNRESOLVED)
    await scene.world.extend(scene.customer, DAY)
    yield
    await scene.world.reach(scene.handle, Stage.AWAITING_CLAIM, times=2)
    await _prove(scene)


@asynccontextmanager
async def once_proven(scene: Scene) -> AsyncIterator[None]:
    """What is owed after the last proof."""
    await _claimable(scene)
    await _prove(scene)
    yield


@asynccontextmanager
async def after_the_last_purge(scene: Scene) -> AsyncIterator[None]:
    """The wait before the last look is skipped."""
    await _claimable(scene)
    await _prove(scene)
    assert await scene.world.forward(scene.handle, timedelta(seconds=30))
    yield


@asynccontextmanager
async def at_a_cancel(scene: Scene) -> AsyncIterator[None]:
    """Cancelled while Portal's window is open."""
    await _claimable(scene)
    await scene.world.cancel(scene.customer)
    yield


@dataclass(frozen=True)
class Road:
    """The way to a step, the stage in which it parks, and the end that is right."""

    way: Way
    stage: Stage
    end: End = End.EJECTED


ROADS = {
    policies.CHECK.name: Road(before_the_claim, Stage.CHECKING),
    policies.BACK_UP.name: Road(before_the_claim, Stage.BACKING_UP),
    policies.CONFIRM_BACKUP.name: Road(before_the_claim, Stage.CONFIRMING_BACKUP),
    policies.ENABLE_EJECT.name: Road(before_the_claim, Stage.ENABLING),
    policies.FETCH_SHARES.name: Road(before_the_claim, Stage.FETCHING_SHARES),
    policies.FETCH_SHARES_AS_CLIENT.name: Road(as_the_client, Stage.FETCHING_SHARES),
    policies.READ_CIPHER_TEXTS.name: Road(with_an_existing_backup, Stage.FETCHING_SHARES),
    policies.RELEASE.name: Road(at_the_claim, Stage.AWAITING_PROOF),
    policies.RESTORE_BACKUP.name: Road(after_an_extension, Stage.FETCHING_SHARES),
    policies.SHRINK_WINDOW.name: Road(at_a_cancel, Stage.CLOSING, End.CANCELLED),
    policies.COMPLETE.name: Road(once_proven, Stage.COMPLETING),
    policies.PURGE.name: Road(once_proven, Stage.CLOSING),
    policies.DELETE_DEPOSIT.name: Road(after_the_last_purge, Stage.CLOSING),
    policies.WRITE_RECEIPT.name: Road(after_the_last_purge, Stage.CLOSING),
}
