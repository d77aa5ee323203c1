"""Makes `docs/reliability.md` from the matrices and the figures of the last runs: `make docs`."""

import textwrap
from collections.abc import Iterator
from pathlib import Path

from docs.figures import kept
from tests.breaks import MUTANTS
from tests.faults.table import CALLS, FAULTS
from tests.faults.table import markdown as faults
from tests.harness.points import table as kills

PAGE = Path(__file__).with_name("reliability.md")


def _said(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), 120, break_long_words=False, break_on_hyphens=False) + "\n"


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _head() -> Iterator[str]:
    chaos, fuzz, mutants = kept("chaos"), kept("fuzz"), kept("mutants")
    yield "# Reliability: what is attacked, and what came of it\n"
    yield _said(
        """Every table here is made from what the tests try, and every figure was written by the
        last run of the command beside it (`docs/figures/`). A test holds the page against both;
        `.ci/run` runs all but `make mutants`, and not `make mass` (500 ejects against Portal's budgets)."""
    )
    yield _row("command", "what it attacks", "last run")
    yield _row("---", "---", "---")
    yield _row(
        "`make chaos`",
        "every death at every point, every fault at every call, planted secrets everywhere, a month",
        f"{sum(chaos.get('passed', {}).values())} tests passed, {chaos.get('failed', 0)} failed",
    )
    yield _row(
        "`make fuzz`",
        "bundles and shares, messages, replies, command lines",
        f"{fuzz.get('bundles and shares', 0):,} bundles and shares, "
        f"{sum(fuzz.get('tried', {}).values()):,} inputs in all, {fuzz.get('failed', 0)} failures",
    )
    noticed = sum(not why for why in mutants.values())
    yield _row("`make mutants`", "the tests themselves", f"{noticed} of {len(mutants)} breaks noticed")
    yield _row("`make test`", "a spread of all of it, in minutes", "on every change")
    yield ""


def _kills() -> Iterator[str]:
    yield "## Every death\n"
    yield _said(
        """SIGKILL of the worker, of the Temporal server (on its database file) and of the sandbox,
        at every point of every step. Right means: the end that its road must have, one
        effective completion or none where none is due, only the kept pairs confirmed, nothing
        of ours in the vault but the receipt and its chain (and the deposit where the client
        stays), nobody parked, each notice told once. `3/3`: after each of the three deaths it
        ended right. `-`: the step has no such moment."""
    )
    yield kills(kept("chaos").get("kills", {})) + "\n"
    restarts = kept("chaos").get("restarts", {})
    yield _said(
        f"""Restart of everything (`tests/test_restarts.py`): {restarts.get("ejects", 0)} ejects in all
        stages, and the server, the sandbox, both workers and the codec server ended and started
        {restarts.get("rounds", 0)} times over in random order, some together: each ended as
        planned. {kept("chaos").get("passed", {}).get("test_restarts.py", 0)} passed."""
    )
    yield _said(
        f"""A window of a month with 20 restarts of the worker and 3 of the server in it
        (`tests/test_month.py`): an eject whose owner comes on the last day ends `ejected`, one
        that nobody claims `expired`, on time. {
            kept("chaos").get("passed", {}).get("test_month.py", 0)
        } passed."""
    )


def _faults() -> Iterator[str]:
    yield "## Every fault\n"
    yield _said(
        f"""{len(FAULTS)} faults at {len(CALLS)} calls: each call alone (`tests/test_faults.py`,
        with the memory that 100 MB may cost), and each in whole ejects on a real server
        (`tests/test_faults_in_ejects.py`), which go on by themselves, or park, are mended and
        end `ejected`: {kept("chaos").get("passed", {}).get("test_faults_in_ejects.py", 0)}
        tests of ejects passed. No exchange lasts longer than 45 s, the enclave's 105 s, a
        notice's 10 s."""
    )
    yield faults()


def _secrets() -> Iterator[str]:
    found = kept("chaos").get("secrets", {})
    yield "## No secret anywhere\n"
    yield _said(
        f"""{found.get("scenarios", 0)} scenarios with {found.get("secrets", 0):,} planted secrets,
        looked for in {found.get("patterns", 0):,} forms of them over {found.get("bytes", 0):,}
        bytes in these channels, each with a control that is found when put there:
        {", ".join(found.get("channels", []))}. **{found.get("found", "Not run,")} found.**"""
    )


def _mutants() -> Iterator[str]:
    outcomes = kept("mutants")
    yield "## Each promise broken once\n"
    yield _row("break", "what it takes away", "the test that goes red", "last run")
    yield _row(*["---"] * 4)
    for mutant in MUTANTS:
        last = outcomes.get(mutant.name, "not run") or "red"
        yield _row(mutant.name.replace("_", " "), mutant.guards, f"`{mutant.test}`", last)


def page() -> str:
    """The whole page."""
    parts = (_head, _kills, _faults, _secrets, _mutants)
    return "\n".join(line for part in parts for line in part()) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
