"""Deposits: what a custodian seals for the client role, and what the client role reads of it."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from contracts.failures import Failure, StepError
from contracts.names import api_key_name
from custody.deposits import Deposits
from custody.sealing import seal_deposit
from custody.vault import Vault
from ejects.deposits import deposit_api_key
from ejects.service import EjectError
from tests.device.bundles import leaked
from tests.unit.fakes import CLIENT, identity, vault_url

KEY = "Zq7planted-api-key"


class World:
    """A vault, and the client role's key."""

    def __init__(self, folder: Path) -> None:
        self.vault = Vault(vault_url(folder))
        self.key, self.recipient = identity()
        self.deposits = Deposits(self.vault, SecretStr(str(self.key)))

    async def deposit(self, key: str, recipient: str | None = None) -> None:
        """Deposit an API key."""
        await deposit_api_key(self.vault, CLIENT, SecretStr(key), recipient or self.recipient)

    async def refused(self, failure: Failure) -> StepError:
        """A reading that ends so and shows nothing."""
        with pytest.raises(StepError) as caught:
            await self.deposits.api_key(CLIENT)
        assert caught.value.failure is failure
        assert leaked(caught.value, [KEY, str(self.key)]) == []
        return caught.value


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A world of its own."""
    return World(tmp_path)


@pytest.mark.parametrize("given", [KEY, f"{KEY}\n", f"  {KEY}\r\n"])
async def test_a_deposited_api_key_is_read_as_it_is_sent(world: World, given: str) -> None:
    """Without the blanks and line ends that a file has; it lies sealed in the vault, and shows in no text."""
    await world.deposit(given)
    read = await world.deposits.api_key(CLIENT)
    assert read.get_secret_value() == KEY
    assert KEY not in f"{read!r} {read}"
    assert KEY.encode() not in (await world.vault.read(api_key_name(CLIENT)) or b"")
    assert await world.vault.names("deposits/") == [f"deposits/{CLIENT}/api-key.json"]


async def test_an_api_key_is_read_anew_each_time(world: World) -> None:
    """A person may mend it between two attempts."""
    await world.deposit("the-old-one")
    assert (await world.deposits.api_key(CLIENT)).get_secret_value() == "the-old-one"
    await world.deposit(KEY)
    assert (await world.deposits.api_key(CLIENT)).get_secret_value() == KEY


async def test_a_missing_api_key_is_named(world: World) -> None:
    """Another client's, whose id begins alike, is not taken for it."""
    await deposit_api_key(world.vault, CLIENT + "0", SecretStr(KEY), world.recipient)
    missing = await world.refused(Failure.DEPOSIT_MISSING)
    assert missing.sentence == f"No API key was deposited for client {CLIENT}"


async def test_an_api_key_that_was_sealed_to_another_parks(world: World) -> None:
    """It cannot be opened, and says so without a word of it."""
    _, stranger = identity()
    await world.deposit(KEY, stranger)
    await world.refused(Failure.DEPOSIT_UNREADABLE)


async def test_an_api_key_that_is_no_text_parks(world: World) -> None:
    """Whatever else was sealed under its name is no credential."""
    await world.vault.replace(api_key_name(CLIENT), b"\xff\x00 not sealed")
    await world.refused(Failure.DEPOSIT_UNREADABLE)


async def test_shares_are_not_taken_for_the_api_key(world: World) -> None:
    """Each deposit has a name of its own."""
    await world.deposit(KEY)
    with pytest.raises(StepError, match="No signing shares were deposited"):
        await world.deposits.signing_shares(CLIENT)
    await world.vault.replace(
        f"deposits/{CLIENT}/signing-shares.json", seal_deposit(SecretStr("{}"), world.recipient)
    )
    assert (await world.deposits.api_key(CLIENT)).get_secret_value() == KEY


@pytest.mark.parametrize(
    "text", ["", " \n", f"{KEY}\n{KEY}", f"Bearer {KEY}", f"{KEY}\u00e9", f"{KEY}\x00", f"{KEY}\tx"]
)
async def test_what_is_no_api_key_is_refused_unseen(world: World, text: str) -> None:
    """It could not be sent as a credential, so it is not deposited."""
    with pytest.raises(EjectError) as caught:
        await world.deposit(text)
    assert str(caught.value).startswith("That is no API key")
    assert leaked(caught.value, [KEY]) == []
    assert await world.vault.names("deposits/") == []


async def test_a_wrong_recipient_is_named_by_its_setting(world: World) -> None:
    """Nothing is deposited that nobody could open."""
    with pytest.raises(EjectError) as caught:
        await world.deposit(KEY, world.recipient[:-1] + ("q" if world.recipient[-1] != "q" else "p"))
    assert "EJECT_CLIENT_RECIPIENT" in str(caught.value)
    assert leaked(caught.value, [KEY]) == []
    assert await world.vault.names("deposits/") == []
