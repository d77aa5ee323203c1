"""Fetch shares, release and close: only inside the window, exactly what history names, and nothing left."""

import hashlib
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pyrage
import pytest

from activities.clock import AttemptClock
from activities.close import DeleteDepositStep, PurgeStep, WriteReceiptStep
from activities.fetch_shares import FetchSharesStep
from activities.release import ReleaseStep
from contracts.base import canonical
from contracts.chain import ReceiptFile
from contracts.failures import Failure, StepError
from contracts.names import (
    Role,
    backup_name,
    chain_name,
    custodian_half_name,
    deposit_name,
    receipt_name,
    released_name,
)
from contracts.receipt import Asserted, Receipt, Times
from contracts.sealing import Half, SealedBackup, SealedFile, SealedRef, digest, reference
from contracts.stages import End
from contracts.steps import DeleteDeposit, FetchShares, Purge, Release, SharesFetched, WriteReceipt
from custody.chain import Receipts
from custody.vault import Vault
from tests.device.bundles import Made
from tests.unit.fakes import (
    CLIENT,
    CLIENT_PATH,
    EJECT,
    NOW,
    FakePortal,
    customer,
    hold_clock,
    identity,
    json_answer,
    run,
    vault_url,
)

CLOSES = NOW + timedelta(hours=1)


def call_of(made: Made) -> str:
    """The call that fetches one wallet's half."""
    return f"GET {CLIENT_PATH}/wallets/{made.wallet.id}/ejectable-backup-shares"


class World:
    """The custodian role after a backup: its vault, and a Portal that hands out halves."""

    def __init__(self, folder: Path) -> None:
        self.vault = Vault(vault_url(folder))
        self.portal = FakePortal()
        self.made = customer().made
        self.owner, self.recipient = identity()
        self.backup = tuple(
            SealedFile(
                wallet=one.wallet.id, pair=one.pair, commitment="0" * 64, age=f"cipher text of {one.pair}"
            )
            for one in self.made
        )
        for one in self.made:
            self.portal.says(call_of(one), self.reply(one))

    def reply(self, one: Made, **changes: Any) -> dict[str, Any]:
        """What Portal answers for one wallet."""
        return {
            "encryptedClientBackupShare": f"cipher text of {one.pair}",
            "custodianBackupShare": one.share(Role.CUSTODIAN),
        } | changes

    @property
    def refs(self) -> tuple[SealedRef, ...]:
        """What history says of the backup."""
        return tuple(reference(Role.CLIENT, file) for file in self.backup)

    async def fetch(self, at: datetime = NOW) -> SharesFetched:
        """One attempt of the step."""
        what = FetchShares(
            eject_id=EJECT,
            client_id=CLIENT,
            recipient=self.recipient,
            backup=self.refs,
            not_after=CLOSES,
        )
        return await run(FetchSharesStep(self.portal.custodian, self.vault).fetch_shares, what, at=at)

    async def refused(self, failure: Failure, at: datetime = NOW) -> StepError:
        """An attempt that ends so and shows no share."""
        with pytest.raises(StepError) as caught:
            await self.fetch(at)
        assert caught.value.failure is failure
        shown = f"{caught.value} {caught.value!r}"
        assert not [secret for one in self.made for secret in one.secrets() if secret in shown]
        return caught.value

    async def hold(self) -> tuple[SealedRef, ...]:
        """Everything lies in `held/`, as before a claim."""
        await self.vault.create(backup_name(EJECT), canonical(SealedBackup(files=self.backup)))
        return (*self.refs, *(await self.fetch()).files)

    async def release(self, files: tuple[SealedRef, ...]) -> tuple[str, ...]:
        """One attempt of the release."""
        return (await run(ReleaseStep(self.vault).release, Release(eject_id=EJECT, files=files))).names


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A world of its own."""
    return World(tmp_path)


async def test_each_half_is_fetched_and_sealed_to_the_owner(world: World) -> None:
    """One call and one file per wallet; history gets digests, pairs and commitments only."""
    files = (await world.fetch()).files
    assert world.portal.calls() == [call_of(one) for one in world.made]
    for one, ref in zip(world.made, files, strict=True):
        written = await world.vault.read(custodian_half_name(EJECT, one.wallet.id))
        file = SealedFile.model_validate_json(written or b"")
        half = Half.model_validate_json(pyrage.decrypt(file.age.encode(), [world.owner]))
        assert (half.role, half.client_id, half.wallet, half.pair, half.share) == (
            Role.CUSTODIAN,
            CLIENT,
            one.wallet.id,
            one.pair,
            one.share(Role.CUSTODIAN),
        )
        assert ref == reference(Role.CUSTODIAN, file)


async def test_a_half_that_is_there_is_the_answer(world: World) -> None:
    """A repeat fetches only what is missing, and after the close what is there is still answered."""
    first = await world.fetch()
    world.portal.requests.clear()
    assert await world.fetch(at=CLOSES + timedelta(days=1)) == first
    assert world.portal.calls() == []
    (Path(world.vault._root or "") / custodian_half_name(EJECT, world.made[1].wallet.id)).unlink()
    again = await world.fetch()
    assert again.files[0] == first.files[0]
    assert world.portal.calls() == [call_of(world.made[1])]


@pytest.mark.parametrize(
    ("before_close", "fetched"),
    [
        (timedelta(seconds=30), True),
        (timedelta(seconds=30, microseconds=-1), False),
        (-timedelta(days=1), False),
    ],
)
async def test_nothing_is_fetched_near_the_close(
    world: World, monkeypatch: pytest.MonkeyPatch, before_close: timedelta, fetched: bool
) -> None:
    """Within 30 seconds of the close no call goes out, whoever scheduled the attempt."""
    hold_clock(monkeypatch)
    at = CLOSES - before_close
    if fetched:
        await world.fetch(at)
    else:
        await world.refused(Failure.WINDOW_CLOSED, at)
        assert world.portal.calls() == []
        assert await world.vault.names("held/") == []


async def test_nothing_is_written_that_came_too_late(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The window is looked at again right before the write: a slow reply leaves no file behind the purge."""
    ticks = hold_clock(monkeypatch)

    def slow(request: httpx.Request) -> httpx.Response:
        ticks[0] += 3600
        return json_answer(world.reply(world.made[0]))(request)

    world.portal.answers[call_of(world.made[0])] = slow
    await world.refused(Failure.WINDOW_CLOSED)
    assert world.portal.calls() == [call_of(world.made[0])]
    assert await world.vault.names("held/") == []


