"""The figures of the last run of each long suite: its run writes them, `docs/reliability.md` shows them."""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "figures"


def keep(suite: str, figures: dict[str, Any]) -> None:
    """Write what a run has come to."""
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{suite}.json").write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n")


def kept(suite: str) -> dict[str, Any]:
    """Read what the last run came to; empty where there was none."""
    path = FOLDER / f"{suite}.json"
    figures: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return figures
