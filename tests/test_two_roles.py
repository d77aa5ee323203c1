"""The two roles as two processes: each holds its own half and credential, and never the other's."""

import shutil
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

import starter
from contracts.failures import Failure
from contracts.names import released_prefix
from contracts.parks import Park, RetryOutcome
from contracts.stages import End, Stage
from runtime.development import line_of, process
from tests.harness.codecs import as_setting, new_key
from tests.harness.portal import Customer
from tests.harness.processes import run
from tests.harness.secrets import secrets_of
from tests.harness.world import World
from tests.test_worker_process import NOWHERE, refused, settings_of, worker

ONLY_CUSTODIANS = ("EJECT_CUSTODIAN_API_KEY", "EJECT_RECEIPT_KEY")
ONLY_CLIENTS = ("EJECT_CLIENT_IDENTITY", "EJECT_CLIENT_RECIPIENT")
S3 = "s3://bucket/ejects"

# What is looked for in a process's memory, by a name for people, each in every form it could have there.
Traces = dict[str, tuple[bytes, ...]]


@asynccontextmanager
async def two_roles(world: World) -> AsyncIterator[None]:
    """A worker process of each role, with its own settings and none of the other's."""
    async with (
        worker("custodian", settings_of(world, *ONLY_CLIENTS)),
        worker("client", settings_of(world, *ONLY_CUSTODIANS)),
    ):
        yield


@asynccontextmanager
async def halting(world: World, role: str, points: Sequence[str], *without: str) -> AsyncIterator[Process]:
    """A worker of one role that stands still with its half in the clear, and goes on at SIGUSR1."""
    command = (sys.executable, "-m", "tests.harness.halting_worker", role, *points)
    async with process(*command, env=settings_of(world, *without)) as running:
        yield running


def memory(pid: int) -> list[bytes]:
    """Everything that a process could have written, region by region."""
    found = []
    with Path(f"/proc/{pid}/maps").open() as maps, Path(f"/proc/{pid}/mem").open("rb", buffering=0) as mem:
        for line in maps:
            place, rights, *_ = line.split()
            if not rights.startswith("rw"):
                continue
            start, end = (int(at, 16) for at in place.split("-"))
            with suppress(OSError):  # a region that has gone since
                mem.seek(start)
                found.append(mem.read(end - start).strip(b"\0"))
    return found


def traces(secrets: Mapping[str, str], *kinds: str) -> Traces:
    """The secrets of these kinds as they could lie in memory: as text, and numbers as bytes either way."""
    found = {}
    for name, secret in secrets.items():
        if not name.startswith(kinds):
            continue
        forms = [secret.encode()]
        if secret.isdigit():
            number = int(secret)
            length = (number.bit_length() + 7) // 8
            forms += [number.to_bytes(length, "big"), number.to_bytes(length, "little")]
        found[name] = tuple(forms)
    assert found, kinds
    return found


