"""What every process of an eject does first and last."""

import contextlib
import ctypes
import os
import resource
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

import typer

from runtime import tracing

_PR_SET_DUMPABLE = 4


def forbid_core_dumps() -> None:
    """A crash must not write the memory of a process, which may hold a share, to a disk."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        # The limit does not bind a kernel that pipes cores into a program; this does, and forbids ptrace too.
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def leave(code: int) -> NoReturn:
    """End a short client process with the right code.

    The Temporal client's threads can abort an interpreter that finalises while they run (exit codes 134
    and 139 after the work is done), so it is not finalised.
    """
    tracing.flush()
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def run(
    app: typer.Typer, ended: Callable[[Exception], tuple[int, str]], arguments: Sequence[str] | None = None
) -> NoReturn:
    """Run a command line, without a core dump, and leave with its exit code.

    `ended` gives the code and the one sentence for what it raised, whose own text and traceback may hold what
    was given to it. Wrong use is told as typer tells it.
    """
    forbid_core_dumps()
    told = ""
    try:
        code = app(args=arguments, standalone_mode=False) or 0
    except typer.TyperException as error:
        code, told = error.exit_code, " ".join(error.format_message().split()).rstrip(".")
    except Exception as error:
        code, told = ended(error)
    if told:
        typer.echo(told, err=True)
    leave(code)
