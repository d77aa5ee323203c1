"""Deposits that are missing, somebody else's, or none but hold secrets."""

from pathlib import Path

import pyrage
from pydantic import SecretStr

import starter
from contracts.failures import Failure
from contracts.names import api_key_name, deposit_name
from contracts.stages import Stage
from custody.sealing import seal_deposit
from tests.planted.scenario import scenario
from tests.planted.scene import Scene


@scenario()
async def no_deposit(scene: Scene) -> None:
    """Then it is deposited by command line."""
    world = scene.world
    await starter.start(world.client, world.request(scene.customer))
    park = await scene.parked(Failure.DEPOSIT_MISSING)
    shares = scene.customer.generate_response.get_secret_value()
    await scene.done("deposit", "--client", scene.customer.client_id, "--file", "-", stdin=shares)
    await scene.retried(park)
    await scene.reach(Stage.AWAITING_CLAIM)
    await scene.cancelled()


def put(scene: Scene, name: str, data: bytes) -> bytes | None:
    """Put another file into the vault; what lay there."""
    path: Path = scene.world.vault_folder / name
    before = path.read_bytes() if path.exists() else None
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return before


def sealed(scene: Scene, text: str) -> bytes:
    """A deposit as the client role opens it."""
    return seal_deposit(SecretStr(text), str(scene.world.settings.client_recipient))


async def wrong_deposits(scene: Scene, name: str, *deposits: bytes, failure: Failure) -> None:
    """Each parks; the last retry has the right one again."""
    right = put(scene, name, deposits[0])
    await starter.start(scene.world.client, scene.world.request(scene.customer))
    park = await scene.parked(failure)
    for deposit in deposits[1:]:
        put(scene, name, deposit)
        park = await scene.retried_in_vain(park, failure)
    assert right is not None
    put(scene, name, right)
    await scene.retried(park)
    await scene.reach(Stage.AWAITING_CLAIM)


@scenario(quick=True)
async def wrong_deposits_of_shares(scene: Scene) -> None:
    """Another client's, one that is none but holds secrets, one cut short, one sealed to somebody else."""
    other = scene.world.sandbox.seed()
    own = scene.customer.generate_response.get_secret_value()
    nobody = str(pyrage.x25519.Identity.generate().to_public())
    await scene.world.deposit(scene.customer)
    await wrong_deposits(
        scene,
        deposit_name(scene.customer.client_id),
        sealed(scene, other.generate_response.get_secret_value()),
        sealed(scene, own[5:]),
        sealed(scene, own[:-300]),
        seal_deposit(scene.customer.generate_response, nobody),
        failure=Failure.DEPOSIT_UNREADABLE,
    )
    await scene.leave()


@scenario("strict")
async def left_with_the_clients_own_key(scene: Scene) -> None:
    """The client role has no other credential; the key is deposited by command line."""
    await scene.start()
    park = await scene.parked(Failure.DEPOSIT_MISSING)
    command = ("deposit", "--client", scene.customer.client_id, "--api-key", "--file", "-")
    await scene.done(*command, stdin=scene.customer.api_key.get_secret_value())
    scene.fault("read_client_as_itself", 500)
    await scene.retried(park)
    await scene.reach(Stage.AWAITING_CLAIM)
    await scene.leave()


@scenario("strict")
async def wrong_deposits_of_a_key(scene: Scene) -> None:
    """Another client's, one with a line break, one that Portal does not take."""
    own = scene.customer.api_key.get_secret_value()
    other = scene.world.sandbox.seed().api_key.get_secret_value()
    await scene.world.deposit_api_key(scene.customer)
    await scene.world.deposit(scene.customer)
    await wrong_deposits(
        scene,
        api_key_name(scene.customer.client_id),
        sealed(scene, other),
        sealed(scene, f"{own}\n{own}"),
        sealed(scene, own[:-1]),
        failure=Failure.CREDENTIAL_REJECTED,
    )
    await scene.cancelled()
