"""The page about Portal and Tatum: no empty cell, no test that is not there, no call that is missing."""

import re
from pathlib import Path

from docs import contradictions
from portal import calls
from portal.calls import Call
from sandbox.routes import ROUTES

TESTS = Path(__file__).parent
PAGE = contradictions.PAGE.read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith("| ---")
]


def test_no_cell_is_empty() -> None:
    """Every rule has its test, every question its answer."""
    assert [row for row in ROWS if not all(row)] == []
    assert len(ROWS) > 90


def test_every_test_that_it_names_is_there() -> None:
    """File and function."""
    named = re.findall(r"`((?:\w+/)*test_\w+\.py)::(\w+)`", PAGE)
    assert len(named) > 70
    missing = [
        f"{file}::{test}"
        for file, test in named
        if not re.search(rf"^(?:async )?def {test}\(", (TESTS / file).read_text(), re.M)
    ]
    assert missing == []


def test_every_row_of_calls_fields_rules_and_errors_names_a_test() -> None:
    """Up to the tables of contradictions, the last cell is the test."""
    covered = contradictions.PAGE.read_text().partition(contradictions.BEGIN)[0]
    rows = [line for line in covered.splitlines() if line.startswith("| ")]
    heads = [line for line in rows if line.endswith("| test |")]
    bare = [line for line in rows if "::" not in line and line not in heads and "---" not in line]
    assert bare == []


def test_every_call_is_on_it() -> None:
    """Ours by its name, the sandbox's by method and path."""
    ours = {call.name for call in vars(calls).values() if isinstance(call, Call)}
    assert ours <= {row[0] for row in ROWS}
    served = {
        f"{route.method} `{route.path.removeprefix('/api/v3')}`"
        for route in ROUTES
        if not route.path.startswith("/v4/")
    }
    assert served <= {row[1] for row in ROWS}


def test_the_contradictions_are_those_of_the_profiles() -> None:
    """The page says what the code does: `make docs` writes both tables."""
    assert contradictions.page(PAGE) == PAGE
