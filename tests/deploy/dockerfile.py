"""Carries out a Dockerfile without Docker: exactly the instructions that ours has, and no others.

Absolute paths of the image lie under one folder, whose own path is the same for every stage: what a stage
writes into its files (a virtual environment its place) stays true in the next. The base image is this
machine's Python with its standard library and nothing else; the rest of its system stands in for Debian's.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

# Every program that a RUN may begin with. Each of its words that begins with a slash is moved into the image.
PROGRAMS = {"python", "/opt/eject/bin/pip", "rm", "install"}
_TOP = PurePosixPath("/")
_SYSTEM = "/usr/local/bin:/usr/bin:/bin"


class UnknownInstructionError(Exception):
    """The Dockerfile has something that nobody has taught this file."""


@dataclass
class Image:
    """What the instructions so far came to; `root` is where its files lie on this machine."""

    root: Path
    folder: PurePosixPath = _TOP
    env: dict[str, str] = field(default_factory=lambda: {"PATH": _SYSTEM})
    labels: dict[str, str] = field(default_factory=dict)
    user: str = "0:0"
    stop_signal: str = ""
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)

    def at(self, path: str) -> Path:
        """Where a path of the image lies on this machine."""
        return self.root / (self.folder / path).relative_to("/")

    def environment(self) -> dict[str, str]:
        """What a process in it starts with."""
        moved = ":".join(f"{self.root}{place}" for place in self.env["PATH"].split(":"))
        return self.env | {"PATH": f"{moved}:/usr/bin:/bin", **_library(self.root)}


def instructions(text: str) -> list[tuple[str, str]]:
    """Each instruction and what follows it on its lines."""
    plain = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))
    whole = plain.replace("\\\n", " ").splitlines()
    return [(line.split()[0], line.split(maxsplit=1)[1].strip()) for line in whole if line.strip()]


def context(repository: Path, ignored: str, folder: Path) -> None:
    """What a build is sent: the checkout's files that .dockerignore, a list of exceptions, lets through."""
    first, *rest = [line for line in ignored.splitlines() if line and not line.startswith("#")]
    kept = [line.removeprefix("!") for line in rest if line.startswith("!")]
    if first != "*" or set(rest) - {f"!{name}" for name in kept} - {"**/__pycache__"}:
        raise UnknownInstructionError(".dockerignore")
    git = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(git, cwd=repository, check=True, capture_output=True, text=True)
    for name in listed.stdout.split("\0"):
        if any(name == one or name.startswith(f"{one}/") for one in kept) and (repository / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(repository / name, folder / name)


def build(text: str, sent: Path, place: Path) -> Image:
    """Carry it out in an empty folder; the last stage is the image."""
    building = _Building(sent, place)
    for name, rest in instructions(text):
        step = getattr(building, f"do_{name.lower()}", None)
        if step is None:
            raise UnknownInstructionError(name)
        step(rest)
    return building.image


class _Building:
    def __init__(self, sent: Path, place: Path) -> None:
        self.sent, self.place = sent, place
        self.image = Image(place / "root")
        self.name = ""
        self.arguments: dict[str, str] = {}

    def do_arg(self, rest: str) -> None:
        name, _, default = rest.partition("=")
        self.arguments[name] = default

    def do_from(self, rest: str) -> None:
        base, _, name = self._filled(rest).partition(" AS ")
        if not base.startswith("python:"):
            raise UnknownInstructionError(f"FROM {base}")
        if self.image.root.exists():
            self.image.root.rename(self.place / self.name)
        self.name, self.image = name, Image(self.place / "root")
        _lay_python(self.image.root / "usr/local")

    def do_label(self, rest: str) -> None:
        self.image.labels |= _pairs(self._filled(rest))

    def do_env(self, rest: str) -> None:
        self.image.env |= _pairs(self._filled(rest))

    def do_workdir(self, rest: str) -> None:
        self.image.folder = PurePosixPath(rest)
        self.image.at(".").mkdir(parents=True, exist_ok=True)

    def do_user(self, rest: str) -> None:
        self.image.user = rest

    def do_stopsignal(self, rest: str) -> None:
        self.image.stop_signal = rest

    def do_entrypoint(self, rest: str) -> None:
        self.image.entrypoint = json.loads(rest)

    def do_cmd(self, rest: str) -> None:
        self.image.command = json.loads(rest)

    def do_copy(self, rest: str) -> None:
        *sources, target = rest.split()
        behind = self.sent
        if sources[0].startswith("--from="):
            behind = self.place / sources.pop(0).removeprefix("--from=")
        if any(source.startswith("--") for source in sources):
            raise UnknownInstructionError(f"COPY {rest}")
        for source in sources:
            given, to = behind / source.lstrip("/"), self.image.at(target)
            to.parent.mkdir(parents=True, exist_ok=True)
            if given.is_dir():
                shutil.copytree(given, to, symlinks=True)
            else:
                shutil.copy2(given, to / given.name if target.endswith("/") else to)

    def do_run(self, rest: str) -> None:
        parts = [shlex.split(part) for part in rest.split("&&")]
        for program, *_ in parts:
            if program not in PROGRAMS:
                raise UnknownInstructionError(f"RUN {program}")
        moved = re.sub(r"(?<!\S)/", f"{self.image.root}/", rest)
        own = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        path = f"{self.image.root}/usr/local/bin:/usr/bin:/bin"
        env = own | {"PATH": path, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **_library(self.image.root)}
        ran = subprocess.run(
            ["/bin/sh", "-c", moved],
            cwd=self.image.at("."),
            env=env,
            check=False,
            capture_output=True,
            text=True,
        )
        assert ran.returncode == 0, f"RUN {rest}\n{ran.stdout}{ran.stderr}"

    def _filled(self, rest: str) -> str:
        known = self.arguments | self.image.env
        return re.sub(r"\$\{?(\w+)\}?", lambda found: known[found[1]], rest)


def _pairs(rest: str) -> dict[str, str]:
    return {name: value for name, _, value in (word.partition("=") for word in shlex.split(rest))}


def _library(root: Path) -> dict[str, str]:
    """Where a Python that was built with a shared library finds it in its new place."""
    return {"LD_LIBRARY_PATH": f"{root}/usr/local/lib"}


def _lay_python(local: Path) -> None:
    """This machine's Python and its standard library, as an official image has them in /usr/local."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    given = Path(sys.base_prefix)
    for folder in (local / "bin", local / "lib"):
        folder.mkdir(parents=True)
    shutil.copy2((given / "bin" / name).resolve(), local / "bin" / name)
    for alias in ("python", "python3"):
        (local / "bin" / alias).symlink_to(name)
    for library in (given / "lib").glob("libpython*"):
        shutil.copy2(library, local / "lib")
    left = shutil.ignore_patterns("test", "tests", "site-packages", "dist-packages", "__pycache__")
    shutil.copytree(given / "lib" / name, local / "lib" / name, ignore=left)
    (local / "lib" / name / "site-packages").mkdir()
