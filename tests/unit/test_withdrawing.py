"""Shrink window and restore backup: what is withdrawn at Portal, and what comes back from it."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from activities.restore_backup import RestoreBackupStep
from activities.shrink_window import ShrinkWindowStep
from contracts.base import canonical
from contracts.failures import Failure, StepError
from contracts.names import Role, backup_name
from contracts.sealing import SealedBackup, SealedFile, SealedRef, reference
from contracts.steps import RestoreBackup, ShrinkWindow
from custody.vault import Vault
from tests.unit.fakes import (
    CLIENT,
    CLIENT_PATH,
    EJECT,
    NOW,
    FakePortal,
    client_body,
    customer,
    hold_clock,
    json_answer,
    run,
    vault_url,
)

READ = f"GET {CLIENT_PATH}"
ENABLE = f"PATCH {CLIENT_PATH}/enable-eject"
SECOND = timedelta(seconds=1)
SOON = NOW + timedelta(seconds=90)

CUSTOMER = customer()


def stamp(moment: datetime) -> str:
    """A time as Portal writes it."""
    return moment.isoformat().replace("+00:00", "Z")


def open_until(*closes: datetime | None, **changes: Any) -> dict[str, Any]:
    """The client, each of its wallets with this window."""
    body = client_body(CUSTOMER.made, **changes)
    for wallet, until in zip(body["wallets"], closes, strict=True):
        wallet["ejectableUntil"] = until and stamp(until)
    return body


class Windows(FakePortal):
    """A Portal that keeps the windows it is asked for."""

    def __init__(self, body: dict[str, Any]) -> None:
        super().__init__()
        self.asked: list[tuple[str, str]] = []
        self.says(READ, body)
        self.answers[ENABLE] = self._enable

    def _enable(self, request: httpx.Request) -> httpx.Response:
        asked = json.loads(request.content)
        self.asked.append((asked["walletId"], asked["ejectableUntil"]))
        return json_answer({"ejectableUntil": asked["ejectableUntil"]})(request)

    async def shrink(self) -> datetime | None:
        """One attempt of the step."""
        what = ShrinkWindow(client_id=CLIENT, wallets=CUSTOMER.wallets)
        return (await run(ShrinkWindowStep(self.custodian).shrink_window, what)).closes


@pytest.fixture(autouse=True)
def held(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """No time passes in an attempt, unless the test says so."""
    return hold_clock(monkeypatch)


async def test_an_open_window_closes_as_soon_as_portal_lets_it() -> None:
    """Each wallet's is set to 90 seconds ahead, the nearest that is safely taken."""
    portal = Windows(open_until(NOW + timedelta(days=1), NOW + timedelta(days=2)))
    assert await portal.shrink() == SOON
    assert portal.asked == [(wallet.id, stamp(SOON)) for wallet in CUSTOMER.wallets]


@pytest.mark.parametrize(
    ("windows", "closes", "asked"),
    [
        ((None, None), None, []),
        ((None, NOW + timedelta(days=1)), SOON, [1]),
        ((NOW - SECOND, NOW + timedelta(days=1)), SOON, [1]),
        ((NOW - timedelta(days=1), NOW - SECOND), NOW - SECOND, []),
        ((NOW + 10 * SECOND, None), NOW + 10 * SECOND, []),
        ((SOON, SOON), SOON, []),
        ((SOON + SECOND, NOW), SOON, [0]),
    ],
)
async def test_only_a_longer_window_is_shrunk(
    windows: tuple[datetime | None, datetime | None], closes: datetime | None, asked: list[int]
) -> None:
    """A window that is closed or closes sooner is not opened by closing it; the answer is the last close."""
    portal = Windows(open_until(*windows))
    assert await portal.shrink() == closes
    assert [wallet for wallet, _ in portal.asked] == [CUSTOMER.wallets[number].id for number in asked]


async def test_another_wallets_window_is_left_alone() -> None:
    """A wallet that this eject never covered is its custodian's own business."""
    body = open_until(NOW + timedelta(days=1), NOW + timedelta(days=1))
    body["wallets"][1]["id"] = "wallet-new"
    portal = Windows(body)
    assert await portal.shrink() == SOON
    assert [wallet for wallet, _ in portal.asked] == [CUSTOMER.wallets[0].id]


