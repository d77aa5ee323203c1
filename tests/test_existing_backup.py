"""The owner rebuilds from a backup that was made before the eject, in each form in which Portal keeps one."""

import asyncio
import subprocess
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from nacl.secret import SecretBox

from contracts.failures import Failure
from contracts.names import Role, released_prefix
from contracts.owner import Prove
from contracts.stages import End, Stage
from device.backups import OwnersBackup
from device.errors import DeviceError
from device.identity import Identity
from portal.custodian import CustodianApi
from portal.replies import ClientReply
from tests.harness.portal import Customer
from tests.harness.processes import environment
from tests.harness.world import World

DAY = timedelta(days=1)


@dataclass
class Backup:
    """A backup as its owner knows it: what Portal answered when it was made, and the means to open it."""

    made: dict[str, Any]
    identity: Identity | None = None

    @property
    def means(self) -> OwnersBackup:
        """What the owner gives the device."""
        if self.identity:
            return OwnersBackup(identities=(self.identity,))
        return OwnersBackup(plain=tuple(map(self._plain, self.made["pairs"])))

    def _plain(self, pair: dict[str, Any]) -> str:
        """What the wallet's own app makes of the cipher text; without one, what the owner has kept."""
        if pair["cipher_text"] is None:
            return str(pair["client_share"])
        box = SecretBox(bytes.fromhex(self.made["secret_box_key"]))
        return bytes(box.decrypt(bytes.fromhex(pair["cipher_text"]))).decode()


def backed_up(world: World, customer: Customer, form: str, means: str = "app", **more: Any) -> Backup:
    """Give a client a backup in one of its forms."""
    identity = Identity.generate() if means == "age" else None
    recipient = {"recipient": identity.recipient} if identity else {}
    return Backup(world.sandbox.add_backup(customer.client_id, form, **recipient, **more), identity)


async def claimable(world: World, form: str, means: str = "app") -> tuple[Customer, Backup, Any]:
    """An eject of an existing backup that awaits its claim."""
    customer = world.sandbox.seed()
    backup = backed_up(world, customer, form, means)
    handle = await world.start(customer, backup="existing")
    await world.reach(handle, Stage.AWAITING_CLAIM)
    return customer, backup, handle


async def park_of(world: World, customer: Customer) -> tuple[str, Failure]:
    """What stands still, and why."""
    park = (await world.told(customer)).park
    assert park
    return park.step, park.failure


@pytest.mark.parametrize("form", ["enclave", "sdk"])
@pytest.mark.parametrize("means", ["age", "app"])
async def test_what_portal_keeps_is_handed_over_and_opened(world: World, form: str, means: str) -> None:
    """A cipher text for each pair, or one for both curves: both halves are in the bundle, no pair is new."""
    customer, backup, handle = await claimable(world, form, means)
    answer = await world.claim(customer)
    assert {(file.role, file.pair) for file in answer.files} == {
        (role, pair["pair_id"]) for role in Role for pair in backup.made["pairs"]
    }
    with pytest.raises(DeviceError, match="the owner's own backup"):
        world.rebuild(answer)
    proofs = world.proofs(answer, backup.means)
    assert all(set(proof.opened) == set(Role) for proof in proofs.proofs)
    await world.prove(customer, proofs)
    assert (await world.end(handle)).end is End.EJECTED
    assert world.audit() == []
    assert world.sandbox.journal(client_id=customer.client_id, call="back_up") == []


async def test_an_app_decrypts_what_the_device_writes_out(world: World, tmp_path: Path) -> None:
    """By the device's commands: cipher texts out, the app's result in, proofs out."""
    customer, backup, handle = await claimable(world, "sdk")
    answer = await world.claim(customer)
    world.owner.identity.save(tmp_path / "owner.key")
    (tmp_path / "claim.json").write_text(answer.model_dump_json())
    files = world.vault_folder / released_prefix(answer.eject_id)
    bundle = ["--identity", "owner.key", "--claim", "claim.json", "--files", str(files)]

    async def device(command: str, *more: str) -> str:
        run = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "device", command, *bundle, *more],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert run.returncode == 0, run.stderr
        return run.stdout

    await device("cipher-texts", "--out", "sealed")
    box = SecretBox(bytes.fromhex(backup.made["secret_box_key"]))
    texts = [path.read_text() for path in sorted((tmp_path / "sealed").iterdir())]
    assert len(texts) == 2
    (tmp_path / "plain.json").write_bytes(box.decrypt(bytes.fromhex(texts[0])))
    assert "rebuilt" in await device("open", "--backup", "plain.json")
    proofs = Prove.model_validate_json(await device("sign", "--backup", "plain.json"))
    await world.prove(customer, proofs)
    assert (await world.end(handle)).end is End.EJECTED


