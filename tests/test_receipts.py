"""Receipts of real ejects: signed, proven, one entry in the chain each, and verified by command line."""

from datetime import timedelta
from pathlib import Path

import pytest
import typer
from pydantic import SecretStr

import starter
from contracts.chain import ReceiptFile
from contracts.names import chain_name, receipt_name
from contracts.owner import Prove
from contracts.stages import End, Stage
from custody.signing import sha256
from runtime.settings import Settings, SettingsError
from serving.fitting import receipt_key_of
from tests.harness.portal import Customer
from tests.harness.processes import environment, run
from tests.harness.world import World
from tests.test_starter_cli import refused

DAY = timedelta(days=1)
KEY = "0f" * 32


async def verify(*arguments: object) -> tuple[int, str, str]:
    """Run the command as years later, without any setting."""
    return await run("starter.py", "verify-receipt", *map(str, arguments), env=environment())


async def test_a_receipt_of_two_bundles_verifies_years_later(world: World) -> None:
    """One wallet proven before the window closed, the other after it was opened again, with another bundle.

    The command takes the file and the chain with the right key, and neither with another one.
    """
    customer = world.sandbox.seed()
    handle = await world.start(customer)
    await world.reach(handle, Stage.AWAITING_CLAIM)
    before = world.proofs(await world.claim(customer)).proofs
    await world.prove(customer, Prove(proofs=before[:1]))
    assert await world.forward(handle, DAY + timedelta(minutes=1))
    await world.reach(handle, Stage.UNRESOLVED)
    await world.extend(customer, DAY)
    await world.reach(handle, Stage.AWAITING_CLAIM, times=2)
    after = world.proofs(await world.claim(customer)).proofs
    await world.prove(customer, Prove(proofs=after[1:]))
    receipt = await world.end(handle)
    assert (receipt.end, len(receipt.earlier)) == (End.EJECTED, 1)
    assert {proof.bundle for proof in receipt.proofs} == {before[0].bundle, after[1].bundle}
    assert before[0].bundle != after[1].bundle
    assert world.audit() == []

    key = ("--key", world.receipt_key)
    file = world.vault_folder / receipt_name(customer.client_id, receipt.eject_id)
    code, out, err = await verify(file, *key)
    assert (code, err) == (0, "")
    assert f"client {customer.client_id} ended ejected" in out
    assert "proven for 2 of 2 wallets" in out
    code, out, err = await verify("--chain", world.vault_folder, *key, "--key", KEY)
    assert (code, err) == (0, "")
    head = f"1:{sha256((world.vault_folder / chain_name(1)).read_bytes())}"
    assert out.splitlines()[-1] == head
    other = await verify(file, "--key", KEY)
    assert refused(other, 1) == f"{file} is signed with a key that was not named with --key"


async def test_every_end_has_its_receipt_in_the_chain(world: World) -> None:
    """Refused, already ejected, cancelled, expired, closed: each signed, with the next entry."""
    unknown = Customer("nobody", *_secrets(world))
    gone, stays, sleeps, gives_up = (world.sandbox.seed() for _ in range(4))
    await world.leave(gone)
    ends = [End.EJECTED]
    for customer in (unknown, gone):
        ends.append((await world.end(await world.start(customer))).end)
    for customer in (stays, sleeps, gives_up):
        handle = await world.start(customer)
        await world.reach(handle, Stage.AWAITING_CLAIM)
        if customer is stays:
            await world.cancel(customer)
        if customer is gives_up:
            await world.claim(customer)
            await world.resolve(customer)
        ends.append((await world.end(handle)).end)
    assert world.audit() == []
    vault = world.vault
    told = []
    for number in range(1, len(ends) + 1):
        entry = await vault.read(chain_name(number)) or b""
        (name,) = [name for name in await vault.names("receipts/") if name.encode() in entry]
        told.append(ReceiptFile.model_validate_json(await vault.read(name) or b"").receipt.end)
    assert told == ends
    assert set(ends) == set(End)


def _secrets(world: World) -> tuple[SecretStr, SecretStr]:
    seeded = world.sandbox.seed()
    return seeded.api_key, seeded.generate_response


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((), "--chain"),
        (("x", "--chain", "y", "--key", KEY), "--chain"),
        (("x", "--key", KEY, "--head", f"1:{KEY}"), "--head"),
        (("x",), "--key"),
        (("x", "--key", "PLANTED"), "--key"),
        (("--chain", "y", "--key", KEY, "--head", f"0:{KEY}"), "--head"),
    ],
)
def test_wrong_use(arguments: tuple[str, ...], named: str) -> None:
    """What cannot be verified so is said in one sentence, with exit code 2."""
    with pytest.raises(typer.BadParameter) as caught:
        starter.app(["verify-receipt", *arguments], standalone_mode=False)
    assert caught.value.exit_code == 2
    assert named in caught.value.format_message()
    assert "PLANTED" not in caught.value.format_message()


def test_what_is_not_there(tmp_path: Path) -> None:
    """No file, no chain: refused by name."""
    missing = tmp_path / "missing"
    for place, words in (((str(missing),), "cannot be read"), (("--chain", str(missing)), "has no entry")):
        with pytest.raises(starter.EjectError, match=f"^{missing} {words}"):
            starter.app(["verify-receipt", *place, "--key", KEY], standalone_mode=False)


def test_a_receipt_key_that_is_none_is_refused() -> None:
    """A worker does not start with it, and says no word of it."""
    for text in ("PLANTED", "-----BEGIN PRIVATE KEY-----\nPLANTED\n-----END PRIVATE KEY-----\n"):
        with pytest.raises(SettingsError) as caught:
            receipt_key_of(Settings(receipt_key=SecretStr(text)))
        assert str(caught.value).startswith("EJECT_RECEIPT_KEY is not an Ed25519 private key in PEM")
        assert "PLANTED" not in f"{caught.value!r}{caught.value.__cause__!r}"
    assert receipt_key_of(Settings()) is None