def seen(memories: Iterable[list[bytes]], looked_for: Traces) -> set[str]:
    """Which of them lay in any of these memories."""
    regions = [region for one in memories for region in one]
    return {
        name
        for name, forms in looked_for.items()
        if any(form in region for region in regions for form in forms)
    }


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="only Linux shows another process's memory")
async def test_no_process_ever_holds_the_others_half(workerless: World, tmp_path: Path) -> None:
    """While each half lies in the clear, and at the end: its own process holds it, the other never."""
    world, customer = workerless, workerless.sandbox.seed()
    await world.deposit_api_key(customer)
    custodians: list[list[bytes]] = []
    clients: list[list[bytes]] = []
    wallets = world.sandbox.client(customer.client_id)["wallets"]
    made = [f"{customer.client_id}/back_up/back_up/REPLIED"]
    fetched = [f"{customer.client_id}/fetch_shares/fetch_shares/REPLIED"] * len(wallets)
    async with (
        halting(world, "custodian", fetched, *ONLY_CLIENTS) as custodian,
        halting(world, "client", made, *ONLY_CUSTODIANS) as client,
    ):
        here = f"here {customer.client_id}"

        def look() -> None:
            custodians.append(memory(custodian.pid))
            clients.append(memory(client.pid))

        handle = await world.start(customer)
        assert await line_of(client) == here
        look()
        client.send_signal(signal.SIGUSR1)
        for _ in wallets:
            assert await line_of(custodian) == here
            look()
            custodian.send_signal(signal.SIGUSR1)
        await world.reach(handle, Stage.AWAITING_CLAIM)
        answer = await world.claim(customer)
        files = tmp_path / "files"
        shutil.copytree(world.vault_folder / released_prefix(answer.eject_id), files)
        await world.prove(customer, world.proofs(answer))
        assert (await world.end(handle)).end is End.EJECTED
        look()
        variables = [_environ(custodian), _environ(client)]
    secrets = secrets_of(world, customer, sorted(files.rglob("*.json")))
    kinds = ("signing share", "client half", "client nonce", "client key", "role identity")
    clients_own = traces(secrets, *kinds)
    custodians_own = traces(
        secrets, "custodian half", "custodian nonce", "any custodian", "custodian key", "receipt key"
    )
    assert seen(clients, custodians_own | traces(secrets, "session token")) == set()
    assert seen(custodians, clients_own) == set()
    # The controls: at these moments each half was there, the client's as Portal's text, and was found.
    texts = {name for name in clients_own if "(from " in name} | {"client key", "role identity"}
    assert len(texts) > 60
    assert texts <= seen(clients[:1], clients_own)
    numbers = {name for name in custodians_own if "half" in name} | {"custodian key", "receipt key"}
    assert len(numbers) == 8
    assert numbers <= seen(custodians[1:3], custodians_own)
    key = world.sandbox.custodian_key.get_secret_value().encode()
    assert [key in one for one in variables] == [True, False]


async def parked(world: World, handle: starter.EjectHandle, customer: Customer, times: int = 1) -> Park:
    """Wait until the eject has parked so often; the halt that stands."""
    await world.reach(handle, Stage.PARKED, times)
    park = (await world.told(customer)).park
    assert park is not None
    return park


async def test_a_missing_api_key_parks_until_it_is_deposited(workerless: World) -> None:
    """The first step as the client says what is missing; the deposit by command line mends it."""
    world, customer = workerless, workerless.sandbox.seed()
    async with two_roles(world):
        handle = await world.start(customer)
        park = await parked(world, handle, customer)
        assert (park.number, park.step, park.failure) == (1, "back_up", Failure.DEPOSIT_MISSING)
        assert park.reason == f"No API key was deposited for client {customer.client_id}"
        assert "--api-key" in park.mend
        assert world.sandbox.journal(call="mint_session") == []
        command = ["deposit", "--client", customer.client_id, "--api-key", "--file", "-"]
        env = settings_of(world, *ONLY_CUSTODIANS, "EJECT_CLIENT_IDENTITY")
        key = customer.api_key.get_secret_value()
        ran = await run("starter.py", *command, env=env, stdin=f"{key}\n")
        assert ran == (0, f"The API key of client {customer.client_id} is deposited.\n", "")
        assert (await world.retry(customer, 1)).outcome is RetryOutcome.DONE
        await world.reach(handle, Stage.AWAITING_CLAIM)
        await world.prove(customer, world.proofs(await world.claim(customer)))
        assert (await world.end(handle)).end is End.EJECTED
    assert world.sandbox.journal(call="mint_session") == []
    assert not [name for name in world.left_in_vault() if name.startswith("deposits/")]


