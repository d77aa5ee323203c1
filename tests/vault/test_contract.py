"""What every step relies on, on a file system and on a real S3 server alike."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from contracts.failures import Failure, StepError
from custody.vault import Vault
from tests.harness.relay import LOST, Request, relaying
from tests.harness.s3 import S3Server
from tests.unit.fakes import vault_url

NAME = "held/eject-1/client/backup.json"
PROBE = "held/probe-1/custodian/probe.json"
# More than one listing of S3 holds.
MANY = 1050


@pytest.fixture(params=["file", pytest.param("s3", marks=pytest.mark.production)])
def vault(request: pytest.FixtureRequest, tmp_path: Path) -> Vault:
    """An empty vault of each kind."""
    if request.param == "file":
        return Vault(vault_url(tmp_path))
    s3: S3Server = request.getfixturevalue("s3")
    return s3.vault()


async def test_a_file_is_written_once(vault: Vault) -> None:
    """The first content stays, and is the answer to every later write."""
    assert await vault.read(NAME) is None
    assert await vault.create(NAME, b"first") == b"first"
    assert await vault.create(NAME, b"second") == b"first"
    assert await vault.read(NAME) == b"first"


async def test_of_twenty_writers_at_once_one_wins(vault: Vault) -> None:
    """Whoever is first, all are told the same content, and it is what lies there."""
    for attempt in range(5):
        name = f"held/eject-{attempt}/client/backup.json"
        contents = [f"writer {number} ".encode() * 1000 for number in range(20)]
        answers = await asyncio.gather(*(vault.create(name, content) for content in contents))
        assert len(set(answers)) == 1
        assert answers[0] in contents
        assert await vault.read(name) == answers[0]


async def test_a_replaced_file_has_the_last_content(vault: Vault) -> None:
    """A deposit is a person's to mend."""
    for content in (b"wrong", b"right"):
        await vault.replace("deposits/client-1/signing-shares.json", content)
    assert await vault.read("deposits/client-1/signing-shares.json") == b"right"


async def test_names_and_times_are_those_under_the_prefix_only(vault: Vault) -> None:
    """An eject whose id begins like another's is not its neighbour's; the times are of now."""
    names = ["held/a/client/1.json", "held/a/custodian/2.json"]
    for name in [*names, "held/ab/client/3.json", "released/a/client/1.json"]:
        await vault.create(name, b"x")
    assert sorted(await vault.names("held/a/")) == names
    assert await vault.names("receipts/") == []
    times = await vault.modified("held/a/")
    assert sorted(times) == names
    assert all(abs(at - datetime.now(UTC)) < timedelta(minutes=5) for at in times.values())


async def test_remove_all_takes_its_prefix_and_nothing_else(vault: Vault) -> None:
    """What is gone is missing, the neighbour's stays, and to remove nothing is no trouble."""
    for name in ("held/a/client/1.json", "held/a/custodian/2.json", "held/ab/client/3.json"):
        await vault.create(name, b"x")
    assert await vault.remove_all("held/a/") == 2
    assert await vault.read("held/a/client/1.json") is None
    assert await vault.names("held/") == ["held/ab/client/3.json"]
    assert await vault.remove_all("held/a/") == 0


@pytest.mark.production
async def test_a_thousand_files_are_one_listing_and_one_purge(s3: S3Server) -> None:
    """S3 lists a thousand at a time; nobody may take the first page for all."""
    vault = s3.vault()
    names = [f"held/a/client/{number:04d}.json" for number in range(MANY)]
    for at in range(0, MANY, 50):
        await asyncio.gather(*(vault.replace(name, b"x") for name in names[at : at + 50]))
    assert sorted(await vault.names("held/a/")) == names
    assert len(await vault.modified("held/")) == MANY
    assert await vault.remove_all("held/a/") == MANY
    assert await vault.names("held/") == []


async def test_a_probe_passes_and_leaves_nothing(vault: Vault) -> None:
    """What it tries is what is tested above."""
    assert await vault.probe(PROBE) == ()
    assert await vault.names("held/") == []