async def test_a_long_attempt_stops_between_two_wallets(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written in time stays, and the next half is not even asked for."""
    ticks = hold_clock(monkeypatch)
    create = world.vault.create

    async def slow(name: str, data: bytes) -> bytes:
        ticks[0] += 3600
        return await create(name, data)

    monkeypatch.setattr(world.vault, "create", slow)
    await world.refused(Failure.WINDOW_CLOSED)
    assert world.portal.calls() == [call_of(world.made[0])]
    assert await world.vault.names("held/") == [custodian_half_name(EJECT, world.made[0].wallet.id)]


REPLIES: dict[str, tuple[Callable[[World, Made], dict[str, Any]], Failure]] = {
    "another pair": (
        lambda world, one: world.reply(
            one, custodianBackupShare=json.dumps(one.custodian | {"backupSharePairId": "pair-x"})
        ),
        Failure.PAIR_MISMATCH,
    ),
    "the other wallet's half": (
        lambda world, _: world.reply(
            world.made[1], encryptedClientBackupShare=f"cipher text of {world.made[0].pair}"
        ),
        Failure.PAIR_MISMATCH,
    ),
    "no share": (
        lambda world, one: world.reply(one, custodianBackupShare="Zq7planted"),
        Failure.SHARE_UNREADABLE,
    ),
    "cipher text null": (
        lambda world, one: world.reply(one, encryptedClientBackupShare=None),
        Failure.CIPHER_TEXT_CHANGED,
    ),
    "cipher text absent": (
        lambda _, one: {"custodianBackupShare": one.share(Role.CUSTODIAN)},
        Failure.CIPHER_TEXT_CHANGED,
    ),
    "cipher text of another": (
        lambda world, one: world.reply(one, encryptedClientBackupShare="Zq7planted"),
        Failure.CIPHER_TEXT_CHANGED,
    ),
    "cipher text with a newline more": (
        lambda world, one: world.reply(one, encryptedClientBackupShare=f"cipher text of {one.pair}\n"),
        Failure.CIPHER_TEXT_CHANGED,
    ),
}


@pytest.mark.parametrize("name", REPLIES)
async def test_a_half_of_another_backup_is_never_sealed(world: World, name: str) -> None:
    """Pair and cipher text must be this eject's; otherwise it parks, and nothing is written."""
    reply, failure = REPLIES[name]
    world.portal.says(call_of(world.made[0]), reply(world, world.made[0]))
    error = await world.refused(failure)
    assert "Zq7planted" not in str(error)
    assert await world.vault.names("held/") == []


async def test_a_damaged_half_parks_without_a_call(world: World) -> None:
    """The vault's file is the answer, so a file that is none needs a person."""
    await world.vault.create(custodian_half_name(EJECT, world.made[0].wallet.id), b'{"age": "Zq7planted"}')
    error = await world.refused(Failure.HELD_MISSING)
    assert "Zq7planted" not in str(error)
    assert world.portal.calls() == []


async def test_a_release_copies_exactly_what_history_names(world: World) -> None:
    """One file per half under the owner's names, with the very content that history has the digest of."""
    files = await world.hold()
    names = await world.release(files)
    assert names == tuple(released_name(EJECT, ref.role, ref.wallet) for ref in files)
    assert sorted(await world.vault.names(f"released/{EJECT}/")) == sorted(names)
    for name, ref in zip(names, files, strict=True):
        written = await world.vault.read(name)
        file = SealedFile.model_validate_json(written or b"")
        assert written == canonical(file)
        assert reference(ref.role, file) == ref
        assert digest(file.age) == ref.digest
    before = {name: await world.vault.read(name) for name in names}
    assert await world.release(files) == names
    assert {name: await world.vault.read(name) for name in names} == before


async def test_a_file_that_somebody_else_released_is_not_passed_on(world: World) -> None:
    """Another content under the owner's name is told, not overwritten and not called released."""
    files = await world.hold()
    name = released_name(EJECT, files[0].role, files[0].wallet)
    await world.vault.create(name, b"Zq7planted")
    with pytest.raises(StepError) as caught:
        await world.release(files)
    assert caught.value.failure is Failure.HELD_MISSING
    assert "Zq7planted" not in str(caught.value)


@pytest.mark.parametrize(("monotonic", "wall"), [(10, 10), (10, 3600), (3600, 10), (10, -3600)])
async def test_the_time_of_an_attempt_never_goes_back(
    monkeypatch: pytest.MonkeyPatch, monotonic: float, wall: float
) -> None:
    """A machine that slept or whose clock was set back must not believe that the window is still open."""
    ticks = {"monotonic": 0.0, "time": 0.0}
    clock = SimpleNamespace(monotonic=lambda: ticks["monotonic"], time=lambda: ticks["time"])
    monkeypatch.setattr("activities.clock.time", clock)

    async def later(_: None) -> datetime:
        attempt = AttemptClock()
        ticks.update(monotonic=monotonic, time=wall)
        return attempt.now()

    assert await run(later, None) == NOW + timedelta(seconds=max(monotonic, wall))


async def test_a_release_copies_no_more_than_it_is_told(world: World) -> None:
    """A half that history does not name stays where it is."""
    files = await world.hold()
    await world.release(files[:1])
    assert await world.vault.names(f"released/{EJECT}/") == [
        released_name(EJECT, Role.CLIENT, files[0].wallet)
    ]


def _tampered(file: SealedFile) -> dict[str, SealedFile]:
    return {
        "text": file.model_copy(update={"age": file.age + " "}),
        "pair": file.model_copy(update={"pair": "pair-x"}),
        "wallet": file.model_copy(update={"wallet": "wallet-x"}),
        "commitment": file.model_copy(update={"commitment": "f" * 64}),
    }


@pytest.mark.parametrize("what", ["text", "pair", "wallet", "commitment", "gone", "damaged"])
@pytest.mark.parametrize("role", Role)
async def test_a_held_file_that_was_changed_is_not_released(world: World, role: Role, what: str) -> None:
    """Whoever changed it in the vault, the owner gets what history has the digest of, or nothing."""
    files = await world.hold()
    (ref,) = [file for file in files if file.role is role and file.wallet == world.made[0].wallet.id]
    name = backup_name(EJECT) if role is Role.CLIENT else custodian_half_name(EJECT, ref.wallet)
    path = Path(world.vault._root or "") / name
    if what == "gone":
        path.unlink()
    elif what == "damaged":
        path.write_bytes(b'{"age": "Zq7planted"')
    elif role is Role.CLIENT:
        changed = _tampered(world.backup[0])[what]
        path.write_bytes(canonical(SealedBackup(files=(changed, *world.backup[1:]))))
    else:
        held = SealedFile.model_validate_json(path.read_bytes())
        path.write_bytes(canonical(_tampered(held)[what]))
    with pytest.raises(StepError) as caught:
        await world.release((ref,))
    assert caught.value.failure is Failure.HELD_MISSING
    assert "Zq7planted" not in str(caught.value)
    assert await world.vault.names("released/") == []


async def test_a_purge_leaves_nothing_of_this_eject_and_all_of_others(world: World) -> None:
    """Held and released go; another eject's files, deposits and receipts stay; a repeat finds nothing."""
    files = await world.hold()
    await world.release(files)
    others = ["held/other/client/backup.json", deposit_name(CLIENT), receipt_name(CLIENT, EJECT)]
    others.append(chain_name(1))
    for name in others:
        await world.vault.create(name, b"x")
    step = PurgeStep(world.vault)
    assert (await run(step.purge, Purge(eject_id=EJECT))).removed == 3 + 4
    assert (await run(step.purge, Purge(eject_id=EJECT))).removed == 0
    assert sorted([name for root in ("held/", "released/") for name in await world.vault.names(root)]) == [
        others[0]
    ]
    assert await world.vault.read(deposit_name(CLIENT)) == b"x"
    assert await world.vault.read(receipt_name(CLIENT, EJECT)) == b"x"
    assert await world.vault.read(chain_name(1)) == b"x"


async def test_a_receipt_is_written_once(world: World) -> None:
    """What an earlier attempt wrote stands; a run that was reset and ended otherwise has one of its own."""
    receipt = Receipt(
        eject_id=EJECT,
        client_id=CLIENT,
        end=End.EXPIRED,
        recipient=world.recipient,
        request_digest="0" * 64,
        fingerprint="f",
        asserted=Asserted(requested_by="ada", reason="r"),
        times=Times(requested=NOW, ended=NOW),
    )
    step = WriteReceiptStep(Receipts(world.vault))
    other = receipt.model_copy(update={"end": End.CLOSED})
    first, second = f"receipts/{CLIENT}/{EJECT}.json", f"receipts/{CLIENT}/{EJECT}-run-2.json"
    for content, run_id, name, number in ((receipt, "run-1", first, 1), (other, "run-2", second, 2)) * 2:
        written = await run(step.write_receipt, WriteReceipt(receipt=content, run_id=run_id))
        assert (written.name, written.number) == (name, number)
        kept = ReceiptFile.model_validate_json(await world.vault.read(name) or b"")
        assert (kept.receipt, kept.run) == (content, run_id)
        entry = await world.vault.read(chain_name(number)) or b""
        assert written.digest == hashlib.sha256(entry).hexdigest()


async def test_only_this_clients_deposit_is_deleted(world: World) -> None:
    """Everything deposited for the client goes, and nothing of one whose id begins alike."""
    for name in (deposit_name(CLIENT), f"deposits/{CLIENT}/api-key.json", deposit_name(CLIENT + "0")):
        await world.vault.create(name, b"x")
    step = DeleteDepositStep(world.vault)
    assert (await run(step.delete_deposit, DeleteDeposit(client_id=CLIENT))).removed == 2
    assert await world.vault.names("deposits/") == [deposit_name(CLIENT + "0")]
