"""Programs that a test runs."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import Mapping
from contextlib import suppress

from runtime.development import ROOT


def environment(**more: str) -> dict[str, str]:
    """This process's environment without settings of Eject's, Temporal's or the vault's store, and these."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("EJECT_", "TEMPORAL_", "AWS_"))}
    return kept | {"PYTHONPATH": str(ROOT)} | more


async def run(*arguments: str, env: Mapping[str, str], stdin: str = "") -> tuple[int, str, str]:
    """Run a Python program to its end: exit code, standard output, standard error."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, cwd=ROOT, env=dict(env), stdin=PIPE, stdout=PIPE, stderr=PIPE
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(stdin.encode()), 120)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def run_shell(line: str, env: Mapping[str, str]) -> tuple[int, str, str]:
    """Run a line as a person types it: exit code, standard output, standard error."""
    shell = await asyncio.create_subprocess_exec(
        "/bin/sh", "-c", line, cwd=ROOT, env=dict(env), stdin=PIPE, stdout=PIPE, stderr=PIPE
    )
    out, err = await asyncio.wait_for(shell.communicate(b""), 120)
    assert shell.returncode is not None
    return shell.returncode, out.decode(), err.decode()
