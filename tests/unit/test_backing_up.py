"""Back up and confirm backup: one enclave call, one file, and Portal reads it as completed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pyrage
import pytest
from pydantic import SecretStr

from activities.back_up import BackUpStep
from activities.confirm_backup import ConfirmBackupStep
from contracts.base import canonical
from contracts.failures import Failure, StepError
from contracts.names import Role, backup_name, deposit_name
from contracts.sealing import Half, SealedBackup, SealedRef
from contracts.steps import BackedUp, BackUp, ConfirmBackup
from contracts.wallets import Curve
from custody.deposits import Deposits
from custody.sealing import seal_deposit
from custody.vault import Vault
from tests.device import second
from tests.device.bundles import leaked, make, random_wallet
from tests.unit.fakes import (
    CLIENT,
    EJECT,
    Customer,
    FakePortal,
    client_body,
    customer,
    identity,
    json_answer,
    run,
    vault_url,
)

BACKUP = "POST /v1/backup"
READ = "GET /clients/me"
CONFIRM = "PATCH /clients/me/backup-share-pairs"


class World:
    """The client role with its key, a vault, and a Portal that backs up."""

    def __init__(self, folder: Path) -> None:
        self.vault = Vault(vault_url(folder))
        self.portal = FakePortal()
        self.customer: Customer = customer()
        self.key, self.recipient = identity()
        self.owner, self.owner_recipient = identity()
        self.portal.says(READ, client_body(self.customer.made))
        self.portal.says(BACKUP, self.customer.shares())

    async def deposit(self, body: Any = None) -> None:
        """Put signing shares where the step looks for them."""
        text = json.dumps(self.customer.shares() if body is None else body)
        await self.vault.replace(deposit_name(CLIENT), seal_deposit(SecretStr(text), self.recipient))

    async def back_up(self) -> BackedUp:
        """One attempt of the step."""
        step = BackUpStep(self.portal.clients, self.vault, Deposits(self.vault, SecretStr(str(self.key))))
        what = BackUp(
            eject_id=EJECT,
            client_id=CLIENT,
            recipient=self.owner_recipient,
            wallets=self.customer.wallets,
        )
        return await run(step.back_up, what)

    async def confirm(self, files: tuple[SealedRef, ...]) -> tuple[str, ...]:
        """One attempt of the step after it."""
        step = ConfirmBackupStep(self.portal.clients, self.vault)
        what = ConfirmBackup(eject_id=EJECT, client_id=CLIENT, files=files)
        return (await run(step.confirm_backup, what)).pairs

    async def refused(self, failure: Failure) -> StepError:
        """An attempt that ends so, writes nothing and shows no share."""
        before = await self.vault.read(backup_name(EJECT))
        with pytest.raises(StepError) as caught:
            await self.back_up()
        assert caught.value.failure is failure
        assert await self.vault.read(backup_name(EJECT)) == before
        shares = [secret for made in self.customer.made for secret in made.secrets()]
        shown = f"{caught.value} {caught.value!r}"
        assert not [secret for secret in shares if secret in shown]
        assert leaked(caught.value, [str(self.key)]) == []
        return caught.value


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A world of its own."""
    return World(tmp_path)


def opened(world: World, age: str) -> Half:
    """A half as its owner opens it."""
    return Half.model_validate_json(pyrage.decrypt(age.encode(), [world.owner]))


async def test_a_backup_is_made_and_sealed_to_the_owner(world: World) -> None:
    """One enclave call, one file with a half per wallet; history gets digests, pairs and commitments."""
    await world.deposit()
    answer = await world.back_up()
    assert world.portal.calls() == [READ, BACKUP]
    sent = json.loads(world.portal.requests[1].content)["generateResponse"]
    assert json.loads(sent) == world.customer.shares()
    written = await world.vault.read(backup_name(EJECT))
    assert written is not None
    files = SealedBackup.model_validate_json(written).files
    for made, file, ref in zip(world.customer.made, files, answer.files, strict=True):
        half = opened(world, file.age)
        assert (half.wallet, half.pair, half.role) == (made.wallet.id, made.pair, Role.CLIENT)
        assert half.share == made.share(Role.CLIENT)
        assert (ref.wallet, ref.pair, ref.commitment) == (file.wallet, file.pair, file.commitment)
        shown = answer.model_dump_json() + written.decode()
        assert not [secret for secret in made.secrets() if secret in shown]


