"""What every process of an eject does first and last."""

import contextlib
import ctypes
import os
import resource
import sys
from typing import NoReturn

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
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)
