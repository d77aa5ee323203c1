"""Sealing deposits anew after the client role's identity was exchanged."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from contracts.names import api_key_name
from custody.sealing import open_deposit, seal_deposit
from custody.vault import Vault
from ejects.resealing import Resealed, reseal
from ejects.service import EjectError
from tests.unit.fakes import identity, vault_url

PLAIN = SecretStr("Zq7planted-api-key")


async def test_only_what_was_sealed_to_an_earlier_identity_is_sealed_anew(tmp_path: Path) -> None:
    """First only looked at; what is new stays as it is byte for byte, and what none opens is named."""
    vault, (old, to_old), (new, to_new), (_, to_nobody) = (
        Vault(vault_url(tmp_path)),
        identity(),
        identity(),
        identity(),
    )
    names = {to: api_key_name(client) for to, client in ((to_old, "a"), (to_new, "b"), (to_nobody, "c"))}
    for recipient, name in names.items():
        await vault.replace(name, seal_deposit(PLAIN, recipient))
    before = {name: await vault.read(name) for name in names.values()}
    both, found = SecretStr(f"{new}\n{old}"), Resealed((names[to_old],), (names[to_nobody],))
    assert await reseal(vault, both, to_new, write=False) == found
    assert {name: await vault.read(name) for name in names.values()} == before
    assert await reseal(vault, both, to_new, write=True) == found
    assert await reseal(vault, both, to_new, write=True) == Resealed((), (names[to_nobody],))
    sealed = {name: await vault.read(name) or b"" for name in names.values()}
    assert [name for name in before if sealed[name] != before[name]] == [names[to_old]]
    opened = open_deposit(sealed[names[to_old]], SecretStr(str(new)))
    assert opened.get_secret_value() == PLAIN.get_secret_value()


class Meanwhile(Vault):
    """A vault in which somebody changes or deletes a file while it is being sealed anew."""

    def __init__(self, url: str, then: bytes | None) -> None:
        super().__init__(url)
        self.then, self.reads = then, 0

    async def read(self, name: str) -> bytes | None:
        """The second reading finds what was done meanwhile."""
        self.reads += 1
        if self.reads == 2:
            if self.then is None:
                await self.remove_all("deposits/")
            else:
                await self.replace(name, self.then)
        return await super().read(name)


@pytest.mark.parametrize("then", [None, b"deposited meanwhile"])
async def test_what_is_deposited_or_deleted_meanwhile_stays_so(tmp_path: Path, then: bytes | None) -> None:
    """A client who left in that moment gets no deposit back, and a new one is not overwritten."""
    vault, (old, to_old), (new, to_new) = Meanwhile(vault_url(tmp_path), then), identity(), identity()
    name = api_key_name("a")
    await vault.replace(name, seal_deposit(PLAIN, to_old))
    await reseal(vault, SecretStr(f"{new}\n{old}"), to_new, write=True)
    assert await vault.read(name) == then


@pytest.mark.parametrize(
    ("identities", "words"),
    [
        ("{old}", "EJECT_CLIENT_RECIPIENT is of no identity"),
        ("Zq7planted", "EJECT_CLIENT_IDENTITY is not an age"),
    ],
)
async def test_nothing_is_sealed_that_no_worker_could_open(
    tmp_path: Path, identities: str, words: str
) -> None:
    """The recipient's own identity has to be among the settings, and to be one."""
    (old, _), (_, to_new) = identity(), identity()
    given = SecretStr(identities.format(old=old))
    with pytest.raises(EjectError, match=words) as caught:
        await reseal(Vault(vault_url(tmp_path)), given, to_new, write=True)
    assert "planted" not in str(caught.value)