async def test_a_file_that_is_there_is_the_answer(world: World) -> None:
    """A repeat after "written, not recorded" makes no new pairs: neither enclave nor deposit is touched."""
    await world.deposit()
    first = await world.back_up()
    await world.vault.remove_all("deposits/")
    world.portal.requests.clear()
    assert await world.back_up() == first
    assert world.portal.calls() == []


@pytest.mark.parametrize("landed", [True, False])
async def test_a_vault_write_that_was_lost_is_looked_for_first(
    world: World, monkeypatch: pytest.MonkeyPatch, landed: bool
) -> None:
    """If the write landed it is the answer; if not, the backup is simply made again."""
    await world.deposit()
    put = Vault._put

    def lose(vault: Vault, name: str, data: bytes, mode: str) -> None:
        if landed:
            put(vault, name, data, mode)
        raise StepError(Failure.VAULT_UNAVAILABLE, "lost")

    monkeypatch.setattr(Vault, "_put", lose)
    with pytest.raises(StepError):
        await world.back_up()
    monkeypatch.undo()
    answer = await world.back_up()
    assert len(answer.files) == 2
    assert world.portal.calls() == [READ, BACKUP] * (1 if landed else 2)


async def test_of_two_attempts_at_once_one_file_is_the_answer(world: World) -> None:
    """Attempts may overlap: who writes second answers with the first one's pairs, not with its own."""
    await world.deposit()
    first = SealedBackup(files=())

    def answer(request: httpx.Request) -> httpx.Response:
        # The other attempt writes while this one waits for the enclave.
        path = Path(world.vault._root or "") / backup_name(EJECT)
        path.parent.mkdir(parents=True)
        path.write_bytes(canonical(first))
        return json_answer(world.customer.shares())(request)

    world.portal.answers[BACKUP] = answer
    assert (await world.back_up()).files == ()


async def test_a_damaged_backup_file_parks(world: World) -> None:
    """It may not be made anew: its pairs may be stored with Portal already."""
    await world.deposit()
    await world.vault.create(backup_name(EJECT), b'{"files": [{"age": "Zq7planted"}]}')
    error = await world.refused(Failure.HELD_MISSING)
    assert "Zq7planted" not in str(error)
    assert world.portal.calls() == []


async def test_without_a_deposit_there_is_no_call(world: World) -> None:
    """The operator is told what to deposit for whom."""
    error = await world.refused(Failure.DEPOSIT_MISSING)
    assert CLIENT in error.sentence
    assert world.portal.calls() == []


DEPOSITS: dict[str, Callable[[World], bytes]] = {
    "to another role": lambda world: seal_deposit(
        SecretStr(json.dumps(world.customer.shares())), identity()[1]
    ),
    "garbage": lambda _: b"garbage",
    "no JSON inside": lambda world: seal_deposit(SecretStr("garbage"), world.recipient),
    "of another client": lambda world: seal_deposit(
        SecretStr(json.dumps(customer().shares())), world.recipient
    ),
    "without a wallet": lambda world: seal_deposit(
        SecretStr(json.dumps({k: v for k, v in world.customer.shares().items() if k != "ED25519"})),
        world.recipient,
    ),
}


@pytest.mark.parametrize("name", DEPOSITS)
async def test_a_deposit_that_is_not_this_clients_makes_no_call(world: World, name: str) -> None:
    """Nothing is sent to the enclave that was not sealed for this client's wallets."""
    await world.vault.replace(deposit_name(CLIENT), DEPOSITS[name](world))
    await world.refused(Failure.DEPOSIT_UNREADABLE)
    assert world.portal.calls() == []


def _other_pair(world: World) -> dict[str, Any]:
    shares = world.customer.shares()
    shares["ED25519"]["id"] = "pair-another"
    return shares


def _other_key(world: World) -> dict[str, Any]:
    other = random_wallet(Curve.ED25519, "e")  # the same pair, another key
    return world.customer.shares() | {"ED25519": {"share": other.share(Role.CLIENT), "id": other.pair}}


def _one_missing(world: World) -> dict[str, Any]:
    return {"SECP256K1": world.customer.shares()["SECP256K1"]}


def _no_share(world: World) -> dict[str, Any]:
    return world.customer.shares() | {"ED25519": {"share": "Zq7planted", "id": "pair-e"}}