@pytest.mark.production
@pytest.mark.parametrize("call", ["put", "get", "list", "delete"])
async def test_a_lost_reply_does_nothing_twice(s3: S3Server, call: str) -> None:
    """The server did what was asked and nobody heard: the repeat answers what the first would have."""

    async def use(vault: Vault) -> object:
        match call:
            case "put":
                return await vault.create(NAME, b"again")
            case "get":
                return await vault.read(NAME)
            case "list":
                return await vault.names("held/")
        return await vault.remove_all("held/")

    expected = {"put": b"again", "get": b"there", "list": [NAME], "delete": 0}[call]
    if call != "put":
        await s3.vault().create(NAME, b"there")
    with relaying(s3.endpoint) as relay:
        lost: list[Request] = []

        def lose_first(request: Request) -> object:
            if request.call == call and not lost:
                lost.append(request)
                return LOST
            return None

        relay.answer = lose_first  # type: ignore[assignment]
        vault = Vault(s3.url, s3.options() | {"endpoint": relay.endpoint})
        with pytest.raises(StepError) as caught:
            await use(vault)
        assert caught.value.failure is Failure.VAULT_UNAVAILABLE
        assert len(lost) == 1
        assert await use(vault) == expected


@pytest.mark.production
async def test_a_create_that_was_lost_and_meets_another_is_told_the_first(s3: S3Server) -> None:
    """Written, not heard, and then somebody else's attempt: everybody has the first content."""
    with relaying(s3.endpoint) as relay:
        relay.answer = lambda request: LOST if request.method == "PUT" else None
        with pytest.raises(StepError):
            await Vault(s3.url, s3.options() | {"endpoint": relay.endpoint}).create(NAME, b"first")
    assert await s3.vault().create(NAME, b"second") == b"first"


@pytest.mark.production
async def test_what_was_written_survives_the_servers_death(s3: S3Server) -> None:
    """While it is away everything is retried; afterwards each file that was acknowledged is there."""
    vault = s3.vault()
    names = [f"held/{number}/client/backup.json" for number in range(20)]
    for name in names:
        await vault.create(name, name.encode())
    s3.kill()
    with pytest.raises(StepError) as caught:
        await vault.read(names[0])
    assert caught.value.failure is Failure.VAULT_UNAVAILABLE
    s3.start()
    assert [await vault.read(name) for name in names] == [name.encode() for name in names]


@pytest.mark.production
async def test_a_prefix_is_a_vault_of_its_own(s3: S3Server) -> None:
    """Names are told without it, and what lies beside it is neither seen nor purged."""
    whole, vault = s3.vault(), s3.vault(url=f"{s3.url}/some/prefix")
    assert await vault.probe(PROBE) == ()
    await whole.create(NAME, b"beside")
    assert await vault.create(NAME, b"inside") == b"inside"
    assert await vault.read(NAME) == b"inside"
    assert await vault.names("held/") == [*await vault.modified("held/")] == [NAME]
    assert sorted(await whole.names("some/")) == [f"some/prefix/{NAME}"]
    assert await vault.remove_all("held/") == 1
    assert await whole.read(NAME) == b"beside"


@pytest.mark.production
async def test_a_bucket_with_versions_is_refused_where_it_drops_conditions(s3: S3Server) -> None:
    """This server knows create-only writes only in a bucket without versions: the probe finds out.

    And a purge that found its listing empty has left every version, in this server as in any other.
    """
    vault = s3.vault()
    assert await vault.probe(PROBE) == ()
    s3.keep_versions()
    with pytest.raises(StepError, match="it lacks conditional writes"):
        await vault.probe(PROBE)
    await vault.replace(NAME, b"sealed")
    assert await vault.remove_all("held/") == 1
    assert await vault.names("held/") == []
    left = s3.ask("GET", f"/{s3.bucket}", {"versions": "", "prefix": "held/eject-1/"}).decode()
    assert left.count("<Version>") == 1


@pytest.mark.production
async def test_who_is_nobody_and_where_nothing_is_park(s3: S3Server) -> None:
    """The real server's own words for a wrong key, a wrong secret and a missing bucket, by every call."""
    wrong = [
        (s3.url, {"access_key_id": "NOBODY"}, "The vault refuses this worker's credentials"),
        (s3.url, {"secret_access_key": "wrong"}, "The vault refuses this worker's credentials"),
        ("s3://nowhere", {}, "The vault's bucket does not exist"),
    ]
    for url, options, told in wrong:
        vault = Vault(url, s3.options() | options)
        for doing in (
            vault.create(NAME, b"x"),
            vault.replace(NAME, b"x"),
            vault.read(NAME),
            vault.names("held/"),
            vault.remove_all("held/"),
            vault.probe(PROBE),
        ):
            with pytest.raises(StepError) as caught:
                await doing
            assert caught.value.failure is Failure.VAULT_REFUSED
            assert caught.value.sentence.removeprefix("reading failed: ") == told
