"""On what was measured: two results are comparable where this is the same."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench import database
from bench.engines import DBOS_PYTHON
from runtime.development import temporal_cli


def machine() -> dict[str, Any]:
    """The processors, and the versions of all that takes part."""
    return {
        "cores": os.cpu_count(),
        "cpu": _processor(),
        "python": platform.python_version(),
        "temporalio": version("temporalio"),
        "temporal_server": _said(temporal_cli(), "--version"),
        "httpx": version("httpx"),
        "dbos": _dbos(),
        "postgresql": database.version(),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def _dbos() -> str | None:
    if not DBOS_PYTHON.exists():
        return None
    return _said(str(DBOS_PYTHON), "-c", "from importlib.metadata import version; print(version('dbos'))")


def _said(*command: str) -> str:
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)  # noqa: S603
    return said.stdout.strip()