async def test_an_own_backup_has_no_file_and_no_opened_value(world: World) -> None:
    """Portal keeps no cipher text: the bundle has the custodian halves, the owner the others."""
    customer, backup, handle = await claimable(world, "own")
    answer = await world.claim(customer)
    assert {file.role for file in answer.files} == {Role.CUSTODIAN}
    proofs = world.proofs(answer, backup.means)
    assert all(set(proof.opened) == {Role.CUSTODIAN} for proof in proofs.proofs)
    await world.prove(customer, proofs)
    receipt = await world.end(handle)
    assert receipt.end is End.EJECTED
    assert world.audit() == []
    assert all("opened client" not in proof.challenge for proof in receipt.proofs)
    assert world.sandbox.journal(client_id=customer.client_id, call="read_cipher_text") == []


async def test_of_several_completed_pairs_the_custodian_share_names_the_one(world: World) -> None:
    """Whichever pair Portal answers, the cipher text read is of that pair."""
    customer = world.sandbox.seed()
    older = backed_up(world, customer, "enclave", seconds_ago=9 * 86_400)
    newer = backed_up(world, customer, "enclave")
    chosen = {pair["wallet_id"]: pair["pair_id"] for pair in older.made["pairs"]}
    changes = {wallet: {"fetch_pair": pair} for wallet, pair in chosen.items()}
    world.sandbox.change(customer.client_id, wallets=changes)
    handle = await world.start(customer, backup="existing")
    await world.reach(handle, Stage.AWAITING_CLAIM)
    answer = await world.claim(customer)
    assert {file.wallet: file.pair for file in answer.files} == chosen
    with pytest.raises(DeviceError, match="the owner's own backup"):
        world.rebuild(answer, newer.means)
    await world.prove(customer, world.proofs(answer, older.means))
    assert (await world.end(handle)).end is End.EJECTED


@pytest.mark.parametrize("status", ["incomplete", "STORED_CUSTODIAN_BACKUP_SHARE"])
async def test_without_a_completed_backup_it_is_refused(world: World, status: str) -> None:
    """A backup that was never completed opens nothing: the first check says so, for each wallet."""
    customer = world.sandbox.seed()
    backed_up(world, customer, "enclave", status=status)
    handle = await world.start(customer, backup="existing")
    receipt = await world.end(handle)
    assert receipt.end is End.REFUSED
    assert [reason for reason in receipt.reasons if "no completed backup" in reason] == list(receipt.reasons)
    assert len(receipt.reasons) == 2


async def test_a_backup_made_meanwhile_parks_before_the_window_opens(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever backs up between the check and the window may hold another share: nothing is opened."""
    customer = world.sandbox.seed()
    backed_up(world, customer, "enclave")
    reads: list[str] = []
    read = CustodianApi.read_client

    async def counted(self: CustodianApi, client_id: str) -> ClientReply:
        reads.append(client_id)
        if len(reads) == 2:  # the check has read, enable eject reads again
            backed_up(world, customer, "enclave", seconds_ago=0)
        return await read(self, client_id)

    monkeypatch.setattr(CustodianApi, "read_client", counted)
    handle = await world.start(customer, backup="existing")
    await world.reach(handle, Stage.PARKED)
    assert await park_of(world, customer) == ("enable_eject", Failure.WALLETS_CHANGED)
    assert world.sandbox.journal(client_id=customer.client_id, effect="window_set") == []
    await world.cancel(customer)
    assert (await world.end(handle)).end is End.CANCELLED


async def test_a_cipher_text_that_changes_meanwhile_parks(world: World) -> None:
    """What is read must be what stood beside the custodian share."""
    customer = world.sandbox.seed()
    backup = backed_up(world, customer, "enclave")
    wallet = backup.made["pairs"][0]["wallet_id"]
    world.sandbox.change(customer.client_id, wallets={wallet: {"next_fetch": "other_cipher_text"}})
    handle = await world.start(customer, backup="existing")
    await world.reach(handle, Stage.PARKED)
    assert await park_of(world, customer) == ("read_cipher_texts", Failure.CIPHER_TEXT_CHANGED)
    await world.cancel(customer)
    receipt = await world.end(handle)
    assert receipt.end is End.CANCELLED
    assert not [name for name in world.left_in_vault() if name.startswith(("held/", "released/"))]


async def test_an_extension_after_the_close_hands_both_halves_over_anew(world: World) -> None:
    """They are fetched and sealed again for a new claim; what was opened of the first still counts."""
    customer, backup, handle = await claimable(world, "enclave")
    first = await world.claim(customer)
    early = world.proofs(first, backup.means)
    assert await world.forward(handle, DAY + timedelta(minutes=1))
    await world.reach(handle, Stage.UNRESOLVED)
    await world.extend(customer, DAY)
    await world.reach(handle, Stage.AWAITING_CLAIM, times=2)
    second = await world.claim(customer)
    assert second.bundle != first.bundle
    assert all(key.text for key in world.rebuild(second, backup.means))
    await world.prove(customer, early)
    assert (await world.end(handle)).end is End.EJECTED
