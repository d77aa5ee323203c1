"""The benchmarks of ten thousand, with five: what they count, not how fast it goes."""

import argparse
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bench import closes, windows
from bench.scaling import ground, keep
from contracts.names import chain_name
from contracts.stages import End


@pytest.mark.chaos
async def test_none_of_five_closes_is_missed(tmp_path: Path) -> None:
    """Each expires with its receipt and its files destroyed; a receipt that is gone is missed."""
    async with ground() as here:
        server, client = await here.server("closes", on_disk=False)
        beside = await closes.bare(here, server, client, 5, 100)
        measured = await closes.ours(here, server, client, 5, 100)
        assert beside["closed"] == measured["closed"] == 5
        assert 0 <= measured["first_late_s"] <= measured["median_late_s"] <= measured["last_late_s"]
        right = {
            "missed": 0,
            "ends": {End.EXPIRED: 5},
            "chain_problems": 0,
            "chain_entries": 5,
            "purged": True,
        }
        assert {name: measured[name] for name in right} == right
        vault = here.vault_folder("closes")
        next(vault.glob("receipts/closing-3/*.json")).unlink()
        (vault / chain_name(2)).write_text("{}")
        seen = closes.verified(here, [f"closing-{n}" for n in range(5)])
        assert seen["missed"] == 1
        assert seen["chain_problems"] > 0


@pytest.mark.chaos
async def test_none_of_five_open_windows_is_lost() -> None:
    """All of them are counted and answer after the kill; those that are led on come to their ends."""
    given = argparse.Namespace(count=5, cached=100, new=2, repeats=1)
    async with ground() as here:
        figures = await windows.measure(here, given)
    # Beside the five: the one whose answers they repeat, five to warm up, and the new ones.
    after = figures["after_kill"]
    assert (after["counted"], after["answered"], after["not_running"]) == (13, 13, 0)
    assert figures["led"] == {
        "ends": {End.EJECTED: 3, End.CANCELLED: 3},
        "claimed_and_read": 5,
        "receipt_problems": 0,
    }


def test_the_moment_leaves_time_to_open_the_windows() -> None:
    """A whole second, after as many windows were opened at that rate."""
    moment = closes.chosen(1000, 10)
    assert moment.microsecond == 0
    assert (moment - datetime.now(UTC)).total_seconds() > 1000 / 10


def test_figures_stand_beside_those_of_the_other_benchmark(tmp_path: Path) -> None:
    """Keeping one section leaves the others as they were."""
    place = tmp_path / "scales.json"
    keep("windows", {"count": 1}, place)
    keep("closes", {"count": 2}, place)
    text = place.read_text()
    assert '"windows"' in text
    assert '"closes"' in text
