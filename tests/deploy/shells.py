"""The jobs' scripts as the containers run them, with programs of a test's own beside the real ones."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.deploy.composing import FOLDER, TOOLS, call
from tests.harness.processes import environment

# What the images have: Debian's dash, and Alpine's busybox where this machine has it too.
_BUSYBOX = shutil.which("busybox")
SHELLS = [
    pytest.param([shutil.which("dash") or "/bin/sh"], id="dash"),
    pytest.param(
        [_BUSYBOX or "busybox", "sh"],
        id="busybox",
        marks=pytest.mark.skipif(
            _BUSYBOX is None, reason="busybox is not installed: apt-get install busybox"
        ),
    ),
]


class Scripts:
    """Runs a script of deploy/compose in one shell."""

    def __init__(self, shell: list[str], programs: Path) -> None:
        self.shell, self.programs = shell, programs
        programs.mkdir()

    def program(self, name: str, text: str) -> None:
        """Put a program before the real one of this name."""
        path = self.programs / name
        path.write_text(f"#!/bin/sh\nset -eu\n{text}\n")
        path.chmod(0o755)

    def environment(self, **settings: str) -> dict[str, str]:
        """What a script is run with."""
        path = f"{self.programs}:{TOOLS}:{os.environ['PATH']}"
        return environment(**settings) | {"PATH": path}

    def command(self, script: str, *arguments: str) -> list[str]:
        """How the script is started."""
        return [*self.shell, str(FOLDER / script), *arguments]

    def run(self, script: str, *arguments: str, **settings: str) -> tuple[int, str, str]:
        """Run it to its end: exit code, standard output, standard error."""
        return call(*self.command(script, *arguments), env=self.environment(**settings))


@pytest.fixture(params=SHELLS)
def scripts(request: pytest.FixtureRequest, tmp_path: Path) -> Scripts:
    """The scripts in each shell."""
    return Scripts(request.param, tmp_path / "programs")


PYTHON = sys.executable