@pytest.mark.parametrize(
    ("reply", "failure"),
    [
        (_other_pair, Failure.PAIR_MISMATCH),
        (_other_key, Failure.PAIR_MISMATCH),
        (_one_missing, Failure.SHARE_UNREADABLE),
        (_no_share, Failure.SHARE_UNREADABLE),
        (lambda _: {}, Failure.SHARE_UNREADABLE),
    ],
)
async def test_a_backup_of_another_key_is_never_sealed(world: World, reply: Any, failure: Failure) -> None:
    """What the enclave answers must name its own pair and the wallet's own key, for every wallet."""
    await world.deposit()
    world.portal.says(BACKUP, reply(world))
    error = await world.refused(failure)
    assert "Zq7planted" not in str(error)


async def test_a_wallet_with_the_smallest_key_backs_up(world: World) -> None:
    """Short numbers are keys too."""
    world.customer = Customer(
        (make(Curve.SECP256K1, 1, "s"), make(Curve.ED25519, second.ORDER[Curve.ED25519] - 1, "e"))
    )
    world.portal.says(BACKUP, world.customer.shares())
    await world.deposit()
    assert len((await world.back_up()).files) == 2


def _completed(world: World, *statuses: str) -> dict[str, Any]:
    body = client_body(world.customer.made)
    for wallet, made, status in zip(body["wallets"], world.customer.made, statuses, strict=True):
        wallet["backupSharePairs"] = [{"id": made.pair, "status": status}]
    return body


async def test_the_cipher_texts_are_stored_then_confirmed_then_read_back(world: World) -> None:
    """Each half's very text under its pair, both pairs at once, and Portal calls them completed."""
    await world.deposit()
    files = (await world.back_up()).files
    stores = [f"PATCH /clients/me/backup-share-pairs/{file.pair}" for file in files]
    for call in (*stores, CONFIRM):
        world.portal.says(call, {}, status=200)
    world.portal.says(READ, _completed(world, "completed", "completed"))
    world.portal.requests.clear()
    for _ in range(2):  # every call may be repeated
        world.portal.requests.clear()
        assert await world.confirm(files) == tuple(file.pair for file in files)
        assert world.portal.calls() == [*stores, CONFIRM, READ]
    sealed = SealedBackup.model_validate_json(await world.vault.read(backup_name(EJECT)) or b"").files
    sent = [json.loads(request.content)["clientCipherText"] for request in world.portal.requests[:2]]
    assert sent == [file.age for file in sealed]


@pytest.mark.parametrize("status", ["incomplete", "", "STORED_CUSTODIAN_BACKUP_SHARE"])
async def test_a_backup_that_portal_does_not_call_completed_is_tried_again(world: World, status: str) -> None:
    """Portal may take its time: one pair of two is not enough."""
    await world.deposit()
    files = (await world.back_up()).files
    for call in (*(f"{CONFIRM}/{file.pair}" for file in files), CONFIRM):
        world.portal.says(call, {})
    world.portal.says(READ, _completed(world, "completed", status))
    with pytest.raises(StepError) as caught:
        await world.confirm(files)
    assert caught.value.failure is Failure.PORTAL_UNAVAILABLE


@pytest.mark.parametrize("gone", [True, False])
async def test_a_backup_that_is_not_the_one_in_history_makes_no_call(world: World, gone: bool) -> None:
    """The cipher text is found by its digest; another one is never stored with Portal."""
    await world.deposit()
    files = (await world.back_up()).files
    await world.vault.remove_all("held/")
    if not gone:
        await world.back_up()
    world.portal.requests.clear()
    with pytest.raises(StepError) as caught:
        await world.confirm(files)
    assert caught.value.failure is Failure.HELD_MISSING
    assert world.portal.calls() == []


async def test_a_read_back_about_another_client_confirms_nothing(world: World) -> None:
    """Pairs that another client calls completed are not this one's."""
    await world.deposit()
    files = (await world.back_up()).files
    for call in (*(f"{CONFIRM}/{file.pair}" for file in files), CONFIRM):
        world.portal.says(call, {})
    world.portal.says(READ, _completed(world, "completed", "completed") | {"id": "client-2"})
    with pytest.raises(StepError) as caught:
        await world.confirm(files)
    assert caught.value.failure is Failure.CREDENTIAL_REJECTED
