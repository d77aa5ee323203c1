"""The scripts of deploy/compose that speak to no server, and the schema's, whose tool its image has alone."""

import json
import os
from pathlib import Path

import pytest

from runtime.codec import read_keys
from tests.deploy.composing import FOLDER, read, secrets_of, variables
from tests.deploy.shells import PYTHON, Scripts, scripts

__all__ = ["scripts"]

pytestmark = pytest.mark.deploy

NAMES = "import os; print(sorted(n for n in os.environ if n.startswith('SEEN')), os.environ.get('SEEN_KEY'))"


def secret(folder: Path, name: str, text: str) -> Path:
    """A file as Compose mounts one."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return folder / name


def test_secrets_in_capitals_reach_the_program(scripts: Scripts, tmp_path: Path) -> None:
    """A file in capitals is a variable, byte for byte but for its last line's end; any other is not."""
    folder = tmp_path / "secrets"
    secret(folder, "SEEN_KEY", "a b'\"$(echo c)\\n=d\n")
    secret(folder, "seen_other", "x")
    secret(folder, "SEEN-not", "x")
    code, out, err = scripts.run("from-files.sh", PYTHON, "-c", NAMES, SECRETS_FOLDER=str(folder))
    assert (code, err) == (0, "")
    assert out == "['SEEN_KEY'] a b'\"$(echo c)\\n=d\n"


@pytest.mark.parametrize("folder", ["empty", "nowhere"])
def test_without_secrets_the_program_just_runs(scripts: Scripts, tmp_path: Path, folder: str) -> None:
    """No folder, or nothing in it; arguments and exit code are the program's own."""
    (tmp_path / "empty").mkdir()
    code, out, _ = scripts.run(
        "from-files.sh", "sh", "-c", 'echo "$1"; exit 7', "-", "a  b", SECRETS_FOLDER=str(tmp_path / folder)
    )
    assert (code, out) == (7, "a  b\n")


def test_an_empty_secret_stops_the_start(scripts: Scripts, tmp_path: Path) -> None:
    """A server that starts without its password fails later, and says less."""
    secret(tmp_path / "secrets", "SEEN_KEY", "")
    code, out, err = scripts.run("from-files.sh", "echo", "ran", SECRETS_FOLDER=str(tmp_path / "secrets"))
    assert (code, out) == (2, "")
    assert "SEEN_KEY is empty" in err


class Schema:
    """What the stub of temporal-sql-tool knows: it behaves as the real one's source says (setuptask.go)."""

    def __init__(self, scripts: Scripts, folder: Path) -> None:
        self.scripts, self.folder = scripts, folder
        self.log = folder / "called"
        self.schemas = folder / "schemas"
        for name in ("temporal", "visibility"):
            (self.schemas / name / "versioned").mkdir(parents=True)
        scripts.program(
            "temporal-sql-tool",
            f"""
echo "$@" >>"{self.log}"
[ "$SQL_PASSWORD" = right ] || {{ echo "password authentication failed" >&2; exit 1; }}
[ "$1 $2 $3 $4 $5 $6 $7 $8 $9" = "--plugin postgres12 --ep postgres -p 5432 -u temporal --db" ] || exit 9
shift 9
version="{folder}/version-$1"
case $2 in
    setup-schema) [ "$3 $4" = "-v 0.0" ]; [ -e "$version" ] || echo 0.0 >"$version" ;;
    update-schema) [ -d "$4" ]; [ -e "$version" ]; echo "${{4%/versioned}}" >"$version" ;;
    *) exit 9 ;;
esac""",
        )

    def run(self, password: str, **more: str) -> tuple[int, str, str]:
        """Run the job."""
        settings = {
            "SQL_PLUGIN": "postgres12",
            "SQL_HOST": "postgres",
            "SQL_PORT": "5432",
            "SQL_USER": "temporal",
            "SQL_PASSWORD_FILE": str(secret(self.folder / "secrets", "password", f"{password}\n")),
            "SCHEMAS": str(self.schemas),
        }
        return self.scripts.run("schema.sh", **settings | more)

    def versions(self) -> dict[str, str]:
        """The schema of each database."""
        found = self.folder.glob("version-*")
        return {path.name.removeprefix("version-"): Path(path.read_text().strip()).name for path in found}


