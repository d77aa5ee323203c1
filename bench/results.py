"""`bench/results.json`: what the last runs have come to; each section of it is written by its own module."""

import json
from pathlib import Path
from typing import Any

PATH = Path(__file__).with_name("results.json")


def kept(path: Path = PATH) -> dict[str, Any]:
    """All sections; empty where nothing was measured yet."""
    results: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return results


def keep(sections: dict[str, Any], path: Path = PATH) -> None:
    """Put these sections in the place of what they were, and leave the others."""
    path.write_text(json.dumps(kept(path) | sections, indent=1) + "\n")
