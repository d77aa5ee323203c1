"""Makes `docs/performance.md` from `bench/results.json`: `make docs`."""

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.results import kept

PAGE = Path(__file__).with_name("performance.md")
NAMES = {
    "ours": "Eject",
    "temporal_tuned": "bare Temporal, server tuned as ours",
    "temporal_default": "bare Temporal, server as it comes",
    "dbos": "DBOS on PostgreSQL",
    "asyncio": "asyncio, nothing durable (the floor)",
}

_ENGINES = (
    """*Eject*: `worker.py --role all` as it is: it seals, reads before it writes, verifies the proofs, signs
    the receipt. Budgets lifted, the client's own API key deposited, a vault of files, each forced to disk, no
    codec, no notices.""",
    """*Bare Temporal*: what a team would otherwise write (`bench/bare.py`): a workflow of twenty lines, one
    activity for each of Portal's calls, those for the two wallets side by side. Nothing is sealed, checked or
    withdrawn; shares lie in plain files. Once on the server as the demo and our tests run it, as Eject is
    here, and once as it comes.""",
    """*DBOS*: the same calls as steps (`bench/durable.py`), started inside its worker's process, so that no
    queue is polled, and woken by LISTEN/NOTIFY. PostgreSQL is not made to wait for its disk, because
    Temporal's server keeps its state in memory here.""",
    "*asyncio*: the same calls alone. What dies is lost.",
)


def _said(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), 120, break_long_words=False, break_on_hyphens=False) + "\n"


def _item(text: str) -> str:
    return textwrap.fill(
        " ".join(text.split()),
        120,
        initial_indent="- ",
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f}" if value < 10 else f"{value:,.0f}"


def _head() -> Iterator[str]:
    yield "# Performance: what an eject costs\n"
    yield _said(
        """Every figure here was written by the last `make bench` or `make bench-full`
        (`bench/results.json`), and a test holds the page against it. They are of one small machine, where
        driver, worker, server and a Portal of our own share the processors: read the relations, and measure
        again on yours."""
    )


def _beside(results: dict[str, Any]) -> Iterator[str]:
    yield "## Beside other engines\n"
    yield _said(
        """One eject of a client with two wallets and a fresh backup, to the mark at Portal, as each engine
        does it. `make bench` runs them in turns on a sandbox, a server and a worker that are new for each
        turn, and shows the medians of the turns."""
    )
    yield from map(_item, _ENGINES)
    yield ""
    yield from _table(results)
    yield _said(
        """*ejects/s*: with 50 at a time; the owner's device, which no engine is, computes when nothing
        else is measured. *idle*: one at a time, from the start until the owner can claim, and from the proof
        until the eject has ended; the claim between is not in it. *CPU*: of the worker, of the server (or
        PostgreSQL), of the sandbox and of the driver, which follows every eject in the same way: by the
        events of its history, where there is one. *sandbox*: how busy its one core was; near 100 % it would
        be the sandbox that is measured."""
    )
    yield from _ratios(results)
    yield from _machine(results["machine"])


def _table(results: dict[str, Any]) -> Iterator[str]:
    yield _row(
        *("engine", "ejects/s (spread)", "idle p50 ms", "p99", "to claim + to end"),
        *("CPU ms: worker", "server", "sandbox", "driver", "sandbox", "events", "bytes"),
    )
    yield _row(*["---"] * 12)
    for name, found in results["engines"].items():
        if found is None:
            yield _row(NAMES[name], "not measured", *["-"] * 10)
            continue
        low, high = found["spread"]["per_s"]
        yield _row(
            NAMES[name],
            f"{_figure(found['per_s'])} ({_figure(low)} to {_figure(high)})",
            *(_figure(found[key]) for key in ("idle_p50_ms", "idle_p99_ms")),
            f"{_figure(found['start_to_claim_p50_ms'])} + {_figure(found['proof_to_end_p50_ms'])}",
            *(_figure(found[f"{process}_cpu_ms"]) for process in ("worker", "server", "sandbox", "driver")),
            f"{found['sandbox_share_of_a_core']:.0%}",
            *(_figure(found[key]) for key in ("events", "history_bytes")),
        )
    yield ""


def _ratios(results: dict[str, Any]) -> Iterator[str]:
    told = [
        f"{ratios['per_s'][1]} of the ejects a second of {NAMES[name]} ({ratios['per_s'][0]} to "
        f"{ratios['per_s'][2]} by turn), at {ratios['idle_p50'][1]} of its idle latency"
        for name, ratios in results["ratios"].items()
        if name != "asyncio"
    ]
    yield _said(f"Eject does {'; '.join(told)}.")


def _machine(machine: dict[str, Any]) -> Iterator[str]:
    low, _, high = machine["busy_loop_ms"]
    yield _said(
        f"""Measured on {machine["cores"]} cores ({machine["cpu"]}), Python {machine["python"]}, temporalio
        {machine["temporalio"]}, {machine["temporal_server"]}, httpx {machine["httpx"]}, DBOS
        {machine["dbos"] or "-"}, PostgreSQL {machine["postgresql"] or "-"}; {machine["repeats"]} turns of
        {machine["ejects"]["idle"]} ejects one at a time and {machine["ejects"]["batch"]} by 50. The same
        small loop took {low} to {high} ms before each: so even was the machine."""
    )


def page() -> str:
    """The whole page."""
    return "\n".join((*_head(), *_beside(kept())))


if __name__ == "__main__":
    PAGE.write_text(page())