def test_the_schema_job_makes_both_and_repeats(scripts: Scripts, tmp_path: Path) -> None:
    """Each database gets its own schema, set up and brought up to date; the second run is the same."""
    schema = Schema(scripts, tmp_path)
    for _ in range(2):
        code, out, err = schema.run("right")
        assert (code, err) == (0, "")
        assert out == "Both schemas are up to date.\n"
        assert schema.versions() == {"temporal": "temporal", "temporal_visibility": "visibility"}
    called = schema.log.read_text()
    assert called.count("update-schema") == called.count("setup-schema") == 4
    assert "right" not in called, "a command line is seen by every process"


def test_the_schema_job_stops_at_the_first_failure(scripts: Scripts, tmp_path: Path) -> None:
    """A wrong password, an empty one, an image without the schema: not zero, and nothing more is tried."""
    schema = Schema(scripts, tmp_path)
    code, out, err = schema.run("wrong")
    assert (code, out) == (1, "")
    assert "authentication failed" in err
    assert schema.log.read_text().count("\n") == 1
    assert schema.run("")[0] == 2
    code, _, err = schema.run("right", SCHEMAS=str(tmp_path / "none"))
    assert code == 2
    assert "admin-tools" in err
    assert schema.versions() == {}


@pytest.mark.parametrize("left_out", ["SQL_HOST", "SQL_PASSWORD_FILE", "SQL_USER"])
def test_the_schema_job_names_what_is_not_set(scripts: Scripts, tmp_path: Path, left_out: str) -> None:
    """A variable that is missing is named, and no tool is called."""
    schema = Schema(scripts, tmp_path)
    code, _, err = schema.run("right", **{left_out: ""})
    assert code != 0
    assert left_out in err
    assert not schema.log.exists()


MADE = {
    "postgres_password",
    "temporal_database_password",
    "grafana_admin_password",
    "eject_codec_token",
    "eject_codec_keys",
}


def test_secrets_are_made_once_and_the_rest_is_named(scripts: Scripts, tmp_path: Path) -> None:
    """What can be generated is, for nobody else to read; what cannot is named until it is there."""
    folder = tmp_path / "secrets"
    code, out, err = scripts.run("make-secrets.sh", str(folder))
    assert (code, err) == (1, "")
    made = {path.name: path.read_text() for path in folder.iterdir()}
    assert made.keys() == MADE
    assert len(set(made.values())) == len(MADE)
    assert len(made["eject_codec_token"].strip()) >= 32
    assert {len(key) for key in read_keys(made["eject_codec_keys"]).values()} == {32}
    assert json.loads(made["eject_codec_keys"])
    assert not [name for name in MADE if any(made[name].strip() in text for text in (out, err))]
    missing = [
        line.split(":")[0].removeprefix(f"missing {folder}/")
        for line in out.splitlines()
        if "missing" in line
    ]
    assert len(missing) == 9
    for name in missing:
        (folder / name).write_text("x")
    code, out, _ = scripts.run("make-secrets.sh", str(folder))
    assert (code, out) == (0, "")
    assert {name: (folder / name).read_text() for name in MADE} == made
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in folder.iterdir()}
    assert modes.pop("temporal_database_password") == "0o440"
    assert set(modes.values()) == {"0o400"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_each_secret_is_readable_by_who_has_it(scripts: Scripts, tmp_path: Path) -> None:
    """For every container of docker-compose.yml its user may read its secrets, and nobody else's user may."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    compose = read(variables(FOLDER / "example.env"))
    for name in compose["secrets"]:
        (folder / name).write_text("x")
    assert scripts.run("make-secrets.sh", str(folder))[0] == 0
    users = {name: service["user"] for name, service in compose["services"].items()}
    for secret_name in compose["secrets"]:
        stat = (folder / secret_name).stat()
        holders = {users[name] for name in users if secret_name in secrets_of(compose, name).values()}
        readers = set()
        for user in users.values():
            uid, gid = map(int, user.split(":"))
            if uid == stat.st_uid:
                readable = stat.st_mode & 0o400
            else:
                readable = stat.st_mode & (0o040 if gid == stat.st_gid else 0o004)
            if readable:
                readers.add(user)
        assert readers == holders, secret_name
