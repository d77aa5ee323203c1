"""The database's job and its health check, on a real PostgreSQL."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_hex

import pytest

from runtime.development import free_port
from tests.deploy.composing import FOLDER, call, read, variables
from tests.deploy.shells import Scripts, scripts

__all__ = ["scripts"]

_INSTALLED = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1:]
_BIN = _INSTALLED[0] if _INSTALLED else Path(shutil.which("initdb") or "/nowhere/initdb").parent

pytestmark = [
    pytest.mark.deploy,
    pytest.mark.skipif(
        not (_BIN / "initdb").exists(), reason="PostgreSQL is not installed: apt-get install postgresql"
    ),
]

# PostgreSQL refuses to run as root.
_USER = "nobody" if os.geteuid() == 0 else None


def as_user(*command: str) -> None:
    """Run a program of PostgreSQL's to its end."""
    subprocess.run(
        command, user=_USER, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/"
    )


@dataclass
class Database:
    """A PostgreSQL of one test's own, which asks everybody for a password."""

    folder: Path
    port: int
    password: str
    role_password: str = ""

    @property
    def settings(self) -> dict[str, str]:
        """What the job is given."""
        return {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.port),
            "PGUSER": "postgres",
            "PGPASSWORD_FILE": str(self.file("admin", self.password)),
            "ROLE": "temporal",
            "ROLE_PASSWORD_FILE": str(self.file("role", self.role_password)),
            "DATABASES": "temporal temporal_visibility",
        }

    def file(self, name: str, text: str) -> Path:
        """A secret as a file."""
        path = self.folder / name
        path.write_text(text + "\n")
        return path

    def sql(self, command: str, user: str = "temporal", database: str = "temporal") -> tuple[int, str, str]:
        """Ask it something, as Temporal's role unless told otherwise."""
        password = self.password if user == "postgres" else self.role_password
        env = dict(os.environ) | {"PGPASSWORD": password}
        where = f"host=127.0.0.1 port={self.port} user={user} dbname={database}"
        return call("psql", "-XAtqc", command, where, env=env)

    def log(self) -> str:
        """What it logged."""
        return (self.folder / "log").read_text()


@contextmanager
def running() -> Iterator[Database]:
    """A new volume, and PostgreSQL on it."""
    with tempfile.TemporaryDirectory(prefix="eject-postgres-") as name:
        made = Database(Path(name), free_port(), token_hex(16))
        if _USER is not None:
            account = pwd.getpwnam(_USER)
            os.chown(name, account.pw_uid, account.pw_gid)
        (password := made.file("initdb", made.password)).chmod(0o644)
        data = str(made.folder / "data")
        as_user(
            str(_BIN / "initdb"), "-D", data, "-U", "postgres", "-A", "scram-sha-256",
            "--pwfile", str(password), "--data-checksums", "--no-sync",
        )  # fmt: skip
        options = f"-p {made.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        options += " -c log_statement=all"  # the strictest that somebody may set
        control = [str(_BIN / "pg_ctl"), "-D", data, "-w", "-t", "60"]
        as_user(*control, "-l", str(made.folder / "log"), "-o", options, "start")
        try:
            yield made
        finally:
            as_user(*control, "-m", "immediate", "stop")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Database]:
    """One PostgreSQL for all tests here."""
    with running() as made:
        yield made


@pytest.fixture
def database(cluster: Database) -> Database:
    """It, as new."""
    found = cluster.sql(
        "select datname from pg_database where datname like 'temporal%'", "postgres", "postgres"
    )
    for name in found[1].split():
        assert cluster.sql(f"drop database {name} with (force)", "postgres", "postgres")[0] == 0
    for name in ("temporal", "somebody"):
        assert cluster.sql(f"drop role if exists {name}", "postgres", "postgres")[0] == 0
    return replace(cluster, role_password=token_hex(16))


def test_the_job_makes_a_role_with_two_databases_and_repeats(database: Database, scripts: Scripts) -> None:
    """The role owns both, may make a schema with its extension, and may do nothing beyond."""
    for _ in range(2):
        code, out, err = scripts.run("database.sh", **database.settings)
        assert (code, err) == (0, "")
        assert out == "Role temporal and databases temporal temporal_visibility are there.\n"
        assert database.password not in out
    for name in ("temporal", "temporal_visibility"):
        assert database.sql("create table if not exists t (n int)", database=name) == (0, "", "")
        assert database.sql("create extension if not exists btree_gin", database=name)[0] == 0
    rights = "select rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls from pg_roles"
    assert database.sql(f"{rights} where rolname = 'temporal'")[1] == "f|f|f|f|f\n"
    assert database.sql("create database another")[0] != 0
    assert database.sql("create role another")[0] != 0
    assert database.role_password not in database.log()
    # Nobody else may connect to them.
    database.sql(f"create role somebody login password '{database.role_password}'", "postgres", "postgres")
    assert database.sql("select 1", "somebody", "postgres")[0] == 0
    code, _, err = database.sql("select 1", "somebody")
    assert "permission denied" in err
    assert code != 0


def test_a_new_password_is_taken_over(database: Database, scripts: Scripts) -> None:
    """Rotation: another password in the file, the job once more, and only the new one opens."""
    assert scripts.run("database.sh", **database.settings)[0] == 0
    old, database.role_password = database.role_password, 'it\'s a \\ new $one "here"'
    assert database.sql("select 1")[0] != 0
    assert scripts.run("database.sh", **database.settings)[0] == 0
    assert database.sql("select 1") == (0, "1\n", "")
    database.role_password = old
    assert database.sql("select 1")[0] != 0


def test_a_wrong_or_missing_password_fails_at_once(database: Database, scripts: Scripts) -> None:
    """The administrator's password wrong, empty, or its file away: not zero, and nothing is made."""
    right = database.password
    for wrong in ("wrong", ""):
        database.password = wrong
        code, out, err = scripts.run("database.sh", **database.settings)
        assert code != 0
        assert out == ""
        assert err
    database.password = right
    gone = database.settings | {"ROLE_PASSWORD_FILE": str(database.folder / "gone")}
    assert scripts.run("database.sh", **gone)[0] != 0
    assert (
        database.sql("select count(*) from pg_roles where rolname = 'temporal'", "postgres", "postgres")[1]
        == "0\n"
    )


def test_the_first_refusal_ends_the_job(database: Database, scripts: Scripts) -> None:
    """An administrator who may not silence the log is refused before a password is in a statement."""
    making = f"create role somebody login createrole createdb password '{database.password}'"
    assert database.sql(making, "postgres", "postgres")[0] == 0
    code, out, err = scripts.run("database.sh", **database.settings | {"PGUSER": "somebody"})
    assert (code, out) == (3, "")
    assert "log_statement" in err
    assert database.role_password not in database.log()
    found = database.sql("select count(*) from pg_roles where rolname = 'temporal'", "postgres", "postgres")
    assert found[1] == "0\n"


def test_the_health_check_tells_there_from_not_there(database: Database) -> None:
    """The file's command: 0 while PostgreSQL takes connections by TCP, not 0 where nothing does."""
    compose = read(variables(FOLDER / "example.env"))
    kind, *command = compose["services"]["postgres"]["healthcheck"]["test"]
    assert kind == "CMD"
    assert call(*command, env=dict(os.environ) | {"PGPORT": str(database.port)}) == (0, "", "")
    assert call(*command, env=dict(os.environ) | {"PGPORT": str(free_port())})[0] == 2
