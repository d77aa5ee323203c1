"""A copy of the vault, audited: whatever is missing, changed, exchanged or doubled is found and named."""

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from contracts.chain import ENTRY, RECEIPT
from contracts.names import chain_name
from custody.audit import Audit, Head
from custody.chain import Receipts
from custody.signing import Trust, parsed, sha256, signed
from custody.vault import Vault
from ejects.offline import MOST_PROBLEMS, offline
from tests.unit.receipts import KEY, PUBLIC, STRANGER, ended, left

COUNT = 10
TRUST = Trust({PUBLIC})
ENTRIES = [chain_name(number) for number in range(1, COUNT + 1)]
RECEIPTS = [f"receipts/client-{n % 4}/eject-{n}.json" for n in range(COUNT)]


@pytest.fixture(scope="module")
async def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The vault after ten ejects, half of them proven."""
    folder = tmp_path_factory.mktemp("original")
    writer = Receipts(Vault(folder.as_uri()), KEY)
    for n in range(COUNT):
        make = left if n % 2 else ended
        await writer.write(make(f"eject-{n}", f"client-{n % 4}"), f"eject-{n}")
    return folder


@pytest.fixture
def copy(original: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(original, tmp_path / "copy"))


def problems(folder: Path, head: Head | None = None, trust: Trust = TRUST) -> list[str]:
    """All that the audit finds."""
    return list(Audit(folder, trust, head).problems())


def head_of(folder: Path) -> Head:
    """The head as the custodian notes it."""
    audit = Audit(folder, TRUST)
    assert list(audit.problems()) == []
    assert audit.head
    return audit.head


def names(found: list[str], *wanted: str) -> bool:
    """Whether all these files are named by the problems."""
    return all(any(name in problem for problem in found) for name in wanted)


def test_a_right_chain_is_right(copy: Path) -> None:
    """The head is the last entry's number and digest, and was an ancestor at every time before."""
    assert head_of(copy) == Head(COUNT, sha256((copy / ENTRIES[-1]).read_bytes()))
    for number, name in enumerate(ENTRIES, start=1):
        assert problems(copy, Head(number, sha256((copy / name).read_bytes()))) == []
    (copy / f"{ENTRIES[3]}#1").write_bytes(b"half of a file that a killed process wrote")
    assert problems(copy) == []


def test_every_removed_file_is_named(copy: Path) -> None:
    """An entry in the middle, a receipt anywhere; the last entry by the receipt that nobody names then."""
    for name in ENTRIES + RECEIPTS:
        kept = (copy / name).read_bytes()
        (copy / name).unlink()
        expected = RECEIPTS[-1] if name == ENTRIES[-1] else name
        assert names(problems(copy), expected), name
        (copy / name).write_bytes(kept)
    assert problems(copy) == []


