"""The bench leads ejects through every engine to their end; no time is asserted."""

import asyncio
import json
from pathlib import Path

import pytest
from rich.console import Console

from bench import __main__ as program
from bench import beside, results
from bench.engines import Engine, Ordered
from bench.measuring import Size, measure
from docs import performance

SMALL = Size(warm=1, idle=2, batch=2)
FORM = {"per_s", "idle_p50_ms", "idle_p99_ms", "worker_cpu_ms", "server_cpu_ms", "events", "history_bytes"}
HERE = ["ours", "temporal_tuned", "asyncio"]


@pytest.mark.bench
async def test_ejects_of_every_engine_end_and_their_figures_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Engine by engine on processes of its own; what is measured has the form that others read."""

    async def run(console: Console, *, full: bool) -> dict[str, object]:
        return await beside.compared(HERE, SMALL, 1, console)

    path = tmp_path / "results.json"
    results.keep({"windows": "of another module", "engines": "of before"}, path)
    monkeypatch.setattr(beside, "run", run)
    monkeypatch.setattr(program, "keep", lambda sections: results.keep(sections, path))
    monkeypatch.setattr(program, "kept", lambda: results.kept(path))
    with (tmp_path / "shown").open("w") as shown:
        await program.measured((beside,), Console(file=shown, width=200), full=False)
    written = json.loads(path.read_text())
    assert written["windows"] == "of another module"
    assert set(written["engines"]) == {"ours", "temporal_tuned", "temporal_default", "dbos", "asyncio"}
    for name, found in written["engines"].items():
        assert found is None if name not in HERE else set(found) >= FORM
    engines = written["engines"]
    assert engines["ours"]["events"] > engines["temporal_tuned"]["events"] > 50
    assert engines["asyncio"]["events"] is engines["asyncio"]["server_cpu_ms"] is None
    assert set(written["ratios"]) == {"temporal_tuned", "asyncio"}
    assert written["machine"]["cores"] > 0
    assert "ours to temporal_tuned" in (tmp_path / "shown").read_text()


@pytest.mark.bench
@pytest.mark.skipif("dbos" in beside.lacks(), reason=str(beside.lacks().get("dbos")))
async def test_ejects_of_dbos_end() -> None:
    """On a PostgreSQL of its own."""
    run = await measure(beside.ENGINES["dbos"], SMALL)
    assert set(run.cpu) == {"worker", "server", "sandbox", "driver", "device"}


@pytest.mark.bench
async def test_a_worker_that_ends_is_no_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it said is in the error."""
    opening = beside.ENGINES["asyncio"]
    monkeypatch.setattr("bench.measuring._batch", lambda engine, _: _killed(engine))
    with pytest.raises(RuntimeError, match="the worker has ended"):
        await measure(opening, SMALL)


@pytest.mark.bench
async def test_an_eject_that_does_not_end_is_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Portal is asked whom it has as ejected."""
    monkeypatch.setattr(Ordered, "finish", Ordered.claim)
    with pytest.raises(RuntimeError, match="0 of 5 clients as ejected"):
        await measure(beside.ENGINES["asyncio"], SMALL)


async def _killed(engine: Engine) -> None:
    engine.worker.kill()
    await asyncio.sleep(60)


def test_the_committed_results_have_the_form() -> None:
    """As `make bench` left them: every engine, or null where it was not measured."""
    kept = results.kept()
    assert set(kept) >= {"engines", "machine"}
    assert set(kept["engines"]) == set(beside.ENGINES)
    for found in kept["engines"].values():
        assert found is None or set(found) >= FORM


def test_the_page_is_what_the_results_are() -> None:
    """`make docs` writes it."""
    again = "run `make bench docs`, and commit bench/results.json and docs/performance.md"
    written = performance.PAGE.read_text()
    assert written == performance.page(written), again
