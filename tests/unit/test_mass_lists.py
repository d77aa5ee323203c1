"""The list of a mass exit in the vault: one for each name, and read only as it was written."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from contracts.failures import Failure, StepError
from contracts.mass import PAGE
from contracts.names import mass_list_name, mass_page_name
from contracts.request import EjectRequest
from custody.mass_lists import read_list, read_page, write_list
from custody.vault import Vault


def requests(count: int, reason: str = "closes down") -> list[EjectRequest]:
    """So many."""
    first = EjectRequest(
        client_id="c0",
        recipient="age1" + "q" * 58,
        window=timedelta(days=7),
        requested_by="ada",
        reason=reason,
    )
    return [first.model_copy(update={"client_id": f"c{number}"}) for number in range(count)]


async def test_a_list_is_read_as_it_was_written(tmp_path: Path) -> None:
    """In pages; written twice it is one; the digest is that of all that stands in it."""
    vault, written = Vault(tmp_path.as_uri()), requests(2 * PAGE + 1)
    digest = await write_list(vault, "all", written)
    (tmp_path / mass_page_name("all", 1)).unlink()  # as where the first write was cut short
    assert await write_list(vault, "all", written) == digest
    of = await read_list(vault, "all", digest)
    assert (of.count, len(of.pages)) == (len(written), 3)
    pages = [await read_page(vault, "all", of, number) for number in range(3)]
    assert [one for page in pages for one in page] == written
    assert await write_list(vault, "other", requests(2 * PAGE + 1, "another reason")) != digest


async def test_a_name_has_one_list(tmp_path: Path) -> None:
    """Another is not written over it, nor between its pages."""
    vault = Vault(tmp_path.as_uri())
    digest = await write_list(vault, "all", requests(3))
    for other in (requests(2), requests(3, "another reason"), requests(PAGE + 1)):
        assert await write_list(vault, "all", other) is None
    assert (await read_list(vault, "all", digest)).count == 3
    assert await vault.names("mass-exits/") == [mass_list_name("all"), mass_page_name("all", 0)]


def _changed(path: Path) -> None:
    path.write_text(path.read_text().replace("closes", "opens"))


@pytest.mark.parametrize("harm", [Path.unlink, _changed], ids=["missing", "changed"])
@pytest.mark.parametrize("name", [mass_list_name("all"), mass_page_name("all", 0)])
async def test_what_was_changed_is_not_read(tmp_path: Path, name: str, harm: Callable[[Path], None]) -> None:
    """Neither another recipient nor a shorter list passes for what the mass exit was started with."""
    vault = Vault(tmp_path.as_uri())
    digest = await write_list(vault, "all", requests(3))
    of = await read_list(vault, "all", digest)
    if name == mass_list_name("all") and harm is _changed:
        (tmp_path / name).write_text('{"count":1,"pages":[]}')
    else:
        harm(tmp_path / name)
    with pytest.raises(StepError, match=name) as caught:
        await read_page(vault, "all", await read_list(vault, "all", digest), 0)
    assert caught.value.failure is Failure.HELD_MISSING
    assert of.count == 3