def test_every_edited_file_is_named(copy: Path) -> None:
    """One byte of it, in three places."""
    for name in ENTRIES + RECEIPTS:
        kept = (copy / name).read_bytes()
        for at in (0, len(kept) // 2, len(kept) - 3):
            (copy / name).write_bytes(kept[:at] + bytes([kept[at] ^ 1]) + kept[at + 1 :])
            assert names(problems(copy), name), (name, at)
        (copy / name).write_bytes(kept)
    assert problems(copy) == []


@pytest.mark.parametrize("files", [ENTRIES, RECEIPTS], ids=["entries", "receipts"])
def test_every_two_exchanged_files_are_named(copy: Path, files: list[str]) -> None:
    """Any two entries, any two receipts; each of them is named."""
    for one, other in itertools.combinations(files, 2):
        first, second = (copy / one).read_bytes(), (copy / other).read_bytes()
        (copy / one).write_bytes(second)
        (copy / other).write_bytes(first)
        assert names(problems(copy), one, other), (one, other)
        (copy / one).write_bytes(first)
        (copy / other).write_bytes(second)
    assert problems(copy) == []


def test_every_doubled_file_is_named(copy: Path) -> None:
    """An entry at the end of the chain once more, a receipt under another name, and what is neither."""
    for name in ENTRIES:
        double = copy / chain_name(COUNT + 1)
        shutil.copy(copy / name, double)
        assert names(problems(copy), chain_name(COUNT + 1)), name
        double.unlink()
    for name in [*RECEIPTS, *ENTRIES]:
        double = copy / "receipts" / "client-1" / "another.json"
        shutil.copy(copy / name, double)
        assert problems(copy) == ["receipts/client-1/another.json is named by no entry"]
        double.unlink()
    for strange in ("chain/1.json", "chain/000000000011.txt", "chain/000000000011.json/x"):
        (copy / strange).parent.mkdir(exist_ok=True)
        (copy / strange).write_bytes(b"x")
        assert problems(copy) == [f"{strange} is no name of an entry"]
        (copy / strange).unlink()
    (copy / chain_name(11)).rmdir()
    (copy / chain_name(0)).write_bytes((copy / ENTRIES[0]).read_bytes())
    assert names(problems(copy), chain_name(0))


def test_a_removed_entry_is_missed_though_the_rest_moves_up(copy: Path) -> None:
    """Renumbering closes no gap: each entry says its number, and which one came before."""
    (copy / ENTRIES[4]).unlink()
    for before, after in itertools.pairwise(ENTRIES[4:]):
        (copy / after).rename(copy / before)
    assert names(problems(copy), ENTRIES[4], RECEIPTS[4])


def test_a_long_gap_is_one_problem(copy: Path) -> None:
    """An entry with a huge number makes no list of all that would be before it."""
    shutil.copy(copy / ENTRIES[-1], copy / chain_name(10**12 - 1))
    assert len(problems(copy)) < 6
    assert names(problems(copy), chain_name(11), chain_name(10**12 - 2))


def cut(folder: Path) -> None:
    """Take the last three ejects away, without a trace."""
    for name in ENTRIES[-3:] + RECEIPTS[-3:]:
        (folder / name).unlink()


def rewrite(folder: Path) -> None:
    """Write the chain anew without its fourth eject, as only the holder of the key can."""
    (folder / RECEIPTS[3]).unlink()
    previous, number = None, 0
    for name in ENTRIES:
        fields = parsed((folder / name).read_bytes()) or {}
        (folder / name).unlink()
        if fields["name"] == RECEIPTS[3]:
            continue
        number += 1
        receipt = folder / fields["name"]
        kept = (parsed(receipt.read_bytes()) or {}) | {"after": number - 1}
        receipt.write_bytes(
            signed(RECEIPT, {k: v for k, v in kept.items() if k not in ("key", "signature")}, KEY)
        )
        content = {
            "number": number,
            "previous": previous,
            "receipt": sha256(receipt.read_bytes()),
            "name": fields["name"],
        }
        data = signed(ENTRY, content, KEY)
        (folder / chain_name(number)).write_bytes(data)
        previous = sha256(data)


@pytest.mark.parametrize("attack", [cut, rewrite])
def test_only_a_noted_head_tells_of_a_cut_or_rewritten_end(
    copy: Path, attack: Callable[[Path], None]
) -> None:
    """What is left is right in itself; the head that was noted is no ancestor of it."""
    head = head_of(copy)
    earlier = Head(5, sha256((copy / ENTRIES[4]).read_bytes()))
    attack(copy)
    assert problems(copy) == []
    (problem,) = problems(copy, head)
    assert chain_name(head.number) in problem
    assert (problems(copy, earlier) == []) is (attack is cut)


def test_a_forged_entry_or_receipt_is_named(copy: Path) -> None:
    """Somebody else's key makes no entry, and the right key no receipt of a wrong name or place."""
    fields = {
        "number": 11,
        "previous": head_of(copy).digest,
        "receipt": sha256((copy / RECEIPTS[0]).read_bytes()),
        "name": RECEIPTS[0],
    }
    forged = copy / chain_name(11)
    forged.write_bytes(signed(ENTRY, fields, STRANGER))
    assert f"{chain_name(11)} is signed with a key that was not named with --key" in problems(copy)
    forged.write_bytes(signed(ENTRY, fields, KEY))
    assert problems(copy) == [f"{chain_name(11)} names {RECEIPTS[0]}, which {ENTRIES[0]} names already"]
    other = "receipts/client-1/other.json"
    shutil.copy(copy / RECEIPTS[0], copy / other)
    forged.write_bytes(signed(ENTRY, fields | {"name": other}, KEY))
    assert problems(copy) == [f"{other} holds the receipt of eject eject-0 of client client-0"]
    forged.write_bytes(signed(ENTRY, fields | {"name": "receipts/../../etc/passwd"}, KEY))
    assert f"{chain_name(11)} is no entry as a worker wrote it, byte for byte" in problems(copy)


def resigned(beginning: bytes, path: Path, **changes: object) -> None:
    """Sign a file of the chain again with other fields, as only the holder of the key can."""
    fields = {k: v for k, v in (parsed(path.read_bytes()) or {}).items() if k not in ("key", "signature")}
    path.write_bytes(signed(beginning, fields | changes, KEY))


@pytest.mark.parametrize(
    ("beginning", "name", "changes", "words"),
    [
        (ENTRY, ENTRIES[-1], {"number": 11}, f"{ENTRIES[-1]} is the entry of number 11"),
        (ENTRY, ENTRIES[-1], {"previous": "0" * 64}, f"{ENTRIES[-1]} does not follow the entry before it"),
        (ENTRY, ENTRIES[-1], {"previous": None}, f"{ENTRIES[-1]} does not follow the entry before it"),
        (ENTRY, ENTRIES[-1], {"receipt": "0" * 64}, f"{RECEIPTS[-1]} is not what {ENTRIES[-1]} names"),
        (RECEIPT, RECEIPTS[-1], {"after": 8}, f"{RECEIPTS[-1]} is not what {ENTRIES[-1]} names"),
    ],
)
def test_each_check_stands_alone(
    copy: Path, beginning: bytes, name: str, changes: dict[str, object], words: str
) -> None:
    """Under the right signature one thing alone is wrong, and it is the one that is told."""
    resigned(beginning, copy / name, **changes)
    (problem,) = problems(copy)
    assert problem.startswith(words)


def test_a_receipt_stands_behind_the_entry_it_was_made_after(copy: Path) -> None:
    """Its file says which entry was the last then, so its own has a higher number."""
    resigned(RECEIPT, copy / RECEIPTS[-1], after=COUNT)
    resigned(ENTRY, copy / ENTRIES[-1], receipt=sha256((copy / RECEIPTS[-1]).read_bytes()))
    assert problems(copy) == [f"{RECEIPTS[-1]} was made after entry 10, and {ENTRIES[-1]} names it"]


def test_no_key_and_another_key(copy: Path) -> None:
    """Every entry and every receipt is named when its key is not trusted."""
    assert names(problems(copy, trust=Trust()), *ENTRIES, *RECEIPTS)
    assert names(problems(copy, trust=Trust({"0" * 64}, unsigned=True)), *ENTRIES, *RECEIPTS)


def told(*arguments: str) -> tuple[int, str, str]:
    """What the command says."""
    ran = CliRunner().invoke(offline, ["verify-receipt", *arguments])
    return ran.exit_code, ran.stdout, ran.stderr


def test_the_command_tells_all_and_bounded(copy: Path) -> None:
    """Right: the head on standard output. Wrong: a line a problem on standard error, a hundred at most."""
    chain = ("--chain", str(copy), "--key", PUBLIC)
    code, out, err = told(*chain)
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == str(head_of(copy))
    assert told(*chain, "--head", out.splitlines()[-1])[0] == 0
    (copy / RECEIPTS[2]).unlink()
    (copy / "chain" / "\x1b[2Jx").write_bytes(b"")
    code, out, err = told(*chain)
    assert (code, out) == (1, "")
    assert sorted(err.splitlines()) == sorted(
        ["chain/?[2Jx is no name of an entry", f"{RECEIPTS[2]} is missing, and {ENTRIES[2]} names it"]
    )
    for n in range(MOST_PROBLEMS + 5):
        (copy / "receipts" / f"more-{n}.json").write_bytes(b"")
    code, out, err = told(*chain)
    assert (code, len(err.splitlines()), err.splitlines()[-1]) == (1, MOST_PROBLEMS + 1, "and 7 more")
