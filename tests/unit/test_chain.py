"""Writing receipts: one entry each and no hole, whatever is cut short, repeated, or done at once."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.failures import Failure, StepError
from contracts.names import chain_name, receipt_name
from contracts.receipt import Receipt
from contracts.stages import End
from custody import chain
from custody.audit import Audit
from custody.chain import Receipts, Written
from custody.keys import public_key
from custody.signing import Trust
from custody.vault import Vault
from tests.unit.fakes import CLIENT, EJECT, vault_url
from tests.unit.receipts import KEY, PUBLIC, STRANGER, ended, filed

Fault = Callable[[str, bool], bool]
"""Whether an operation fails, by the name of the file and whether its writing has happened."""


class Memory(Vault):
    """A vault in memory that counts what is asked of it, lets others go first, and fails as it is told."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked = 0
        self.fails: Fault = lambda _name, _written: False

    async def create(self, name: str, data: bytes) -> bytes:
        await self._ask(name, written=False)
        there = self.files.setdefault(name, data)
        await self._ask(name, written=True)
        return there

    async def read(self, name: str) -> bytes | None:
        self.asked += 1
        await asyncio.sleep(0)
        return self.files.get(name)

    async def _ask(self, name: str, *, written: bool) -> None:
        self.asked += not written
        await asyncio.sleep(0)
        if self.fails(name, written):
            raise StepError(Failure.VAULT_UNAVAILABLE, "The vault could not be used")

    def problems(self, folder: Path) -> list[str]:
        """What is wrong with a copy of it."""
        for name, data in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return list(Audit(folder, Trust({PUBLIC})).problems())

    def entries(self) -> list[str]:
        """The names of the chain's entries."""
        return sorted(name for name in self.files if name.startswith("chain/"))


def once(part: str, *, written: bool) -> Fault:
    """Fail the first operation on such a file, before or after it has happened."""
    failed: list[str] = []

    def fails(name: str, at: bool) -> bool:
        hit = part in name and at is written and not failed
        failed.extend([name] * hit)
        return hit

    return fails


def receipts(count: int) -> list[Receipt]:
    """Receipts of so many ejects; one client's id is `chain`."""
    return [ended(f"eject-{n}", "chain" if n % 3 == 0 else f"client-{n}") for n in range(count)]


async def write(writer: Receipts, receipt: Receipt) -> Written:
    """Write it as the run that ended so, until the vault takes it."""
    for _ in range(20):
        try:
            return await writer.write(receipt, receipt.eject_id)
        except StepError:
            continue
    raise AssertionError("the vault never took it")


@pytest.mark.parametrize("others", [0, 7])
@pytest.mark.parametrize("written", [False, True])
@pytest.mark.parametrize("part", ["receipts/", "chain/"])
async def test_an_attempt_cut_short_is_repeated_to_one_entry(
    tmp_path: Path, part: str, written: bool, others: int
) -> None:
    """Before and after either write, with entries of others since: another process finishes it."""
    vault = Memory()
    *before, mine = receipts(4)
    for receipt in before:
        await write(Receipts(vault, KEY), receipt)
    vault.fails = once(part, written=written)
    with pytest.raises(StepError):
        await Receipts(vault, KEY).write(mine, mine.eject_id)
    other = Receipts(vault, KEY)
    for number in range(others):
        await write(other, ended(f"since-{number}"))
    answers = {await write(Receipts(vault, KEY), mine) for _ in range(3)}
    assert len(answers) == 1
    assert len(vault.entries()) == len(before) + others + 1
    assert vault.problems(tmp_path) == []


@pytest.mark.parametrize("remembered", [1, 10_000])
async def test_two_processes_with_overlapping_attempts_leave_no_hole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, remembered: int
) -> None:
    """Forty receipts, every one tried by both at once: forty entries, also where little is remembered."""
    monkeypatch.setattr(chain, "_REMEMBERED", remembered)
    vault = Memory()
    writers, ended_so = [Receipts(vault, KEY) for _ in range(2)], receipts(40)
    answers = await asyncio.gather(*(write(writer, one) for one in ended_so for writer in writers))
    assert sorted({answer.number for answer in answers}) == list(range(1, 41))
    assert len(set(answers)) == 40
    assert len(vault.entries()) == 40
    assert vault.problems(tmp_path) == []


async def test_two_vaults_on_a_file_system_leave_no_hole(tmp_path: Path) -> None:
    """The same with threads and a real store, whose create is what decides: twenty receipts each."""
    writers = [Receipts(Vault(vault_url(tmp_path)), KEY) for _ in range(2)]
    await asyncio.gather(*(write(writers[n % 2], one) for n, one in enumerate(receipts(40))))
    audit = Audit(tmp_path / "vault", Trust({PUBLIC}))
    assert list(audit.problems()) == []
    assert audit.head
    assert audit.head.number == 40


Attempt = tuple[int, int, int | None]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2), st.none() | st.integers(0, 5)), max_size=25))
@settings(deadline=None, max_examples=25)
def test_any_order_of_attempts_and_deaths(
    tmp_path_factory: pytest.TempPathFactory, attempts: Sequence[Attempt]
) -> None:
    """All at once, each by one of three processes and dead after so many steps; then all are repeated."""

    async def play() -> Memory:
        vault, ended_so = Memory(), receipts(6)
        writers = [Receipts(vault, KEY) for _ in range(3)]

        async def attempt(which: int, process: int, dies_after: int | None) -> None:
            task = asyncio.create_task(writers[process].write(ended_so[which], "run"))
            for _ in range(1000 if dies_after is None else dies_after):
                if not task.done():
                    await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        await asyncio.gather(*(attempt(*one) for one in attempts))
        for receipt in ended_so:
            await writers[0].write(receipt, "run")
        return vault

    vault = asyncio.run(play())
    assert len(vault.entries()) == 6
    assert vault.problems(tmp_path_factory.mktemp("copy")) == []


