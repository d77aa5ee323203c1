"""Every park that a remote system, a deposit or the vault can bring about, with secrets in what caused it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pyrage
from pydantic import SecretStr

import starter
from contracts.failures import Failure
from contracts.names import api_key_name, backup_name, custodian_half_name, deposit_name
from contracts.stages import End, Stage
from custody.sealing import seal_deposit
from runtime.development import free_port
from tests.planted.faults import parks_and_leaves
from tests.planted.scene import DAY, Scene, scenario


@scenario(quick=True)
async def credentials_rejected_everywhere(scene: Scene) -> None:
    """401 and 403 with an echo, at calls of both credentials."""
    for call in ("read_client", "back_up", "fetch_shares"):
        scene.fault(call, 401)
    scene.fault("confirm_backup", 403)
    await scene.start()
    for times in range(1, 5):
        await scene.retried(await scene.parked(Failure.CREDENTIAL_REJECTED, times))
    await scene.reach(Stage.AWAITING_CLAIM)
    await scene.leave()


@scenario()
async def the_enclave_names_an_error(scene: Scene) -> None:
    """Documented ids beside an echo, and an id that is a token."""
    scene.fault("back_up", 500, scene.echo() | {"id": "AUTH_FAILED"})
    await parks_and_leaves(scene, Failure.CREDENTIAL_REJECTED)


@scenario()
async def the_enclave_cannot_read_the_shares(scene: Scene) -> None:
    """It repeats what it could not read."""
    scene.fault("back_up", 400, scene.echo() | {"id": "SHARE_PARSING_FAILED"})
    await parks_and_leaves(scene, Failure.DEPOSIT_UNREADABLE)


@scenario()
async def not_found(scene: Scene) -> None:
    """The pair is unknown, says an echo."""
    scene.fault("store_cipher_text", 404)
    await parks_and_leaves(scene, Failure.NOT_FOUND)


@scenario()
async def refused_by_portal(scene: Scene) -> None:
    """400 with an echo, once completion is owed."""
    scene.fault("complete_client", 400)
    await scene.claimable()
    await scene.world.prove(scene.customer, await scene.claim())
    await scene.retried(await scene.parked(Failure.PORTAL_REFUSED))
    await scene.ends(End.EJECTED)


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


@scenario(quick=True)
async def other_shares_than_were_backed_up(scene: Scene) -> None:
    """Garbage, another pair's half, and a share where the cipher text should be."""
    sandbox, first = scene.world.sandbox, scene.wallets[0]
    sandbox.change(scene.customer.client_id, wallets={first: {"next_fetch": "other_pair"}})
    await scene.start()
    park = await scene.parked(Failure.PAIR_MISMATCH)
    sandbox.change(scene.customer.client_id, wallets={first: {"next_fetch": "other_cipher_text"}})
    park = await scene.retried_in_vain(park, Failure.CIPHER_TEXT_CHANGED)
    shares = scene.customer.generate_response.get_secret_value()
    scene.fault("fetch_shares", 200, {"encryptedClientBackupShare": shares, "custodianBackupShare": shares})
    park = await scene.retried_in_vain(park, Failure.SHARE_UNREADABLE)
    await scene.retried(park)
    await scene.reach(Stage.AWAITING_CLAIM)
    await scene.leave()


@scenario()
async def other_wallets_than_were_checked(scene: Scene) -> None:
    """A wallet is added behind the eject's back, and removed."""
    scene.fault("confirm_backup", 400)
    await scene.start()
    park = await scene.parked(Failure.PORTAL_REFUSED)
    before = set(scene.wallets)
    scene.world.sandbox.change(scene.customer.client_id, add_wallet="ED25519")
    (added,) = set(scene.wallets) - before
    await scene.retried(park)
    park = await scene.parked(Failure.WALLETS_CHANGED, times=2)
    scene.world.sandbox.change(scene.customer.client_id, remove_wallet=added)
    await scene.retried(park)
    await scene.reach(Stage.AWAITING_CLAIM)
    await scene.cancelled()


@scenario()
async def files_of_the_vault_are_damaged(scene: Scene) -> None:
    """A share stands where a sealed half should, at the claim."""
    await scene.claimable()
    eject = (await scene.world.told(scene.customer)).eject_id
    names = (custodian_half_name(eject, scene.wallets[0]), backup_name(eject))
    # A cut half, not a share: what lies in the vault is searched too.
    right = {name: put(scene, name, b'{"files": [{"wallet": ') for name in names}
    claiming = asyncio.create_task(scene.world.claim(scene.customer))
    park = await scene.parked(Failure.HELD_MISSING)
    for name, data in right.items():
        assert data is not None
        put(scene, name, data)
    await scene.retried(park)
    await scene.world.prove(scene.customer, scene.proofs(await claiming))
    await scene.ends(End.EJECTED)


@scenario()
async def a_cipher_text_that_is_a_share(scene: Scene) -> None:
    """After a purge Portal answers a share where its cipher text should be."""
    await scene.claimable()
    await scene.claim()
    await scene.forward(DAY + timedelta(minutes=1))
    await scene.reach(Stage.UNRESOLVED)
    shares = scene.customer.generate_response.get_secret_value()
    scene.fault("read_cipher_text", 200, {"cipherText": shares})
    await scene.world.extend(scene.customer, DAY)
    await scene.retried(await scene.parked(Failure.CIPHER_TEXT_CHANGED))
    await scene.reach(Stage.AWAITING_CLAIM, times=2)
    await scene.leave()


@asynccontextmanager
async def refusing_store(body: str) -> AsyncIterator[int]:
    """An object store that refuses everything, and repeats what it was told; its port."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            told = f"<Error><Code>AccessDenied</Code><Message>{body}</Message></Error>".encode() + head
            answer = f"HTTP/1.1 403 Forbidden\r\nContent-Length: {len(told)}\r\nConnection: close\r\n\r\n"
            writer.write(answer.encode() + told)
            await writer.drain()
        finally:
            writer.close()

    port = free_port()
    server = await asyncio.start_server(refuse, "127.0.0.1", port)
    async with server:
        yield port


@scenario(None)
async def the_vault_refuses(scene: Scene) -> None:
    """An object store that takes no credentials and repeats them, at the first step that reads it."""
    secret = scene.keep("the store's secret", "Zq7S3secret" + scene.customer.api_key.get_secret_value()[-30:])
    async with refusing_store(secret) as port:
        scene.room.env.update(
            EJECT_VAULT_URL="s3://ejects/vault",
            AWS_ACCESS_KEY_ID="AKIAPLANTED",
            AWS_SECRET_ACCESS_KEY=secret,
            AWS_SESSION_TOKEN=secret,
            AWS_REGION="eu-central-1",
            AWS_ENDPOINT=f"http://127.0.0.1:{port}",
            AWS_ALLOW_HTTP="true",
        )
        odd = ("-m", "tests.harness.odd_worker", "speaks_plain_http_to_its_store")
        async with scene.place.worker(scene.room, *odd):
            await scene.start()
            await scene.parked(Failure.VAULT_REFUSED)
            who = ("--client", scene.customer.client_id)
            code, _ = await scene.cli("deposit", *who, "--file", "-", stdin=secret)
            assert code != 0
            code, _ = await scene.cli("sweep")
            assert code != 0
            await scene.world.cancel(scene.customer)
            # Its copies cannot be listed and destroyed, which is tried for as long as it takes.
            await scene.troubled("purge")
            await scene.handle.terminate("the scenario is over")
