"""Files: bounded reading, and writing that only the owner can read and that never overwrites."""

import os
import stat
from contextlib import suppress
from pathlib import Path

from device.errors import DeviceError

MOST_BYTES = 8_000_000
"""No file of a bundle is near this size (a sealed half: at most 1 MB), so more is a wrong file."""


def read_text(path: Path, what: str) -> str:
    """The UTF-8 text of a file; `what` names it in the error (missing, too large, not text)."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        problem = (error.strerror or "unreadable").lower()
        raise DeviceError(
            f"{what} cannot be read ({path}: {problem}): check the path and try again."
        ) from None
    if len(data) > MOST_BYTES:
        raise DeviceError(f"{what} is too large ({path}): this is another file.")
    text = None
    with suppress(UnicodeDecodeError):
        text = data.decode()
    if text is None:
        raise DeviceError(f"{what} is not text ({path}): this is another file, or it was damaged.")
    return text


def write_private(path: Path, text: str) -> None:
    """Write a new file with mode 0600, on disk when this returns; an existing one is left as it is."""
    problem = None
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise DeviceError(f"{path} exists already and was left as it is: choose another name.") from None
    except OSError as error:
        raise DeviceError(f"{path} cannot be written ({error.strerror}): choose another place.") from None
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        problem = error.strerror
    if problem is not None:
        path.unlink(missing_ok=True)  # half a key would be taken for a key
        raise DeviceError(f"{path} cannot be written ({problem}): choose another place.")
    _sync_directory(path.parent)


def private_directory(path: Path) -> None:
    """Make a directory with mode 0700, or check that the one that is there is the owner's alone."""
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        _refuse_shared(path)
    except OSError as error:
        raise DeviceError(
            f"The directory {path} cannot be made ({error.strerror}): choose another place."
        ) from None
    else:
        _sync_directory(path.parent)


def _refuse_shared(path: Path) -> None:
    found = path.lstat()  # not stat: a link could be turned elsewhere between this check and the writing
    if not stat.S_ISDIR(found.st_mode):
        raise DeviceError(f"{path} is not a directory: choose another place.")
    if found.st_uid != os.getuid():
        raise DeviceError(f"The directory {path} is another user's: choose another place.")
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise DeviceError(f"Others can open the directory {path}: chmod 700 it, or name a new one.")


def _sync_directory(path: Path) -> None:
    # The name of a new file is on disk only when its directory is.
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
