"""Breaks that the tests must notice: each is made in a copy of the tree, and its test has to go red.

`python -m tests.mutants [NAME ...]` (`make mutants`) ends with exit code 1 when a break stays unnoticed.
"""

import asyncio
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from docs.figures import keep, kept
from runtime.development import ROOT
from tests.breaks import MUTANTS, Mutant

# Two at once is what the machines have; a broken eject hangs until its test loses patience.
AT_ONCE = 2
ENDS_WITHIN = 300


def copy_of_the_tree(folder: Path) -> None:
    """What is committed or about to be, without what `.gitignore` leaves out."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],  # noqa: S607
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def broken(mutant: Mutant, text: str) -> str:
    """The file with its break; ValueError when the text to replace is not there exactly once."""
    if text.count(mutant.old) != 1:
        raise ValueError(f"{mutant.name}: its text stands {text.count(mutant.old)} times in {mutant.file}")
    return text.replace(mutant.old, mutant.new)


async def outcome(folder: Path, *tests: str) -> tuple[int, str]:
    """Run tests in a copy: pytest's exit code, and its closing lines."""
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "pytest", "-p", "no:cacheprovider", "-x", "--tb=line", *tests),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        said, _ = await asyncio.wait_for(running.communicate(), ENDS_WITHIN)
    except TimeoutError:
        running.terminate()  # pytest ends its servers
        await running.wait()
        return -1, f"did not end within {ENDS_WITHIN} s"
    assert running.returncode is not None
    return running.returncode, said.decode()


async def survives(mutant: Mutant) -> str:
    """Why a break was not noticed, or nothing where its test went red."""
    with tempfile.TemporaryDirectory(prefix="eject-mutant-") as name:
        folder = Path(name)
        copy_of_the_tree(folder)
        path = folder / mutant.file
        path.write_text(broken(mutant, path.read_text()))
        code, said = await outcome(folder, mutant.test)
    # Exit code 1 and a failed test: a module that cannot be imported would be red for the wrong reason.
    if code == 1 and re.search(r"\b\d+ failed", said) and not re.search(r"\b\d+ error", said):
        return ""
    return f"exit code {code}: {said.strip().splitlines()[-1] if said.strip() else 'nothing said'}"


async def main(names: list[str]) -> int:
    """First the tests on the tree as it is, then each break; returns the exit code."""
    chosen = [mutant for mutant in MUTANTS if not names or mutant.name in names]
    for mutant in chosen:
        broken(mutant, (ROOT / mutant.file).read_text())
    code, said = await outcome(ROOT, *sorted({mutant.test for mutant in chosen}))
    if code:
        print(f"The tests are red without a break:\n{said}")  # noqa: T201
        return 1
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(mutant: Mutant) -> str:
        async with slots:
            why = await survives(mutant)
        print(f"{'UNNOTICED ' + why if why else 'red'}  {mutant.name} ({mutant.test})", flush=True)  # noqa: T201
        return why

    outcomes = await asyncio.gather(*map(one, chosen))
    came_to = {mutant.name: why for mutant, why in zip(chosen, outcomes, strict=True)}
    figures = kept("mutants") | came_to
    keep("mutants", {mutant.name: figures[mutant.name] for mutant in MUTANTS if mutant.name in figures})
    unnoticed = [why for why in outcomes if why]
    print(f"{len(chosen) - len(unnoticed)} of {len(chosen)} breaks were noticed")  # noqa: T201
    return 1 if unnoticed or not chosen else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
