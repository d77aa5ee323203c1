"""Reading the file of a mass exit: everything that is wrong with it is told before anything starts."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from contracts.base import problems
from contracts.request import EjectRequest
from custody.sealing import is_recipient
from ejects.service import EjectError

# By the name of the column; `client` and `recipient` every line has.
COLUMNS = {
    "client": "client_id",
    "recipient": "recipient",
    "window": "window",
    "backup": "backup",
    "replace_backup": "replace_backup",
    "fetch_as": "fetch_as",
    "backup_method": "backup_method",
}
_NEEDED = ("client", "recipient")
_SHOWN = 10


class ListError(EjectError):
    """The file is wrong: one sentence a line, none of which holds a value of the file."""


def read_file(text: str, common: Mapping[str, str]) -> list[EjectRequest]:
    """The requests of a file, CSV with a header or JSON lines; `ListError` where anything is wrong with it.

    `common` has the fields of a request that hold for all, by their names; a line's own go before.
    """
    found: list[EjectRequest] = []
    wrong: list[str] = []
    lines: dict[str, int] = {}
    for number, row in _rows(text.removeprefix("\ufeff")):
        if isinstance(row, str):
            wrong.append(f"line {number}: {row}")
            continue
        try:
            request = EjectRequest.model_validate({**common, **row})
        except ValidationError as error:
            wrong.append(f"line {number}: {_sentence(error)}")
            continue
        if not is_recipient(request.recipient):
            wrong.append(f"line {number}: recipient: its checksum is wrong, copy it again")
        elif (first := lines.setdefault(request.client_id, number)) != number:
            wrong.append(f"line {number}: client: the same as in line {first}")
        else:
            found.append(request)
    if len(wrong) > _SHOWN:
        wrong[_SHOWN:] = [f"and {len(wrong) - _SHOWN} more lines are wrong"]
    if wrong:
        raise ListError("\n".join(["Nothing was started, because the list is wrong:", *wrong]))
    if not found:
        raise ListError("The list is empty: name a file with a client on each line")
    return found


def _sentence(error: ValidationError) -> str:
    columns = {field: column for column, field in COLUMNS.items()}
    return "; ".join(f"{columns.get(field, field)}: {problem}" for field, problem in problems(error))


def _rows(text: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Each line's number and its fields by the names of a request, or what is wrong with its form."""
    return _json_lines(text) if text.lstrip().startswith("{") else _csv(text)


def _json_lines(text: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            yield number, "is no JSON object"
        elif row.keys() - COLUMNS.keys():
            yield number, f"has a name that is none of {', '.join(COLUMNS)}"
        else:
            yield number, {COLUMNS[name]: value for name, value in row.items()}


def _csv(text: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] | None = None
    try:
        for cells in reader:
            values = [cell.strip() for cell in cells]
            if not any(values):
                continue
            if header is None:
                header = values
                if not set(_NEEDED) <= set(header) <= set(COLUMNS) or len(set(header)) < len(header):
                    told = f"the header must name {', '.join(_NEEDED)}, and may name {', '.join(COLUMNS)}"
                    yield reader.line_num, f"{told}, each once"
                    return
            elif len(values) != len(header):
                yield reader.line_num, f"has {len(values)} cells, and the header {len(header)}"
            else:
                row = zip(header, values, strict=True)
                yield reader.line_num, {COLUMNS[name]: value for name, value in row if value}
    except csv.Error:
        yield reader.line_num, "is no CSV: quotes or a line break stand where none may"
