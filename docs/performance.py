"""Writes the figures of `bench/results.json` into `docs/performance.md`: `make docs`."""

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench import scaled
from bench.results import kept

PAGE = Path(__file__).with_name("performance.md")
NAMES = {
    "ours": "Eject",
    "temporal_tuned": "bare Temporal, server tuned as ours",
    "temporal_default": "bare Temporal, server as it comes",
    "dbos": "DBOS on PostgreSQL",
    "asyncio": "asyncio, nothing durable (the floor)",
}


def _said(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), 120, break_long_words=False, break_on_hyphens=False) + "\n"


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f}" if value < 10 else f"{value:,.0f}"


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


def _engines(results: dict[str, Any]) -> Iterator[str]:
    yield from _table(results)
    yield from _ratios(results)
    yield from _machine(results["machine"])


def _growth(results: dict[str, Any]) -> Iterator[str]:
    yield _row("an eject with", "events", "bytes of history")
    yield _row(*["---"] * 3)
    for name, one in results["growth"].items():
        yield _row(name, one["events"], _figure(one["history_bytes"]))
    yield ""


def page(text: str) -> str:
    """The page with its figures made anew, each block between its own marks."""
    results = kept()
    blocks = {"engines": "\n".join(_engines(results)), "growth": "\n".join(_growth(results))}
    for name, show in scaled.SECTIONS.items():
        unknown = f"Not measured at this size yet: `python -m bench.{name}`."
        blocks[name] = f"{show(results[name]) if name in results else unknown}\n"
    for name, block in blocks.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}{block}{end}{rest.partition(end)[2]}"
    return text


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
