"""Whole ejects with the vault on S3: a worker process of each role, each with its own key and policy."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

import starter
from contracts.names import released_prefix
from contracts.owner import ClaimAnswer
from contracts.stages import End, Stage
from custody.vault import Vault
from device.backups import OwnersBackup
from device.opening import OpenedWallet
from tests.harness.portal import Customer
from tests.harness.processes import environment, run
from tests.harness.relay import Relay, relaying
from tests.harness.s3 import S3Server
from tests.harness.world import PATIENCE, World
from tests.test_two_roles import ONLY_CLIENTS, ONLY_CUSTODIANS
from tests.test_worker_process import settings_of, worker

pytestmark = pytest.mark.production

ENCRYPTED = {"AWS_SERVER_SIDE_ENCRYPTION": "AES256"}


@dataclass
class S3World(World):
    """A world whose vault is a bucket; everybody in it is the user that they would be."""

    s3: S3Server
    relay: Relay

    @property
    def vault(self) -> Vault:
        """The vault as whoever deposits opens it."""
        return self.s3.vault("depositor")

    def rebuild(self, answer: ClaimAnswer, backup: OwnersBackup | None = None) -> tuple[OpenedWallet, ...]:
        """The owner's app reads what was released, and the device rebuilds the keys."""
        self.s3.copy(self.vault_folder, "reader", released_prefix(answer.eject_id))
        return super().rebuild(answer, backup)

    def left_in_vault(self) -> list[str]:
        """Every file in the bucket but for the chain."""
        self.s3.copy(self.vault_folder)
        return super().left_in_vault()

    def of(self, role: str) -> dict[str, str]:
        """The environment of a worker of one role: its key, and the relay for an endpoint."""
        without = ONLY_CLIENTS if role == "custodian" else ONLY_CUSTODIANS
        own = self.s3.environment(role) | ENCRYPTED | {"AWS_ENDPOINT_URL": self.relay.endpoint}
        return settings_of(self, *without, **own)


@pytest.fixture
def relay(s3: S3Server) -> Iterator[Relay]:
    """What the workers believe to be the store; it notes all that they ask."""
    with relaying(s3.endpoint) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def world(workerless: World, s3: S3Server, relay: Relay) -> S3World:
    """A world with a bucket, whose workers are processes."""
    own: dict[str, Any] = {field.name: getattr(workerless, field.name) for field in fields(World)}
    own["settings"] = workerless.settings.model_copy(update={"vault_url": s3.url})
    return S3World(**own, s3=s3, relay=relay)


@asynccontextmanager
async def both(world: S3World) -> AsyncIterator[None]:
    """A worker process of each role, under its own policy."""
    async with worker("custodian", world.of("custodian")), worker("client", world.of("client")):
        yield


async def trying(world: S3World, customer: Customer, step: str) -> None:
    """Wait until a step is being tried again."""
    async with asyncio.timeout(PATIENCE):
        while step not in [one.step for one in await starter.trying(world.client, customer.client_id)]:
            pass


async def test_an_eject_ends_under_the_policies(world: S3World, tmp_path: Path) -> None:
    """To its signed receipt, which an auditor verifies from a copy; nothing else stays, all was encrypted."""
    customer = world.sandbox.seed()
    async with both(world):
        await world.deposit_api_key(customer)
        _, receipt = await world.leave(customer)
    assert receipt.end is End.EJECTED
    assert world.completions(customer) == 1
    eject_id = receipt.eject_id
    name = f"receipts/{customer.client_id}/{eject_id}.json"
    assert world.left_in_vault() == [name]

    copy = tmp_path / "copy"
    for prefix in ("receipts/", "chain/"):
        world.s3.copy(copy, "auditor", prefix)
    verify = ["starter.py", "verify-receipt", "--key", world.receipt_key]
    for more in ([str(copy / name)], ["--chain", str(copy)]):
        code, out, err = await run(*verify, *more, env=environment())
        assert (code, err) == (0, ""), out
    written = [request for request in world.relay.requests if request.method == "PUT"]
    assert len(written) >= 7
    assert {request.headers.get("x-amz-server-side-encryption") for request in written} == {"AES256"}


async def test_an_eject_outlives_the_store(world: S3World) -> None:
    """Killed while the claim is copied, and once more before the purge: the steps wait for it and go on."""
    customer = world.sandbox.seed()
    async with both(world):
        await world.deposit_api_key(customer)
        handle = await world.start(customer)
        await world.reach(handle, Stage.AWAITING_CLAIM)
        world.s3.kill()
        claiming = asyncio.create_task(world.claim(customer))
        await trying(world, customer, "release")
        await asyncio.to_thread(world.s3.start)
        proofs = world.proofs(await claiming)
        world.s3.kill()
        await world.prove(customer, proofs)
        await world.reach(handle, Stage.CLOSING)
        await trying(world, customer, "purge")
        await asyncio.to_thread(world.s3.start)
        receipt = await world.end(handle)
    assert receipt.end is End.EJECTED
    assert world.left_in_vault() == [f"receipts/{customer.client_id}/{receipt.eject_id}.json"]
    assert world.audit() == []


async def test_a_policy_that_was_taken_away_parks_and_goes_on(world: S3World) -> None:
    """The custodian may no longer list: the purge parks with what is refused, and `retry` ends the eject."""
    customer = world.sandbox.seed()
    async with both(world):
        await world.deposit_api_key(customer)
        handle = await world.start(customer)
        await world.reach(handle, Stage.AWAITING_CLAIM)
        proofs = world.proofs(await world.claim(customer))
        policy = world.s3.policy_of("custodian")
        world.s3.set_policy("custodian", policy.replace("s3:ListBucket", "s3:GetBucketLocation"))
        await world.prove(customer, proofs)
        await world.reach(handle, Stage.PARKED)
        park = (await world.told(customer)).park
        assert park is not None
        assert (park.step, park.reason) == ("purge", "The vault refuses this worker's credentials")
        world.s3.set_policy("custodian", policy)
        await world.retry(customer, park.number)
        receipt = await world.end(handle)
    assert receipt.end is End.EJECTED
    assert world.left_in_vault() == [f"receipts/{customer.client_id}/{receipt.eject_id}.json"]
