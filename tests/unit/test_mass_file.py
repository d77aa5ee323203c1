"""The file of a mass exit: read whole, or refused whole with every wrong line and none of its values."""

import json
from datetime import timedelta

import pytest

from contracts.request import Backup, EjectRequest, FetchAs
from device.identity import Identity
from ejects.mass_file import ListError, read_file

COMMON = {"window": "P7D", "requested_by": "ada", "reason": "the custodian closes down"}
ONE, OTHER = (Identity.generate().recipient for _ in range(2))
WRONG = ONE[:-1] + ("q" if ONE[-1] != "q" else "p")


def refused(text: str, **common: str) -> list[str]:
    """What is said of a wrong file, line by line, after its first."""
    with pytest.raises(ListError) as caught:
        read_file(text, COMMON | common)
    first, *lines = str(caught.value).split("\n")
    assert first.startswith("Nothing was started")
    return lines


def test_both_forms_say_the_same() -> None:
    """CSV with empty cells, a BOM and blank lines; JSON lines; a line's own goes before what is common."""
    table = f"\ufeffrecipient,client,window,backup\r\n{ONE}, a ,,\r\n\r\n{OTHER},b,PT24H,existing\r\n"
    rows = [
        {"client": "a", "recipient": ONE},
        {"client": "b", "recipient": OTHER, "window": "PT24H", "backup": "existing"},
    ]
    lines = "\n".join(map(json.dumps, rows))
    found = read_file(table, COMMON)
    assert found == read_file(f"\n{lines}\n\n", COMMON)
    assert [(one.client_id, one.recipient, one.window, one.backup) for one in found] == [
        ("a", ONE, timedelta(days=7), Backup.FRESH),
        ("b", OTHER, timedelta(days=1), Backup.EXISTING),
    ]
    assert {one.reason for one in found} == {COMMON["reason"]}


def test_every_field_of_a_line_arrives() -> None:
    """Those of the client's own fetch, and the replacement of a backup."""
    header = "client,recipient,backup,fetch_as,backup_method,replace_backup"
    own, replacing = read_file(f"{header}\na,{ONE},existing,client,GDRIVE,\nb,{ONE},,,,true", COMMON)
    assert own == EjectRequest.model_validate(
        COMMON
        | {"client_id": "a", "recipient": ONE, "backup": "existing"}
        | {"fetch_as": FetchAs.CLIENT, "backup_method": "GDRIVE"}
    )
    assert replacing.replace_backup


def test_all_wrong_lines_are_told_by_number_and_without_values() -> None:
    """An id that is none, a checksum, a repeat, a missing cell, a rule between two fields."""
    table = (
        f"client,recipient,fetch_as\na,{ONE},\nb,{WRONG},\na,{ONE},\nno id!,{ONE},\nc,{ONE}\nd,{ONE},client"
    )
    told = refused(table)
    assert [line.split(": ")[:2] for line in told] == [
        ["line 3", "recipient"],
        ["line 4", "client"],
        ["line 5", "client"],
        ["line 6", "has 2 cells, and the header 3"],
        ["line 7", "fetch_as"],
    ]
    assert told[1] == "line 4: client: the same as in line 2"
    assert not [line for line in told if "age1" in line or "no id" in line]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("client,window\na,P1D", "line 1: the header must name client, recipient"),
        ("client,recipient,colour\n", "line 1: the header must name"),
        ("client,client,recipient\n", "each once"),
        ('client,recipient\n"a', "is no CSV"),
        ('{"client": "a"', "line 1: is no JSON object"),
        ("{}\n[1]", "line 2: is no JSON object"),
        ('{"client": "a", "reason": "x"}', "line 1: has a name that is none of client, recipient"),
        ('{"client": "a", "recipient": 7}', "line 1: recipient: "),
        ("[" * 100_000, "the header must name"),
        ('{"client":' + "[" * 100_000, "is no JSON object"),
    ],
)
def test_what_has_no_form_is_refused(text: str, words: str) -> None:
    """Each with its line."""
    assert words in "\n".join(refused(text))


@pytest.mark.parametrize("text", ["", "\n \n", "client,recipient\n"])
def test_an_empty_list_is_refused(text: str) -> None:
    """Somebody named the wrong file."""
    with pytest.raises(ListError, match="The list is empty"):
        read_file(text, COMMON)


def test_at_most_ten_lines_are_told() -> None:
    """And how many there are beside them."""
    told = refused("client,recipient\n" + "".join(f"c{n},{WRONG}\n" for n in range(25)))
    assert len(told) == 11
    assert told[-1] == "and 15 more lines are wrong"
