"""docs/deploying.md and docker-compose.yml name nothing that is not there; the sandbox's image is whole."""

import re
import subprocess
from pathlib import Path

import pytest
from typer.main import get_command

import starter
from runtime.development import ROOT
from tests.deploy.composing import FILE, FOLDER, TOOLS, call, named, read, variables
from tests.deploy.dockerfile import build, context
from tests.harness.processes import environment
from tests.test_imports import ENTRIES, ROOMS, rooms_of

pytestmark = pytest.mark.deploy

PAGE = (ROOT / "docs/deploying.md").read_text()
COMPOSE = read(variables(FOLDER / "example.env"))
DOCKERFILE = FOLDER / "sandbox.Dockerfile"


def test_every_command_names_what_is_there() -> None:
    """Services that are started, commands of `starter`, files: each exists."""
    text = PAGE + FILE.read_text()
    lines = re.findall(r"^ {4}(docker compose .*)$", PAGE, re.M)
    ran = re.findall(r"docker compose run (?:--[\w-]+ )*([\w-]+)(?: ([\w-]+))?", text)
    assert {service for service, _ in ran} == {"starter", "cli", "custodian"}
    known = get_command(starter.app).commands  # type: ignore[attr-defined]
    assert {command for service, command in ran if service == "starter" and command} <= set(known)
    started = [line.split(" up ")[1] for line in lines if " up " in line]
    words = {word for line in started for word in line.split() if word[0].islower()}
    assert words == {"demo", "custodian", "client", "codec"}
    assert words <= set(COMPOSE["services"])
    for path in re.findall(r"(?:deploy/compose/|\.ci/)[\w.-]+\w", text):
        assert (ROOT / path).exists(), path


def test_every_variable_that_the_page_names_can_be_set() -> None:
    """In capitals stand variables of .env, or of the file itself."""
    told = set(re.findall(r"\b(?:EJECT|UI|CODEC|TEMPORAL)_[A-Z_]+\b", PAGE))
    inside = {name for service in COMPOSE["services"].values() for name in service["environment"]}
    assert told <= named() | inside


def test_the_sandbox_image_holds_what_its_programs_need() -> None:
    """What its programs import, and what those import, is copied, and nothing else."""
    needed = rooms_of("story", "sandbox", "device")
    text = DOCKERFILE.read_text()
    copied = {name for name in ROOMS | ENTRIES if f"COPY {name} ./{name}\n" in text or f"{name}.py" in text}
    assert copied == needed
    allowed = (FOLDER / "sandbox.Dockerfile.dockerignore").read_text()
    sent = {line.removeprefix("!").removesuffix(".py") for line in allowed.splitlines() if line[:1] == "!"}
    assert sent == needed | {"requirements/sandbox.txt"}


def test_the_sandbox_image_runs(tmp_path: Path) -> None:
    """Carried out without Docker, its instructions come to an image whose programs start, the device too."""
    sent, place = tmp_path / "sent", tmp_path / "place"
    sent.mkdir()
    place.mkdir()
    context(ROOT, (FOLDER / "sandbox.Dockerfile.dockerignore").read_text(), sent)
    image = build(DOCKERFILE.read_text(), sent, place)
    assert (image.user, image.entrypoint) == ("10001:10001", ["python"])
    env = image.environment()

    def runs(*arguments: str) -> tuple[int, str]:
        command = [*image.entrypoint, *arguments]
        ran = subprocess.run(command, check=False, cwd=image.at("."), env=env, capture_output=True, text=True)
        return ran.returncode, ran.stdout + ran.stderr

    assert runs("story.py", "keys", "--out", str(tmp_path / "keys")) == (0, "Made.\n")
    assert runs("story.py", "keys", "--out", str(tmp_path / "keys")) == (0, "All keys were there.\n")
    assert runs("-m", "sandbox", "--help")[0] == 0
    code, told = runs("-c", "import worker")
    assert code != 0, "the workers' image is another"
    assert "No module named 'worker'" in told


def test_hadolint_has_nothing_to_say() -> None:
    """The linter of Dockerfiles."""
    code, out, err = call(str(TOOLS / "hadolint"), str(DOCKERFILE), env=environment())
    assert code == 0, out + err
