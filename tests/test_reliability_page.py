"""The page on reliability is what the matrices are, and its figures are of runs that tried all of them."""

from docs import reliability
from docs.figures import kept
from runtime.development import ROOT
from tests.breaks import MUTANTS
from tests.harness.points import BATCHES
from tests.mutants import broken
from tests.properties.effort import WANTED

AGAIN = "run `make chaos fuzz mutants docs` and commit docs/figures and docs/reliability.md"


def test_the_page_is_what_the_figures_are() -> None:
    """`make docs` writes it."""
    assert reliability.PAGE.read_text() == reliability.page(), AGAIN


def test_every_break_is_still_there_to_be_made() -> None:
    """The text that it takes away stands in its file, once."""
    for mutant in MUTANTS:
        text = (ROOT / mutant.file).read_text()
        assert broken(mutant, text) != text


def test_the_last_runs_tried_all_that_there_is() -> None:
    """A new point, break or road was run before its figures are shown; and all of it went right."""
    chaos, fuzz, mutants = kept("chaos"), kept("fuzz"), kept("mutants")
    assert chaos["kills"] == {str(cell): "" for batch in BATCHES.values() for cell in batch}, AGAIN
    assert chaos["failed"] == 0
    assert chaos["passed"]["test_month.py"] >= 1
    assert chaos["secrets"]["scenarios"] >= 40
    assert chaos["secrets"]["found"] == 0
    assert fuzz["bundles and shares"] >= WANTED
    assert fuzz["failed"] == 0
    assert mutants == {mutant.name: "" for mutant in MUTANTS}, AGAIN
