"""The docs name nothing that is not there."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest
import typer
from typer.main import get_command

import starter
import worker
from contracts.failures import RULES
from contracts.stages import End, Stage
from device.cli import app as device_app
from docs import settings
from runtime.profile import VARIABLES
from runtime.settings import Settings
from runtime.uses import ROLES, uses_of

ROOT = Path(__file__).parents[1]
DOCS = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])
README = (ROOT / "README.md").read_text()


def commands() -> list[str]:
    """Every command line in the README: indented or fenced, its comment left out."""
    lines = re.findall(r"^(?: {4})?((?:make|python|temporal) .*)$", README, re.M)
    return [line.split(" #")[0].strip() for line in lines]


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_every_path_that_a_doc_names_exists(path: Path) -> None:
    """Files and folders in backticks are files and folders of the tree."""
    named = re.findall(r"`((?:[\w.-]+/)*[\w.-]+(?:\.(?:py|md|yml|txt|toml)|/))`", path.read_text())
    vault = ("released/", "held/", "receipts/", "deposits/", "chain/", "mass-exits/")
    named += re.findall(r"!\[[^\]]*\]\(([^)]+)\)", path.read_text())
    missing = [name for name in named if not name.startswith(vault) and not (ROOT / name).exists()]
    assert missing == []


def test_every_make_target_in_the_readme_exists() -> None:
    """`make demo`, `make test`, `make check`, and no other."""
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M))
    named = set(re.findall(r"(?:`|^ {4}|KEEP=1 )make (\w+)", README, re.M))
    assert {"demo", "test", "check"} <= named <= targets


@pytest.mark.parametrize("line", commands())
def test_every_command_in_the_readme_parses(line: str) -> None:
    """Each program has the command, and the command has the options."""
    words = [word for word in shlex.split(line.split(">", maxsplit=1)[0]) if word != "..."]
    if words[0] != "python":
        return
    if words[1:3] == ["-m", "device"]:
        group, words = get_command(device_app), words[3:]
    elif words[1] == "starter.py":
        group, words = get_command(starter.app), words[2:]
    else:
        assert words[1] == "worker.py", line
        app = typer.Typer()
        app.command()(worker.main)
        group, words = get_command(app), words[2:]
    command = group
    while hasattr(command, "commands"):
        command, words = command.commands[words[0]], words[1:]
    options = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options


def test_the_page_of_settings_is_that_of_the_model() -> None:
    """`make docs` writes it; every setting and every variable of Temporal's has a row that says something."""
    assert settings.PAGE.read_text() == settings.page()
    rows = dict(re.findall(r"^\| `([A-Z_*]+)` \| (.+?) \|", settings.page(), re.M))
    assert set(rows) >= {f"EJECT_{name.upper()}" for name in Settings.model_fields} | {*VARIABLES}
    bare = {name for name, field in Settings.model_fields.items() if not field.description}
    assert bare == set(), "a setting without a description"


def test_the_readme_names_only_settings_that_there_are() -> None:
    """And all that a worker cannot start without, or production demands."""
    named = set(re.findall(r"\bEJECT_([A-Z_]+)\b", README))
    assert named <= {name.upper() for name in Settings.model_fields} | {"SECRETS_DIR"}
    needed = {
        name for name, field in Settings.model_fields.items() if set(uses_of(field).needed) & set(ROLES)
    }
    assert {name.upper() for name in needed} <= named


def test_every_stage_and_every_park_has_its_row() -> None:
    """The page for operators knows all stages, ends and parks, in the words that `status` shows."""
    page = (ROOT / "docs/operating.md").read_text()
    for name in (*Stage, *End):
        assert f"`{name}`" in page
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", page, re.M))
    assert {f: rows.get(f) for f, rule in RULES.items() if rule.mend} == {
        f: rule.mend for f, rule in RULES.items() if rule.mend
    }


def test_every_dependency_has_its_reason() -> None:
    """One line for each, and none for what is not there."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [
        *project["project"]["dependencies"],
        *(name for extra in project["project"]["optional-dependencies"].values() for name in extra),
        *project["dependency-groups"]["dev"],
        *project["dependency-groups"]["bench"],
    ]
    names = {re.split(r"[<>=]", name)[0] for name in wanted}
    rows = re.findall(r"^\| ([^|]+) \| \S", (ROOT / "docs/dependencies.md").read_text(), re.M)
    told = {name.strip() for row in rows for name in re.sub(r"\*.*?\*", "", row).split(",")}
    assert told - {"package", "---"} == names