async def test_a_client_who_left_has_no_window_to_shrink() -> None:
    """After `ejectedAt` nothing is asked of Portal any more."""
    portal = Windows(open_until(NOW + timedelta(days=1), None, ejectedAt=stamp(NOW)))
    assert await portal.shrink() is None
    assert portal.calls() == [READ]


async def test_another_clients_window_is_not_shrunk() -> None:
    """A reply about somebody else parks before anything is asked."""
    portal = Windows(open_until(NOW + timedelta(days=1), None, id="client-2"))
    with pytest.raises(StepError) as caught:
        await portal.shrink()
    assert caught.value.failure is Failure.CREDENTIAL_REJECTED
    assert portal.asked == []


async def test_each_deadline_is_as_near_as_its_own_call(held: list[float]) -> None:
    """The second wallet's is counted from its own moment, or Portal would refuse it as too near."""
    portal = Windows(open_until(NOW + timedelta(days=1), NOW + timedelta(days=1)))
    enable = portal.answers[ENABLE]

    def slow(request: httpx.Request) -> httpx.Response:
        held[0] += 40
        return enable(request)

    portal.answers[ENABLE] = slow
    assert await portal.shrink() == SOON + 40 * SECOND
    assert [until for _, until in portal.asked] == [stamp(SOON), stamp(SOON + 40 * SECOND)]


class Purged:
    """A client role after a purge: nothing in its vault, the sealed halves at Portal."""

    def __init__(self, folder: Path) -> None:
        self.vault = Vault(vault_url(folder))
        self.portal = FakePortal()
        self.backup = SealedBackup(
            files=tuple(
                SealedFile(
                    wallet=one.wallet.id,
                    pair=one.pair,
                    commitment=f"{number}" * 64,
                    age=f"cipher text of {one.pair}\n",
                )
                for number, one in enumerate(CUSTOMER.made)
            )
        )
        for file in self.backup.files:
            self.portal.says(read_cipher_text(file.pair), {"cipherText": file.age})

    @property
    def refs(self) -> tuple[SealedRef, ...]:
        """What history says of the backup."""
        return tuple(reference(Role.CLIENT, file) for file in self.backup.files)

    async def restore(self) -> int:
        """One attempt of the step."""
        what = RestoreBackup(eject_id=EJECT, client_id=CLIENT, files=self.refs)
        return (await run(RestoreBackupStep(self.portal.clients, self.vault).restore_backup, what)).restored

    async def written(self) -> bytes | None:
        """The backup file, as it lies in the vault."""
        return await self.vault.read(backup_name(EJECT))


def read_cipher_text(pair: str) -> str:
    """The call that reads one pair's sealed half."""
    return f"GET /clients/me/backup-share-pairs/{pair}/cipher-text"


@pytest.fixture
def purged(tmp_path: Path) -> Purged:
    """A world of its own."""
    return Purged(tmp_path)


async def test_the_backup_file_comes_back_byte_for_byte(purged: Purged) -> None:
    """As back up wrote it, so that release and the claim's digests go on as before; repeated, it stays."""
    for _ in range(2):
        assert await purged.restore() == 2
        assert await purged.written() == canonical(purged.backup)
    assert purged.portal.calls() == [read_cipher_text(file.pair) for file in purged.backup.files] * 2


@pytest.mark.parametrize("wrong", [0, 1])
async def test_another_cipher_text_is_not_kept(purged: Purged, wrong: int) -> None:
    """Somebody replaced it at Portal: the step parks, writes nothing and repeats nothing of it."""
    file = purged.backup.files[wrong]
    purged.portal.says(read_cipher_text(file.pair), {"cipherText": "Zq7planted"})
    with pytest.raises(StepError) as caught:
        await purged.restore()
    assert caught.value.failure is Failure.CIPHER_TEXT_CHANGED
    assert file.wallet in caught.value.sentence
    assert "Zq7planted" not in f"{caught.value} {caught.value!r}"
    assert await purged.written() is None


async def test_a_cipher_text_that_portal_lost_parks(purged: Purged) -> None:
    """Without one half there is no bundle, so nothing is written."""
    purged.portal.says(read_cipher_text(purged.backup.files[1].pair), {"error": "x"}, 404)
    with pytest.raises(StepError) as caught:
        await purged.restore()
    assert caught.value.failure is Failure.NOT_FOUND
    assert await purged.written() is None
