"""Every park that a remote system, a deposit or the vault can bring about, with secrets in what caused it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from contracts.failures import Failure
from contracts.names import backup_name, custodian_half_name
from contracts.stages import End, Stage
from runtime.development import free_port
from tests.planted.deposits import put
from tests.planted.faults import parks_and_leaves
from tests.planted.scenario import scenario
from tests.planted.scene import DAY, Scene


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
            # Its copies cannot be listed and destroyed either: the purge parks.
            park = await scene.parked(Failure.VAULT_REFUSED, 2)
            assert park.step == "purge"
            await scene.handle.terminate("the scenario is over")
