"""A real S3 server for tests: one Ceph node (Debian's `ceph-mon`, `ceph-osd`, `radosgw`) on this machine.

Create-only writes and policies are enforced by the server, its files lie on disk, and it may be killed and
started again. Nothing of it listens beyond the loopback address, and it is gone with the block.
"""

import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING
from uuid import uuid4

import httpx
import obstore
from obstore.store import S3Store

from custody.vault import Vault
from runtime.development import ROOT, free_port
from tests.harness.signing import signed_headers

if TYPE_CHECKING:
    from obstore.store import ClientConfig  # exists for type checkers only

REGION = "us-east-1"
PACKAGES = "radosgw ceph-mon ceph-osd"
POLICIES = ROOT / "deploy" / "s3"
USERS = sorted(document.stem for document in POLICIES.glob("*.json"))
OWNER = "owner"
_STARTS_WITHIN = 60.0
_ASKS_EVERY = 0.05

_CONFIG = """\
[global]
fsid = {fsid}
mon_host = v1:127.0.0.1:{mon_port}/0
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
ms_bind_msgr2 = false
run_dir = {folder}/run
crash_dir = {folder}/run
admin_socket = {folder}/run/$name.asok
pid_file =
log_file = {folder}/log/$name.log
mon_cluster_log_file = {folder}/log/cluster.log
mon_data = {folder}/mon
mon_data_avail_crit = 1
mon_data_avail_warn = 2
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
paxos_propose_interval = 0.05
osd_data = {folder}/osd
osd_class_update_on_start = false
osd_crush_update_on_start = false
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
osd_memory_target = 939524096
osd_objectstore = bluestore
bluestore_block_size = 4294967296
bluestore_block_wal_create = false
bluestore_cache_autotune = false
bluestore_cache_size = 67108864
osd_client_watch_timeout = 2
rgw_data = {folder}/rgw
rgw_cache_enabled = false
rgw_frontends = beast endpoint=127.0.0.1:{port}
rgw_enable_usage_log = false
rgw_run_sync_thread = false
rgw_crypt_require_ssl = false
"""


_ALL = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}'


@dataclass(frozen=True)
class Keys:
    """Who speaks to the server; made for this run."""

    user: str
    access: str
    secret: str