async def test_another_clients_api_key_marks_nobody(workerless: World) -> None:
    """It backs up and completes nobody; with the right key the eject ends, and the other client stays."""
    world = workerless
    customer, other = world.sandbox.seed(), world.sandbox.seed()
    swapped = Customer(customer.client_id, other.api_key, customer.generate_response)
    async with two_roles(world):
        await world.deposit_api_key(swapped)
        handle = await world.start(customer)
        assert (await parked(world, handle, customer)).step == "back_up"
        assert world.sandbox.journal(effect="pair_made") == []
        await world.deposit_api_key(customer)
        assert (await world.retry(customer, 1)).outcome is RetryOutcome.DONE
        await world.reach(handle, Stage.AWAITING_CLAIM)
        await world.deposit_api_key(swapped)
        await world.prove(customer, world.proofs(await world.claim(customer)))
        park = await parked(world, handle, customer, times=2)
        assert (park.step, park.failure) == ("complete", Failure.CREDENTIAL_REJECTED)
        assert park.reason == "Portal answered with another client than this one"
        assert "--api-key" in park.mend
        assert world.sandbox.journal(effect="completed") == []
        await world.deposit_api_key(customer)
        assert (await world.retry(customer, park.number)).outcome is RetryOutcome.DONE
        assert (await world.end(handle)).end is End.EJECTED
    assert world.completions(customer) == 1
    assert world.sandbox.client(other.client_id)["ejectedAt"] is None


CODEC = as_setting({"a": new_key()})
ALL = "Production refuses --role all, which sees both halves of every key: run one of each role"
FILE = "EJECT_VAULT_URL: production refuses a file:// vault, one user's on one machine: use s3://"
SIMPLE = "EJECT_CLIENT_CREDENTIAL: production refuses simple, which needs the custodian's key: use strict"
NOT_CLIENTS, NO_RECEIPTS, NOT_CUSTODIANS = (
    f"{secret} is not for the {role} role: production refuses it, leave it out"
    for secret, role in (
        ("EJECT_CUSTODIAN_API_KEY", "client"),
        ("EJECT_RECEIPT_KEY", "client"),
        ("EJECT_CLIENT_IDENTITY", "custodian"),
    )
)


@pytest.mark.parametrize(
    ("role", "without", "other", "wrong"),
    [
        ("all", (), {}, [ALL, FILE, SIMPLE]),
        ("all", (), {"EJECT_VAULT_URL": S3, "EJECT_CLIENT_CREDENTIAL": "strict"}, [ALL]),
        ("client", (), {"EJECT_CLIENT_CREDENTIAL": "simple"}, [FILE, NO_RECEIPTS, SIMPLE]),
        ("client", (), {"EJECT_VAULT_URL": S3}, [NO_RECEIPTS, NOT_CLIENTS]),
        ("client", ONLY_CUSTODIANS, {}, [FILE]),
        ("custodian", (), {"EJECT_VAULT_URL": S3}, [NOT_CUSTODIANS]),
        ("custodian", ONLY_CLIENTS, {}, [FILE]),
    ],
)
async def test_production_refuses_what_is_for_development(
    workerless: World, role: str, without: tuple[str, ...], other: dict[str, str], wrong: list[str]
) -> None:
    """All of it, a line for each, before anything is connected to."""
    where = {"TEMPORAL_ADDRESS": NOWHERE, "EJECT_PRODUCTION": "true", "EJECT_CODEC_KEYS": CODEC}
    told = await refused(role, settings_of(workerless, *without, **(where | other)), lines=len(wrong))
    assert told.split("\n") == wrong


@pytest.mark.parametrize(("role", "without"), [("client", ONLY_CUSTODIANS), ("custodian", ONLY_CLIENTS)])
async def test_production_takes_split_roles_and_a_shared_vault(
    workerless: World, role: str, without: tuple[str, ...]
) -> None:
    """The control: with the settings that production wants, a role comes as far as Temporal's address."""
    where = {"TEMPORAL_ADDRESS": NOWHERE, "EJECT_PRODUCTION": "true", "EJECT_VAULT_URL": S3}
    where["EJECT_CODEC_KEYS"] = CODEC
    assert NOWHERE in await refused(role, settings_of(workerless, *without, **where))


def _environ(one: Process) -> bytes:
    return Path(f"/proc/{one.pid}/environ").read_bytes()
