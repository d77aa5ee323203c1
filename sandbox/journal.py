"""The journal: every Portal call and its effect, never a share, a token or a cipher text."""

from collections.abc import Mapping
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Any

from sandbox.clock import stamp
from sandbox.store import Store

FILTERS = ("call", "via", "client_id", "wallet_id", "status", "effect", "fault", "trace")

_MATCHES = {"effect": "instr(' ' || effect || ' ', ' ' || ? || ' ') > 0"}


@dataclass(frozen=True)
class Line:
    """One call: `via` is `portal` or `gateway`, `effect` names what it changed (one word, or more between
    blanks), `fault` the kind of fault that met it, `trace` the caller's `X-Portal-Trace-Id`.
    """

    call: str
    via: str
    client_id: str | None
    wallet_id: str | None
    status: int
    effect: str | None
    fault: str | None
    trace: str | None


def write(store: Store, at: datetime, line: Line) -> None:
    """Add a line; inside a transaction it is committed with what the call changed."""
    columns = "at, call, via, client_id, wallet_id, status, effect, fault, trace"
    sql = f"INSERT INTO journal ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 (words of this module)
    store.run(sql, stamp(at), *astuple(line))


def read(store: Store, wanted: Mapping[str, str]) -> list[dict[str, Any]]:
    """Answer the lines that match every filter, in order; an effect matches any of a line's words."""
    unknown = sorted(set(wanted) - set(FILTERS))
    if unknown:
        raise ValueError(f"unknown filter {unknown[0]}: the filters are {', '.join(FILTERS)}")
    where = " AND ".join(_MATCHES.get(name, f"{name} = ?") for name in wanted) or "1"
    rows = store.all(f"SELECT * FROM journal WHERE {where} ORDER BY seq", *wanted.values())  # noqa: S608 (names checked)
    return [dict(row) for row in rows]
