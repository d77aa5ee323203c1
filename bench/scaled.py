"""Prints the tables of what is in bench/results.json as Markdown: `python -m bench.scaled`."""

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from bench.results import kept


def table(heads: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table."""
    lines = [list(heads)]
    lines += [["---"] * len(lines[0])]
    lines += [[str(cell) for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def windows(found: Mapping[str, Any]) -> str:
    """What open windows cost, and what came after the kill."""
    worker, server, new = found["worker"], found["server"], found["new"]
    after, led = found["after_kill"], found["led"]
    ends = ", ".join(f"{count} {end}" for end, count in sorted(led["ends"].items()))
    return table(
        (f"{found['count']} open windows, {found['cached']} of them in the worker's memory", ""),
        (
            ("worker, MB: before, full, at its highest ever", _worker(worker)),
            ("worker, KB for each eject in memory", worker["kb_per_cached"]),
            ("server, MB: empty, with all of them", f"{server['empty_mb']}, {server['rss_mb']}"),
            ("database, KB for each eject", found["database_kb_per_eject"]),
            ("new ejects a second: here, on an empty server", f"{new['full_per_s']}, {new['empty_per_s']}"),
            ("the ratio (median of those of each repeat)", new["ratio"]),
            ("after SIGKILL of both: counted, answered", f"{after['counted']}, {after['answered']}"),
            ("of those that were counted before", after["counted_before"]),
            ("seconds until the first answered, and all", _answers(after)),
            ("led to their ends then", f"{ends}; {led['claimed_and_read']} claimed and read"),
        ),
    )


def _worker(worker: Mapping[str, Any]) -> str:
    highest = max(worker["peak_mb"], worker["peak_after_kill_mb"])
    return f"{worker['without']}, {worker['cache_full']}, {highest}"


def _answers(after: Mapping[str, Any]) -> str:
    return f"{after['first_answers_s']}, {after['all_answered_s']}"


def closes(found: Mapping[str, Any]) -> str:
    """Our closes beside bare ones."""
    ours, bare = found["ours"], found["bare"]
    rows = (
        ("closed", "closed"),
        ("a second", "per_s"),
        ("first, seconds late", "first_late_s"),
        ("median", "median_late_s"),
        ("last", "last_late_s"),
        ("server, CPU ms each", "server_cpu_ms"),
        ("worker, CPU ms each", "worker_cpu_ms"),
    )
    shown = table(
        (f"closes, {found['cached']} in the worker's memory", "ours", "bare"),
        ((name, ours[field], bare[field]) for name, field in rows),
    )
    wrong = f"missed {ours['missed']}, wrong in the chain {ours['chain_problems']}"
    return f"{shown}\n\nRatio {found['ratio']}; {wrong}."


SECTIONS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {"windows": windows, "closes": closes}


if __name__ == "__main__":
    found = kept()
    for name, show in SECTIONS.items():
        if name in found:
            sys.stdout.write(f"{show(found[name])}\n\n")