async def test_a_parked_step_that_runs_again_keeps_its_receipt(tmp_path: Path) -> None:
    """Its input has gained the retry: the file that it wrote first stands and gets its one entry."""
    vault = Memory()
    receipt = ended()
    vault.fails = once("chain/", written=False)
    with pytest.raises(StepError):
        await Receipts(vault, KEY).write(receipt, "run-1")
    more = receipt.model_copy(update={"reasons": ("retried",)})
    written = await Receipts(vault, KEY).write(more, "run-1")
    assert (written.name, written.number) == (receipt_name(CLIENT, EJECT), 1)
    assert vault.files[written.name] == filed(receipt, run="run-1")
    assert vault.problems(tmp_path) == []


@pytest.mark.parametrize("died", [False, True])
async def test_a_reset_run_has_its_own_and_finishes_the_one_before(tmp_path: Path, died: bool) -> None:
    """Both receipts have their entry, also where the first run's worker died before it wrote one."""
    vault = Memory()
    if died:
        vault.fails = once("chain/", written=False)
    first, second = ended(), ended(end=End.CLOSED)
    try:
        await Receipts(vault, KEY).write(first, "run-1")
    except StepError:
        assert died
    for _ in range(2):
        written = await Receipts(vault, KEY).write(second, "run-2")
        assert (written.name, written.number) == (receipt_name(CLIENT, EJECT, "run-2"), 2)
    assert vault.problems(tmp_path) == []


@pytest.mark.parametrize("planted", [b"x", filed(ended(end=End.EJECTED), STRANGER, run="run"), b"{}"])
async def test_what_a_stranger_planted_keeps_no_receipt_out(tmp_path: Path, planted: bytes) -> None:
    """A file at the receipt's place, of the same run even, is neither taken nor named, and told."""
    vault = Memory()
    place = receipt_name(CLIENT, EJECT)
    vault.files[place] = planted
    written = await Receipts(vault, KEY).write(ended(), "run")
    assert written.name == receipt_name(CLIENT, EJECT, "run")
    assert vault.files[place] == planted
    assert vault.problems(tmp_path) == [f"{place} is named by no entry"]
    vault.files[receipt_name(CLIENT, EJECT, "run-2")] = planted
    with pytest.raises(StepError, match="is not this run's receipt"):
        await Receipts(vault, KEY).write(ended(end=End.CLOSED), "run-2")


async def test_without_a_key_receipts_are_chained_all_the_same(tmp_path: Path) -> None:
    """Development: unsigned, and right but for that."""
    vault = Memory()
    writer = Receipts(vault)
    for receipt in receipts(3):
        await write(writer, receipt)
    assert all(problem.endswith("is unsigned") for problem in vault.problems(tmp_path))
    assert list(Audit(tmp_path, Trust(unsigned=True)).problems()) == []


async def test_a_new_key_goes_on_where_the_old_one_stopped(tmp_path: Path) -> None:
    """Also in the middle of a receipt: the file by the old key gets its entry by the new one."""
    vault = Memory()
    vault.fails = once("chain/", written=False)
    with pytest.raises(StepError):
        await Receipts(vault, STRANGER).write(ended(), "run")
    assert (await Receipts(vault, KEY).write(ended(), "run")).name == receipt_name(CLIENT, EJECT)
    both = Trust({PUBLIC, public_key(STRANGER)})
    vault.problems(tmp_path)
    assert list(Audit(tmp_path, both).problems()) == []


async def test_the_cost_of_a_receipt_does_not_grow() -> None:
    """One after the other or all at once, each takes a few calls; a new process needs a few dozen."""
    vault = Memory()
    writer = Receipts(vault, KEY)
    for receipt in receipts(200):
        await write(writer, receipt)
    assert vault.asked <= 200 * 4 + 2
    vault.asked = 0
    await asyncio.gather(*(write(writer, ended(f"at-once-{n}")) for n in range(300)))
    assert vault.asked <= 300 * 4 + 2
    vault.asked = 0
    assert (await write(Receipts(vault, KEY), ended())).number == 501
    assert vault.asked <= 25


async def test_a_chain_that_was_cut_goes_on_at_its_end() -> None:
    """A receipt whose file names an entry that is gone is not waited for, and makes no hole."""
    vault = Memory()
    for receipt in receipts(3):
        await write(Receipts(vault, KEY), receipt)
    vault.fails = once("chain/", written=False)
    with pytest.raises(StepError):
        await Receipts(vault, KEY).write(ended(), "run")
    del vault.files[chain_name(3)], vault.files[chain_name(2)]
    assert (await Receipts(vault, KEY).write(ended(), "run")).number == 2


@pytest.mark.parametrize("number", [0, -5, 10**9, True, "7", None])
async def test_a_file_that_names_no_entry_makes_no_hole(number: object) -> None:
    """Whatever stands in it, the entry is the next one."""
    vault = Memory()
    for receipt in receipts(2):
        await write(Receipts(vault, KEY), receipt)
    vault.files[receipt_name(CLIENT, EJECT)] = filed(ended(), after=number)  # type: ignore[arg-type]
    assert (await Receipts(vault, KEY).write(ended(), EJECT)).number == 3