class S3Server:
    """One running server with a bucket, and one user for each policy in `deploy/s3/`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.bucket = ""
        self._keys = {OWNER: _new_keys(OWNER)}
        self._config = folder / "ceph.conf"
        self._running: list[subprocess.Popen[bytes]] = []

    @property
    def url(self) -> str:
        """The vault's."""
        return f"s3://{self.bucket}"

    def environment(self, user: str = OWNER) -> dict[str, str]:
        """What obstore reads from the environment of a process of this user."""
        keys = self._keys[user]
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": keys.access,
            "AWS_SECRET_ACCESS_KEY": keys.secret,
        }

    def options(self, user: str = OWNER) -> dict[str, str]:
        """The same for a vault in this process."""
        keys = self._keys[user]
        return {
            "endpoint": self.endpoint,
            "region": REGION,
            "access_key_id": keys.access,
            "secret_access_key": keys.secret,
        }

    def vault(self, user: str = OWNER, url: str | None = None) -> Vault:
        """The vault as this user opens it."""
        return Vault(url or self.url, self.options(user))

    def copy(self, folder: Path, user: str = OWNER, prefix: str | None = None) -> None:
        """Make a folder what this user reads in the bucket or under a prefix, each file by its name."""
        shutil.rmtree(folder / (prefix or ""), ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        plain: ClientConfig = {"allow_http": True}
        store = S3Store(self.bucket, client_options=plain, **self.options(user))  # type: ignore[arg-type]
        for page in obstore.list(store, prefix):
            for meta in page:
                path = folder / meta["path"]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(bytes(obstore.get(store, meta["path"]).bytes()))

    def add_user(self, user: str) -> None:
        """A user, who without a policy may do nothing in the bucket."""
        keys = self._keys[user] = _new_keys(user)
        query = {"uid": user, "display-name": user, "access-key": keys.access, "secret-key": keys.secret}
        self.ask("PUT", "/admin/user", query)

    def set_policy(self, user: str, policy: str) -> None:
        """Give a user another policy document."""
        call = {"Action": "PutUserPolicy", "UserName": user, "PolicyName": "vault", "PolicyDocument": policy}
        self.ask("POST", "/", call, service="iam")

    def new_bucket(self) -> None:
        """From now on another, empty bucket, with the policies of all users."""
        self.bucket = f"vault-{token_hex(4)}"
        self.ask("PUT", f"/{self.bucket}")
        # Whoever writes an object owns it here, so the bucket's owner needs a policy too.
        self.set_policy(OWNER, _ALL)
        for user in USERS:
            self.set_policy(user, self.policy_of(user))

    def policy_of(self, user: str) -> str:
        """A policy document of `deploy/s3/` for the bucket."""
        return (POLICIES / f"{user}.json").read_text().replace("BUCKET", self.bucket)

    def keep_versions(self) -> None:
        """Let the bucket keep every version of what is written to it and deleted from it."""
        wanted = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
        self.ask("PUT", f"/{self.bucket}", {"versioning": ""}, wanted.encode())

    def ask(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        body: bytes = b"",
        service: str = "s3",
    ) -> bytes:
        """One signed request of the bucket's owner, who also administers the server."""
        keys = self._keys[OWNER]
        url = httpx.URL(self.endpoint + path, params=query or {})
        headers = signed_headers(
            method, url, body, access=keys.access, secret=keys.secret, region=REGION, service=service
        )
        with httpx.Client(trust_env=False, timeout=30) as http:
            answer = http.request(method, url, content=body, headers=headers)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text[:300]}"
        return answer.content

    def make(self) -> None:
        """Make the node's disks, start it, and make its users and the bucket."""
        for name in ("mon", "osd", "rgw", "run", "log"):
            (self.folder / name).mkdir(parents=True)
        monitor = free_port()
        fsid = str(uuid4())
        self._config.write_text(
            _CONFIG.format(fsid=fsid, mon_port=monitor, port=self.port, folder=self.folder)
        )
        address, known = f"[v1:127.0.0.1:{monitor}]", str(self.folder / "monmap")
        self._run("monmaptool", "--create", "--addv", "a", address, "--fsid", fsid, known)
        self._run("ceph-mon", "-i", "a", "--mkfs", "--monmap", known, "--keyring", "/dev/null")
        self._start("ceph-mon", "-i", "a")
        disk = str(uuid4())
        self._run_until_done("ceph", "osd", "new", disk, "0")
        # By itself it tells its place at its start, and fails where it does not know the cluster's id yet.
        self._run_until_done("ceph", "osd", "crush", "add", "osd.0", "1", "root=default", "host=here")
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", disk)
        self._start("ceph-osd", "-i", "0")
        self._start("radosgw", "-n", "client.rgw")
        self._wait()
        keys = self._keys[OWNER]
        rights = ["--caps", "users=*;user-policy=*", "--access-key", keys.access, "--secret-key", keys.secret]
        self._run("radosgw-admin", "user", "create", "--uid", OWNER, "--display-name", OWNER, *rights)
        for user in USERS:
            self.add_user(user)
        self.new_bucket()

    def start(self) -> None:
        """Start the node again on the disks that it had."""
        self._start("ceph-mon", "-i", "a")
        self._start("ceph-osd", "-i", "0")
        self._start("radosgw", "-n", "client.rgw")
        self._wait()

    def kill(self) -> None:
        """End all of it at once, as a power cut does."""
        for one in self._running:
            one.send_signal(signal.SIGKILL)
        for one in self._running:
            one.wait(30)
        self._running.clear()

    def _start(self, program: str, *arguments: str) -> None:
        with (self.folder / "log" / f"{program}.out").open("ab") as out:
            command = [program, "-c", str(self._config), *arguments, "-f"]
            self._running.append(subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True))

    def _run(self, program: str, *arguments: str) -> None:
        command = [program, "-c", str(self._config), *arguments]
        if program == "monmaptool":
            command = [program, *arguments]
        ran = subprocess.run(command, capture_output=True, timeout=_STARTS_WITHIN, check=False)
        assert ran.returncode == 0, f"{program}: {ran.stderr.decode()[-500:]}"

    def _run_until_done(self, program: str, *arguments: str) -> None:
        """For what may be repeated: a monitor that has just started refuses commands."""
        until = time.monotonic() + _STARTS_WITHIN
        while True:
            try:
                return self._run(program, *arguments)
            except AssertionError:
                if time.monotonic() > until:
                    raise

    def _wait(self) -> None:
        until = time.monotonic() + _STARTS_WITHIN
        with httpx.Client(trust_env=False, timeout=5) as http:
            while time.monotonic() < until:
                try:
                    if http.get(self.endpoint).is_success:
                        return
                except httpx.TransportError:
                    pass
                time.sleep(_ASKS_EVERY)
        raise AssertionError(f"the S3 server did not start: see {self.folder / 'log'}")


@contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """A server that runs for as long as the block; AssertionError where Debian's packages are missing."""
    missing = [name for name in ("ceph-mon", "ceph-osd", "radosgw") if shutil.which(name) is None]
    assert not missing, f"install the S3 server of these tests: apt-get install {PACKAGES}"
    server = S3Server(folder)
    try:
        server.make()
        yield server
    finally:
        server.kill()


def _new_keys(user: str) -> Keys:
    return Keys(user, token_hex(10).upper(), token_hex(20))
