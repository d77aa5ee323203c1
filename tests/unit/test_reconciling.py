"""What reconcile says, row by row: each state from the facts that make it, and its row on the page."""

import re
import shlex
from datetime import datetime, timedelta
from typing import Any

import pytest
from typer.main import get_command

import starter
from contracts.request import Backup
from contracts.stages import End, Stage
from contracts.wallets import Curve
from ejects.advice import State
from ejects.reconciling import advise, judge
from ejects.standing import Standing, Standings, Trace
from ejects.visibility import Latest
from portal.replies import ClientReply
from runtime.development import ROOT
from tests.unit.fakes import CLIENT, NOW
from tests.unit.receipts import ended

HOUR = timedelta(hours=1)
PAGE = (ROOT / "docs/recovery.md").read_text()
LOST = Trace("lost", {"w"}, {"ours"})
RELEASED = Trace("lost", {"w"}, {"ours"}, released=True)


def shown(
    *, ejected: datetime | None = None, closes: datetime | None = None, pair: str = "", multi: bool = True
) -> ClientReply:
    """A client as Portal shows it."""
    pairs = [{"id": pair, "status": "completed"}] if pair else []
    wallet: dict[str, Any] = {"id": "w", "curve": Curve.ED25519, "backupSharePairs": pairs}
    return ClientReply.model_validate(
        {
            "id": CLIENT,
            "ejectedAt": ejected,
            "environment": {"isMultiBackupEnabled": multi},
            "wallets": [wallet | {"ejectableUntil": closes}],
        }
    )


def receipt(end: End, at: datetime | None = None, eject: str = "earlier") -> Any:
    """A receipt with this end."""
    return ended(eject, end=end).model_copy(update={"ejected_at": at})


OPEN = shown(closes=NOW + HOUR)
ROWS: list[tuple[State | None, dict[str, Any]]] = [
    (None, {"shown": shown()}),
    (State.RUNNING, {"shown": OPEN, "stage": Stage.CHECKING, "traces": [LOST]}),
    (State.RUNNING, {"shown": None, "stage": Stage.CHECKING}),
    (State.GONE_AT_PORTAL, {"shown": None, "deposited": True}),
    (State.GONE_AT_PORTAL, {"shown": None, "receipts": [receipt(End.EXPIRED)]}),
    (State.EJECTED, {"shown": shown(ejected=NOW), "receipts": [receipt(End.EJECTED, NOW)]}),
    (State.EJECTED, {"shown": shown(ejected=NOW), "receipts": [receipt(End.ALREADY_EJECTED, NOW)]}),
    (State.EJECTED_ELSEWHERE, {"shown": shown(ejected=NOW), "receipts": [receipt(End.EJECTED, NOW - HOUR)]}),
    (State.EJECTED_ELSEWHERE, {"shown": shown(ejected=NOW), "receipts": [receipt(End.CLOSED)]}),
    (State.EJECTED_ELSEWHERE, {"shown": shown(ejected=NOW, closes=NOW + HOUR)}),
    (State.EJECTED_UNRECORDED, {"shown": shown(ejected=NOW), "traces": [RELEASED]}),
    (State.EJECTED_UNRECORDED, {"shown": shown(ejected=NOW), "deposited": True}),
    (State.EJECTED_UNRECORDED, {"shown": shown(ejected=NOW), "ended": Latest(End.EJECTED, "lost", False)}),
    (State.RECEIPT_ALONE, {"shown": shown(), "receipts": [receipt(End.EJECTED, NOW)]}),
    (State.WINDOW_OPEN, {"shown": OPEN, "traces": [LOST], "deposited": True}),
    (State.WINDOW_OPEN_CLAIMED, {"shown": OPEN, "traces": [RELEASED], "deposited": True}),
    (State.WINDOW_OPEN_ELSEWHERE, {"shown": OPEN}),
    (State.WINDOW_OPEN_ELSEWHERE, {"shown": OPEN, "receipts": [receipt(End.EXPIRED)]}),
    (State.WINDOW_OPEN_ELSEWHERE, {"shown": OPEN, "deposited": True}),
    (State.CLAIMED, {"shown": shown(closes=NOW - HOUR), "traces": [RELEASED]}),
    (State.BACKED_UP, {"shown": shown(), "traces": [LOST]}),
    (State.BACKED_UP, {"shown": shown(closes=NOW + timedelta(seconds=80)), "traces": [LOST]}),
    (State.BACKED_UP, {"shown": shown(), "traces": [LOST], "receipts": [receipt(End.EXPIRED)]}),
    (State.ENDED, {"shown": shown(), "receipts": [receipt(End.EXPIRED)]}),
    (State.ENDED, {"shown": shown(), "traces": [LOST], "receipts": [receipt(End.CANCELLED, eject="lost")]}),
    (State.ENDED, {"shown": shown(), "traces": [LOST], "ended": Latest(End.CANCELLED, "lost", False)}),
    (State.DEPOSITED, {"shown": shown(), "deposited": True}),
]


