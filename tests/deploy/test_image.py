"""The image, without Docker: its Dockerfile is carried out, and what comes of it serves ejects."""

import asyncio
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from contracts.stages import End, Stage
from ejects.service import handle_of
from runtime.development import ROOT, free_port, line_of, process
from tests.conftest import end_all
from tests.deploy.dockerfile import Image, UnknownInstructionError, build, context
from tests.harness.codecs import TOKEN, as_setting, new_key
from tests.harness.portal import Sandbox
from tests.harness.temporal import PROCESSES, connected
from tests.harness.world import World, make_world
from tests.test_worker_health import ALIVE, SERVING, probes
from tests.test_worker_process import ended, said

pytestmark = pytest.mark.deploy

DOCKERFILE = (ROOT / "Dockerfile").read_text()
ENTRIES = ("worker.py", "starter.py", "codec_server.py")
MODULES = [entry.removesuffix(".py") for entry in ENTRIES]
FORBIDDEN = ["device", "sandbox", "tests", "demo", "pip", "setuptools", "ensurepip", "pytest", "hypothesis"]
FORBIDDEN += ["fastapi", "nacl", "bech32"]

# As root: the image's user, no capabilities, and a file system that is read-only but for one folder.
_CONFINED = (
    'mount --bind "$1" "$1" && mount -o remount,ro,bind / && cd "$2" && shift 2 && exec setpriv '
    "--reuid=10001 --regid=10001 --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all -- "
    '"$@" 2>&1'
)
_PLAIN = 'cd "$2" && shift 2 && exec "$@" 2>&1'


def can_confine() -> bool:
    """Whether this machine lets the tests put a process into such a place."""
    if os.geteuid() != 0 or not all(shutil.which(tool) for tool in ("unshare", "setpriv", "mount")):
        return False
    return subprocess.run(["/usr/bin/unshare", "--mount", "true"], check=False).returncode == 0


