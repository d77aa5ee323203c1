"""A deployment as production has it, on one machine, and every secret that is in it."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict, ParseDict
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowHistory
from temporalio.service import TLSConfig

from contracts.names import released_prefix
from custody.keys import make_key
from custody.vault import Vault
from device.backups import OwnersBackup
from device.opening import OpenedWallet
from runtime.codec import EjectCodec, read_keys
from runtime.converter import data_converter
from runtime.development import free_port
from tests.harness.codecs import as_setting, new_key
from tests.harness.fleet import Fleet, Member
from tests.harness.portal import Sandbox
from tests.harness.receiver import Receiver
from tests.harness.s3 import S3Server
from tests.harness.temporal import connected
from tests.harness.tls import Authority, Certificate, relay
from tests.harness.world import World, make_world

APPROVER = "grace"
# What each process has as files, and no other.
SECRETS: Mapping[Member, tuple[str, ...]] = {
    Member.CUSTODIAN: ("custodian_api_key", "receipt_key", "notify_secret", "codec_keys"),
    Member.CLIENT: ("client_identity", "codec_keys"),
    Member.CODEC: ("codec_token", "codec_keys"),
}


@dataclass
class Deployed(World):
    """A world whose vault is an S3 bucket; each of its users does what its policy allows."""

    s3: S3Server

    @property
    def vault(self) -> Vault:
        """The vault as whoever deposits opens it."""
        return self.s3.vault("depositor")

    def look(self) -> None:
        """Make the world's folder what the bucket is now, so that it can be looked at like any vault."""
        self.s3.copy(self.vault_folder)

    def rebuild(self, answer: Any, backup: OwnersBackup | None = None) -> tuple[OpenedWallet, ...]:
        """The owner's device, with the files that a reader of `released/` gets."""
        with ThreadPoolExecutor() as elsewhere:  # a loop runs here already
            elsewhere.submit(asyncio.run, self._download(released_prefix(answer.eject_id))).result()
        return super().rebuild(answer, backup)

    async def _download(self, prefix: str) -> None:
        reader = self.s3.vault("reader")
        for name in await reader.names(prefix):
            path = self.vault_folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(await reader.read(name) or b"")


@dataclass
class Deployment:
    """Everything, with its settings by process; the workers and the codec server are not started yet."""

    fleet: Fleet
    world: Deployed
    receiver: Receiver
    approver: Path
    environments: dict[Member, dict[str, str]]
    secrets: dict[str, str] = field(repr=False)
    codec: EjectCodec = field(repr=False)

    @property
    def metrics(self) -> list[str]:
        """Where the workers show their metrics."""
        return [self.environments[m]["EJECT_METRICS_ADDRESS"] for m in (Member.CUSTODIAN, Member.CLIENT)]

    def decrypted(self, history: WorkflowHistory) -> Iterator[str]:
        """The text of every payload in a history, opened with the codec's keys."""
        for event in history.events:
            for found in _payloads(MessageToDict(event)):
                yield self.codec.open(ParseDict(found, Payload())).data.decode(errors="replace")


def _payloads(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if isinstance(value.get("data"), str) and "metadata" in value:
            yield {"data": value["data"], "metadata": value["metadata"]}
        for inner in value.values():
            yield from _payloads(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _payloads(inner)


def tls_of(authority: Authority, mine: Certificate) -> dict[str, str]:
    """The settings with which a process shows its certificate and trusts the authority."""
    return {
        "TEMPORAL_TLS": "true",
        "TEMPORAL_TLS_CLIENT_CERT_PATH": str(mine.cert),
        "TEMPORAL_TLS_CLIENT_KEY_PATH": str(mine.key),
        "TEMPORAL_TLS_SERVER_CA_CERT_PATH": str(authority.ca),
    }


@asynccontextmanager
async def deployment(folder: Path, fleet: Fleet, s3: S3Server) -> AsyncIterator[Deployment]:
    """Server, sandbox, receiver; TLS in both directions before the server; secrets as files, by process."""
    ready, keys = await fleet.begin("debug"), as_setting({"a": new_key()})
    authority, receiver, approver = Authority(folder / "tls"), Receiver(), folder / f"{APPROVER}.pem"
    served, mine = authority.issue("temporal"), authority.issue("eject")
    await connected("default", address=fleet.address)  # it serves
    async with relay(fleet.address, served, clients_of=authority.ca) as front, receiver.listening():
        codec, sandbox = EjectCodec(read_keys(keys)), Sandbox(ready["url"], ready["custodian_api_key"])
        tls = TLSConfig(authority.ca.read_bytes(), None, mine.cert.read_bytes(), mine.key.read_bytes())
        client = await Client.connect(front, tls=tls, data_converter=data_converter(codec))
        made = make_world(client, sandbox, folder)
        world = Deployed(**vars(made), s3=s3)
        own = made.environment()
        values = {
            "custodian_api_key": own["EJECT_CUSTODIAN_API_KEY"],
            "receipt_key": own["EJECT_RECEIPT_KEY"],
            "client_identity": own["EJECT_CLIENT_IDENTITY"],
            "notify_secret": receiver.secret,
            "codec_token": secrets.token_hex(32),
            "codec_keys": keys,
        }
        ours = {f"EJECT_{name.upper()}" for name in values} | {"EJECT_VAULT_URL", "EJECT_CLIENT_RECIPIENT"}
        public = {name: value for name, value in own.items() if name not in ours}
        public |= {"TEMPORAL_ADDRESS": front, "EJECT_PRODUCTION": "true", "EJECT_LOG_LEVEL": "DEBUG"}
        public |= tls_of(authority, mine)
        more = {
            Member.CUSTODIAN: {
                "EJECT_NOTIFY_URL": receiver.url,
                "EJECT_APPROVERS": json.dumps({APPROVER: make_key(approver)}),
            },
            Member.CLIENT: {"EJECT_CLIENT_RECIPIENT": own["EJECT_CLIENT_RECIPIENT"]},
        }
        environments = {Member.CODEC: _as_files(folder, Member.CODEC, values) | {"EJECT_PRODUCTION": "true"}}
        for member, settings in more.items():
            at = {"EJECT_VAULT_URL": s3.url, "EJECT_METRICS_ADDRESS": f"127.0.0.1:{free_port()}"}
            files = _as_files(folder, member, values)
            environments[member] = public | s3.environment(str(member)) | files | at | settings
        held = {f"the setting {name}": _telling(value) for name, value in values.items()}
        held |= {f"S3's key of {m}": environments[m]["AWS_SECRET_ACCESS_KEY"] for m in more}
        held["the TLS key"] = mine.key.read_text().splitlines()[1]
        try:
            yield Deployment(fleet, world, receiver, approver, environments, held, codec)
        finally:
            sandbox.close()


def _as_files(folder: Path, member: Member, values: Mapping[str, str]) -> dict[str, str]:
    """The secrets of one process in a folder of its own."""
    own = folder / f"secrets-{member}"
    own.mkdir(mode=0o700)
    for name in SECRETS[member]:
        (own / f"eject_{name}").write_text(values[name] + "\n")
    return {"EJECT_SECRETS_DIR": str(own)}


def _telling(value: str) -> str:
    """What of a secret is looked for: a PEM's or an identity's own line, a codec key, or all of it."""
    lines = [line for line in value.splitlines() if line and not line.startswith(("#", "-"))]
    return json.loads(lines[0])["a"] if lines[0].startswith("{") else lines[0]