@pytest.mark.parametrize(("state", "facts"), ROWS, ids=[f"{n} {row[0]}" for n, row in enumerate(ROWS)])
def test_a_client_stands_where_its_facts_say(state: State | None, facts: dict[str, Any]) -> None:
    """One state each; every command that is told parses."""
    line = judge(Standing(CLIENT, **facts), NOW)
    assert (line and line.state) == state
    for command in line.commands if line else ():
        parses(command)


def parses(command: str) -> None:
    """A command of starter's, its options known."""
    python, program, name, *words = shlex.split(command)
    assert (python, program) == ("python", "starter.py")
    group: Any = get_command(starter.app)
    options = {option for parameter in group.commands[name].params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options


def test_what_concerns_everybody_comes_first() -> None:
    """A silent Temporal, a broken chain, files of nobody."""
    found = Standings((Standing(CLIENT, OPEN),), (LOST,), ("a is missing", "b too"), 1, temporal=False)
    lines = advise(found, NOW)
    assert [line.state for line in lines] == [
        State.TEMPORAL_SILENT,
        State.CHAIN_BROKEN,
        State.UNKNOWN_FILES,
        State.WINDOW_OPEN_ELSEWHERE,
    ]
    assert "a is missing (and 1 more)" in lines[1].facts


@pytest.mark.parametrize(
    ("pair", "multi", "replaces", "asks"),
    [
        ("ours", True, False, False),
        ("", False, False, False),
        ("ours", False, True, False),
        ("owners", False, False, True),
    ],
)
def test_a_backup_is_replaced_only_where_one_is_kept(
    pair: str, multi: bool, replaces: bool, asks: bool
) -> None:
    """Where the environment keeps one and the lost eject made it; otherwise the owner is asked."""
    line = judge(Standing(CLIENT, shown(pair=pair, multi=multi), traces=[LOST], deposited=True), NOW)
    assert line
    assert ("--replace-backup" in line.commands[0]) is replaces
    assert ("ask the owner" in line.advice) is asks


@pytest.mark.parametrize("facts", [{"deposited": True}, {}])
def test_without_a_lost_eject_no_backup_is_replaced(facts: dict[str, Any]) -> None:
    """A deposit, or a window that somebody opened, says nothing of whose backup it is."""
    closes = None if facts else NOW + HOUR
    line = judge(Standing(CLIENT, shown(pair="owners", multi=False, closes=closes), **facts), NOW)
    assert line
    assert "--replace-backup" not in line.commands[0]
    assert "ask the owner" in line.advice


def test_a_missing_deposit_is_asked_for_first() -> None:
    """Or the lost backup is used."""
    line = judge(Standing(CLIENT, OPEN, traces=[LOST]), NOW)
    assert line
    assert f"--backup {Backup.EXISTING}" in line.advice


def test_every_state_has_its_row_on_the_page_and_here() -> None:
    """And the page names no other."""
    rows = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.M))
    assert rows == set(State)
    general = {State.TEMPORAL_SILENT, State.CHAIN_BROKEN, State.UNKNOWN_FILES}
    assert {state for state, _ in ROWS if state} == set(State) - general


COMMANDS = re.findall(r"(?:^ {4,}|`)python (starter\.py [^`\n]*)", PAGE, re.M)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_page_parses(command: str) -> None:
    """Those of starter; the copies and those of Temporal's CLI are run by other tests."""
    parses(f"python {command}")