CONFINED = can_confine()


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder that other users may enter, unlike pytest's."""
    with tempfile.TemporaryDirectory(prefix="eject-image-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.fixture(scope="module")
def image(place: Path) -> Image:
    """What the Dockerfile comes to."""
    sent = place / "context"
    sent.mkdir()
    context(ROOT, (ROOT / ".dockerignore").read_text(), sent)
    return build(DOCKERFILE, sent, place)


def command(image: Image, *arguments: str) -> list[str]:
    """A process as a container of this image runs it, its folder /vault being all that it may write."""
    program = [*image.entrypoint, *arguments]
    shell = [
        "/bin/sh",
        "-c",
        _CONFINED if CONFINED else _PLAIN,
        "sh",
        str(image.at("/vault")),
        str(image.at(".")),
    ]
    return [*(["unshare", "--mount"] if CONFINED else []), *shell, *program]


async def ran(image: Image, *arguments: str, stdin: str = "", **settings: str) -> tuple[int, str]:
    """Run it to its end: exit code, and all that it said."""
    running = await asyncio.create_subprocess_exec(
        *command(image, *arguments), env=image.environment() | settings, cwd="/", stdin=PIPE, stdout=PIPE
    )
    out, _ = await asyncio.wait_for(running.communicate(stdin.encode()), 120)
    assert running.returncode is not None
    return running.returncode, out.decode()


@asynccontextmanager
async def container(image: Image, *arguments: str, **settings: str) -> AsyncIterator[Process]:
    """A process of the image that goes on."""
    async with process(*command(image, *arguments), env=image.environment() | settings) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def world(image: Image, sandbox: Sandbox, tmp_path: Path) -> AsyncIterator[World]:
    """A world whose vault is the image's folder /vault, and whose workers are the image's."""
    made = make_world(await connected(PROCESSES), sandbox, tmp_path)
    made.vault_folder = image.at("/vault")
    made.settings = made.settings.model_copy(update={"vault_url": made.vault_folder.as_uri()})
    yield made
    await end_all(made)


def only(world: World, *names: str) -> dict[str, str]:
    """Some settings of a world, and where Temporal and the vault are."""
    own = world.environment()
    wanted = {"TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", "EJECT_VAULT_URL", *names}
    return {name: value for name, value in own.items() if name in wanted}


def test_the_dockerfile_is_clean() -> None:
    """hadolint has nothing to say of it, and would have."""
    lint = [str(Path(sys.executable).parent / "hadolint"), "-"]
    for text, code in ((DOCKERFILE, 0), (DOCKERFILE.replace("--no-cache-dir ", "") + "RUN cd /x\n", 1)):
        linted = subprocess.run(lint, input=text, check=False, capture_output=True, text=True)
        assert linted.returncode == code, linted.stdout


@pytest.mark.parametrize(
    "line",
    [
        "ADD worker.py /app/",
        "RUN curl https://x.example",
        'SHELL ["sh"]',
        "FROM debian",
        "COPY --chmod=777 a b",
    ],
)
def test_an_instruction_that_nobody_carries_out_is_told(tmp_path: Path, line: str) -> None:
    """So that these tests never speak of another image than Docker would build."""
    with pytest.raises(UnknownInstructionError):
        build(f"FROM python:3.11\n{line}\n", tmp_path, tmp_path / "place")


def test_it_says_what_it_is(image: Image) -> None:
    """The version is the project's; the user has a number, which Kubernetes compares with root's."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert image.labels["org.opencontainers.image.version"] == project["version"]
    assert image.user == "10001:10001"
    assert image.stop_signal == "SIGTERM"
    assert image.command == ["worker.py", "--help"]


@pytest.mark.parametrize("entry", ENTRIES)
async def test_each_entry_answers_for_help(image: Image, entry: str) -> None:
    """With no setting at all."""
    code, out = await ran(image, entry, "--help")
    assert code == 0, out
    assert f"Usage: {entry}" in out


async def test_its_entries_import_nothing_from_elsewhere(image: Image) -> None:
    """Every module that they load lies in the image; what may rebuild a key or install is not to be found."""
    look = "; ".join(
        (
            f"import importlib.util, json, sys, {', '.join(MODULES)}",
            "files = [m.__file__ for m in list(sys.modules.values()) if getattr(m, '__file__', None)]",
            f"found = [n for n in {FORBIDDEN} if importlib.util.find_spec(n)]",
            "print(json.dumps([sys.path, files, found]))",
        )
    )
    code, out = await ran(image, "-c", look)
    assert code == 0, out
    path, files, found = json.loads(out)
    assert found == []
    assert [file for file in [*filter(None, path), *files] if not file.startswith(f"{image.root}/")] == []
    assert [
        name for name in ("device", "sandbox", "tests", "pytest") if not importlib.util.find_spec(name)
    ] == []


async def test_it_cannot_write_where_it_runs(image: Image) -> None:
    """Not to its code, its packages, or anywhere but the vault."""
    attempt = "import sys, pathlib; pathlib.Path(sys.argv[1]).write_text('x')"
    if not CONFINED:
        pytest.skip("only root can take the image's user and a read-only file system")
    for folder in ("/app", "/opt/eject", "/usr/local/bin"):
        code, out = await ran(image, "-c", attempt, f"{image.at(folder)}/x")
        assert code != 0, folder
        assert "OSError: [Errno 30] Read-only file system" in out
    assert (await ran(image, "-c", attempt, f"{image.at('/vault')}/x"))[0] == 0
    image.at("/vault/x").unlink()
    code, out = await ran(image, "-c", "import os; print(os.getuid(), os.getgid(), os.getgroups())")
    assert out == "10001 10001 []\n"


def test_everything_is_compiled_for_good(image: Image) -> None:
    """No process compiles anew: each file has bytecode that is taken without a look at its source."""
    sources = [*image.at("/app").rglob("*.py"), *image.at("/opt/eject/lib").rglob("*.py")]
    assert len(sources) > 1000
    for source in sources:
        compiled = Path(importlib.util.cache_from_source(str(source)))
        assert compiled.read_bytes()[4:8] == (1).to_bytes(4, "little"), source


async def test_two_roles_from_the_image_complete_an_eject(image: Image, world: World) -> None:
    """One image is `starter`, the custodian's worker and the client's; SIGTERM drains both."""
    customer = world.sandbox.seed()
    told = only(world, "EJECT_CLIENT_RECIPIENT")
    assert await ran(image, "starter.py", "register", **told) == (0, "All search attributes were there.\n")
    for option, secret in (((), customer.generate_response), (("--api-key",), customer.api_key)):
        arguments = ("deposit", "--client", customer.client_id, *option, "--file", "-")
        code, out = await ran(image, "starter.py", *arguments, stdin=secret.get_secret_value(), **told)
        assert code == 0, out
    hosts = ("EJECT_PORTAL_URL", "EJECT_ENCLAVE_URL")
    custodians = only(world, *hosts, "EJECT_CUSTODIAN_API_KEY", "EJECT_RECEIPT_KEY")
    clients = only(world, *hosts, "EJECT_CLIENT_IDENTITY")
    address = f"127.0.0.1:{free_port()}"
    async with (
        container(
            image, "worker.py", "--role", "custodian", EJECT_HEALTH_ADDRESS=address, **custodians
        ) as custodian,
        container(image, "worker.py", "--role", "client", **clients) as client,
    ):
        await said(custodian, "worker.serving")
        await said(client, "worker.serving")
        assert await probes(address) == [ALIVE, SERVING]
        words = ("--window", "P1D", "--requested-by", "ada", "--reason", "moves to self custody")
        recipient = world.owner.identity.recipient
        arguments = ("start", "--client", customer.client_id, "--recipient", recipient, *words)
        code, out = await ran(image, "starter.py", *arguments, **told)
        assert code == 0, out
        handle = handle_of(world.client, customer.client_id)
        await world.reach(handle, Stage.AWAITING_CLAIM)
        await world.prove(customer, world.proofs(await world.claim(customer)))
        assert (await world.end(handle)).end is End.EJECTED
        assert [await ended(custodian), await ended(client)] == [0, 0]


async def test_the_codec_server_is_in_it(image: Image) -> None:
    """It answers its own probe until SIGTERM."""
    address = f"127.0.0.1:{free_port()}"
    keys = {"EJECT_CODEC_KEYS": as_setting({"a": new_key()}), "EJECT_CODEC_TOKEN": TOKEN}
    async with container(image, "codec_server.py", EJECT_CODEC_ADDRESS=address, **keys) as running:
        while "codec_server.serving" not in await line_of(running):
            pass
        async with httpx.AsyncClient(trust_env=False) as http:
            assert (await http.get(f"http://{address}/health")).text == "serving"
        assert await ended(running) == 0
