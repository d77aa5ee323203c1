"""The section `engines`: ours beside what a team would otherwise write, in turns of one run."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.database import installed
from bench.engines import DBOS_PYTHON, bare, dbos, plain
from bench.machine import machine
from bench.measuring import FULL, QUICK, Opening, Run, Size, measure
from bench.ours import ours

ENGINES: Mapping[str, Opening] = {
    "ours": ours,
    "temporal_tuned": partial(bare, tuned=True),
    "temporal_default": partial(bare, tuned=False),
    "dbos": dbos,
    "asyncio": plain,
}
_REPEATS = 3
_OURS = "ours"


def lacks() -> dict[str, str]:
    """The engines that cannot run here, each with what to install."""
    if not installed():
        return {"dbos": "PostgreSQL is not installed: apt-get install postgresql"}
    if not DBOS_PYTHON.exists():
        return {"dbos": "DBOS is not installed: run `make bench`, which does it"}
    return {}


async def run(console: Console, *, full: bool) -> dict[str, Any]:
    """Measure every engine in turn, again and again; the sections `engines`, `ratios`, `machine`."""
    return await compared(list(ENGINES), FULL if full else QUICK, _REPEATS, console)


async def compared(names: Sequence[str], size: Size, repeats: int, console: Console) -> dict[str, Any]:
    """The same for some engines and another size; an engine that was not measured is null."""
    missing = lacks()
    runs: dict[str, list[Run]] = {name: [] for name in names if name not in missing}
    for number in range(repeats):
        for name, done in runs.items():
            done.append(await measure(ENGINES[name], size))
            console.print(f"{number + 1}/{repeats} {name}: {done[-1].per_s:.1f} ejects a second")
    loops = [run.busy_loop * 1000 for done in runs.values() for run in done]
    return {
        "engines": {name: _summed_up(runs[name]) if runs.get(name) else None for name in ENGINES},
        "ratios": {
            name: _ratios(runs[_OURS], runs[name]) for name in runs if _OURS in runs and name != _OURS
        },
        "machine": machine()
        | {
            "repeats": repeats,
            "ejects": {"idle": size.idle, "batch": size.batch},
            "busy_loop_ms": _spread(loops, 1),
            "missing": missing,
        },
    }


def _summed_up(runs: Sequence[Run]) -> dict[str, Any]:
    figures = {name: [_rounded(of(run)) for run in runs] for name, of in _FIGURES.items()}
    known = {name: [one for one in values if one is not None] for name, values in figures.items()}
    return {
        name: _rounded(statistics.median(values)) if values else None for name, values in known.items()
    } | {"spread": {name: [min(values), max(values)] for name, values in known.items() if values}}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3) if value < 10 else round(value, 1)


def _spread(values: Sequence[float], digits: int) -> list[float]:
    return [round(of(values), digits) for of in (min, statistics.median, max)]


def _idle(run: Run) -> list[float]:
    return [1000 * sum(both) for both in zip(run.until_claim, run.until_ejected, strict=True)]


def _percentile(values: Sequence[float], of_hundred: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[of_hundred - 1]


def _cpu(name: str) -> Callable[[Run], float | None]:
    return lambda run: 1000 * run.cpu[name] if name in run.cpu else None


_FIGURES: Mapping[str, Callable[[Run], float | None]] = {
    "per_s": lambda run: run.per_s,
    "idle_p50_ms": lambda run: _percentile(_idle(run), 50),
    "idle_p99_ms": lambda run: _percentile(_idle(run), 99),
    "worker_cpu_ms": _cpu("worker"),
    "server_cpu_ms": _cpu("server"),
    "events": lambda run: run.events,
    "history_bytes": lambda run: run.history_bytes,
    "start_to_claim_p50_ms": lambda run: 1000 * statistics.median(run.until_claim),
    "proof_to_end_p50_ms": lambda run: 1000 * statistics.median(run.until_ejected),
    "sandbox_cpu_ms": _cpu("sandbox"),
    "driver_cpu_ms": _cpu("driver"),
    "device_cpu_ms": _cpu("device"),
    "sandbox_share_of_a_core": lambda run: run.sandbox_busy,
    "sandbox_share_of_cpu": lambda run: run.cpu["sandbox"] / (sum(run.cpu.values()) - run.cpu["device"]),
}
"""By their names in the results; the first seven are the form that others read."""


def _ratios(ours: Sequence[Run], other: Sequence[Run]) -> dict[str, list[float]]:
    """Ours to another's, of each repeat by itself: smallest, median, largest."""
    pairs = list(zip(ours, other, strict=True))
    latency = [_percentile(_idle(a), 50) / _percentile(_idle(b), 50) for a, b in pairs]
    return {
        "per_s": _spread([a.per_s / b.per_s for a, b in pairs], 2),
        "idle_p50": _spread(latency, 2),
    }


def show(results: Mapping[str, Any], console: Console) -> None:
    """The table of the terminal."""
    table = Table(title="Medians of the repeats; CPU in ms for each eject", title_justify="left")
    for heading in (
        *("engine", "ejects/s", "min-max", "idle p50 ms", "p99", "to claim", "to end"),
        *("worker", "server", "sandbox", "driver", "sandbox's core", "events", "bytes"),
    ):
        table.add_column(heading, justify="left" if heading == "engine" else "right")
    for name, found in results["engines"].items():
        if found is None:
            table.add_row(name, results["machine"]["missing"].get(name, "not measured"))
            continue
        low, high = found["spread"]["per_s"]
        figures = [found[key] for key in ("idle_p50_ms", "idle_p99_ms")]
        figures += [found[key] for key in ("start_to_claim_p50_ms", "proof_to_end_p50_ms")]
        figures += [found[f"{process}_cpu_ms"] for process in ("worker", "server", "sandbox", "driver")]
        cells = [f"{found['per_s']:.1f}", f"{low:.1f}-{high:.1f}"]
        cells += ["-" if figure is None else f"{figure:.0f}" for figure in figures]
        cells += [f"{found['sandbox_share_of_a_core']:.0%}"]
        cells += ["-" if found[key] is None else f"{found[key]:.0f}" for key in ("events", "history_bytes")]
        table.add_row(name, *cells)
    console.print(table)
    for name, ratios in results["ratios"].items():
        told = (f"{what} {middle} ({low} to {high})" for what, (low, middle, high) in ratios.items())
        console.print(f"ours to {name}: {', '.join(told)}")
    low, _, high = results["machine"]["busy_loop_ms"]
    console.print(f"The same small loop took {low} to {high} ms: how even the machine was.")
