"""docker-compose.yml as Compose reads it, without an engine: merged, and with its variables filled in."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from runtime.development import ROOT

FILE = ROOT / "docker-compose.yml"
FOLDER = ROOT / "deploy/compose"
TOOLS = Path(sys.executable).parent
Compose = dict[str, Any]

_VARIABLE = re.compile(r"\$(\$|\{(\w+)(?:(:-|:\?)([^}]*))?\})")


class UnsetError(Exception):
    """A variable that the file demands is not set."""


def variables(path: Path) -> dict[str, str]:
    """What an .env file sets."""
    lines = path.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def read(env: Mapping[str, str]) -> Compose:
    """The file with these variables; settings without a value are taken from them, or left out."""
    filled: Compose = _filled(yaml.safe_load(FILE.read_text()), env)
    for service in filled["services"].values():
        given = service.get("environment", {})
        service["environment"] = {
            name: env[name] if value is None else str(value)
            for name, value in given.items()
            if value is not None or name in env
        }
    return filled


def _filled(value: Any, env: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(inner, env) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, env) for inner in value]
    if isinstance(value, str):
        return _VARIABLE.sub(lambda match: _variable(match, env), value)
    return value


def _variable(match: re.Match[str], env: Mapping[str, str]) -> str:
    if match[1] == "$":
        return "$"
    name, kind, text = match[2], match[3], match[4]
    if env.get(name):
        return env[name]
    if kind == ":?":
        raise UnsetError(f"{name}: {text}")
    return text or ""


def named() -> set[str]:
    """Every variable that the file reads from the shell or .env."""
    text = re.sub(r"(?m)^\s*#.*$", "", FILE.read_text())
    found = {match[2] for match in _VARIABLE.finditer(text) if match[2]}
    return found | set(re.findall(r"(?m)^ +([A-Z][A-Z_]+):(?: *| +#.*)$", text))


def plugin() -> list[str] | None:
    """Compose v2 where it is installed; it needs no engine to read a file."""
    docker = shutil.which("docker") or ""
    alone = os.environ.get("COMPOSE") or shutil.which("docker-compose") or ""
    for command in [[docker, "compose"]] * bool(docker) + [[alone]] * bool(alone):
        code, out, _ = call(*command, "version", "--short", env=os.environ)
        if code == 0 and not out.startswith("1."):
            return command
    return None


def call(*command: str, env: Mapping[str, str]) -> tuple[int, str, str]:
    """Run a program to its end in the project's folder: exit code, standard output, standard error."""
    ran = subprocess.run(
        command, check=False, cwd=ROOT, env=dict(env), capture_output=True, text=True, timeout=120
    )
    return ran.returncode, ran.stdout, ran.stderr


def secrets_of(compose: Compose, service: str) -> dict[str, str]:
    """The secrets of a service: the name of each in /run/secrets, and which it is."""
    listed = compose["services"][service].get("secrets", [])
    pairs = [(one, one) if isinstance(one, str) else (one["target"], one["source"]) for one in listed]
    return dict(pairs)
