"""`worker.py --check`: what is wrong is named in one sentence, and all else is still looked at."""

import asyncio
import os
import socket
from contextlib import AsyncExitStack
from pathlib import Path
from typing import cast
from uuid import uuid4

import pytest
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client

from custody import vault
from ejects.registering import register
from runtime.codec import EjectCodec
from runtime.development import ROOT
from runtime.settings import WorkerRole
from serving import trying
from serving.checking import check
from tests.harness.codecs import as_setting, new_key
from tests.harness.odd_store import odd_store
from tests.harness.processes import environment, run
from tests.harness.temporal import connected
from tests.harness.tls import Authority, relay
from tests.harness.world import PATIENCE, World
from workflows import attributes

NOWHERE = "127.0.0.1:1"
PLANTED = "Zq7planted"
KEY = new_key()


async def namespace(temporal: Client, codec: EjectCodec | None = None) -> Client:
    """A namespace of its own, without search attributes."""
    name = f"checked-{uuid4()}"
    request = RegisterNamespaceRequest(namespace=name)
    request.workflow_execution_retention_period.FromSeconds(86400)
    await temporal.workflow_service.register_namespace(request)
    return await connected(name, codec)


async def checked(role: str, env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> tuple[int, list[str]]:
    """What a check in this environment says, and its exit code."""
    lines: list[str] = []
    with monkeypatch.context() as own:
        for name in [name for name in os.environ if name.startswith(("EJECT_", "TEMPORAL_", "AWS_"))]:
            own.delenv(name)
        for name, value in env.items():
            own.setenv(name, value)
        code = await check(WorkerRole(role), lines.append)
    return code, lines


async def test_it_names_each_misconfiguration_in_one_sentence(
    workerless: World, temporal: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a real server, a sandbox and a vault: one thing wrong is one line that fails, and no other does."""
    good = {
        "custodian": workerless.environment() | {"EJECT_CODEC_KEYS": as_setting({"a": KEY})},
        "client": workerless.environment() | {"EJECT_CODEC_KEYS": as_setting({"a": KEY})},
    }
    del good["custodian"]["EJECT_CLIENT_IDENTITY"]
    del good["client"]["EJECT_CUSTODIAN_API_KEY"], good["client"]["EJECT_RECEIPT_KEY"]
    bare, typed = await namespace(temporal), await namespace(temporal)
    names = ", ".join(key.name for key in attributes.ALL)
    types = {key.name: IndexedValueType.ValueType(int(key.indexed_value_type)) for key in attributes.ALL} | {
        attributes.STAGE.name: IndexedValueType.INDEXED_VALUE_TYPE_INT
    }
    await typed.operator_service.add_search_attributes(
        AddSearchAttributesRequest(namespace=typed.namespace, search_attributes=types)
    )
    encrypted = await namespace(temporal, EjectCodec({"old": KEY}))
    await register(encrypted)
    handle = await encrypted.start_workflow("Eject", PLANTED, id=f"eject-{uuid4()}", task_queue="nobody's")
    file = tmp_path / "file"
    file.write_text("not a folder")
    own = Authority(tmp_path / "authority")
    monkeypatch.setitem(cast(dict[str, object], vault._BOUNDED), "allow_http", True)
    async with AsyncExitStack() as stack:
        deaf, forgetful, late = (stack.enter_context(odd_store()) for _ in range(3))
        deaf.deletes, forgetful.conditional, late.clock = False, False, "Tue, 01 Jan 2030 00:00:00 GMT"
        taken = stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
        port = workerless.sandbox.url.rpartition(":")[2]
        tls = await stack.enter_async_context(relay(f"127.0.0.1:{port}", own.issue("portal")))
        rows: list[tuple[str, dict[str, str], str]] = [
            (
                "custodian",
                {"TEMPORAL_ADDRESS": NOWHERE},
                f"FAIL temporal: Temporal does not answer at {NOWHERE}",
            ),
            (
                "client",
                {"TEMPORAL_NAMESPACE": "mistyped"},
                "FAIL temporal: the namespace mistyped is not there: create it, or mend TEMPORAL_NAMESPACE",
            ),
            (
                "client",
                {"TEMPORAL_PROFILE": "prod"},
                "FAIL settings: TEMPORAL_PROFILE names a profile that",
            ),
            (
                "custodian",
                {"TEMPORAL_NAMESPACE": bare.namespace},
                f"FAIL search attributes: {bare.namespace} lacks {names}: run",
            ),
            (
                "custodian",
                {"TEMPORAL_NAMESPACE": typed.namespace},
                "FAIL search attributes: EjectStage has another type",
            ),
            ("custodian", {"EJECT_BUILD_ID": "v2"}, "warn versions: v2 is not the current version"),
            (
                "client",
                {"EJECT_CODEC_KEYS": f'{{"a": "{PLANTED}"}}'},
                'FAIL settings: EJECT_CODEC_KEYS: must be {"key id": "base64 of 32 bytes", ...}',
            ),
            (
                "client",
                {"TEMPORAL_NAMESPACE": encrypted.namespace},
                "FAIL codec: A payload is encrypted with the key old: add that key to EJECT_CODEC_KEYS",
            ),
            (
                "client",
                {"EJECT_VAULT_URL": file.as_uri()},
                "FAIL settings: EJECT_VAULT_URL cannot be opened: use",
            ),
            (
                "custodian",
                deaf.environment(),
                "FAIL vault: held/: deleting failed: The vault refuses this worker's credentials",
            ),
            (
                "client",
                forgetful.environment(),
                "FAIL vault: it writes over files that it was told only to create: use a store with",
            ),
            (
                "custodian",
                {"EJECT_CUSTODIAN_API_KEY": PLANTED},
                "FAIL credential: Portal answered 401 to 'list clients' (trace ",
            ),
            (
                "custodian",
                {"EJECT_PORTAL_URL": f"http://{NOWHERE}"},
                f"FAIL portal: {NOWHERE} is not there: nobody listens: mend EJECT_PORTAL_URL",
            ),
            (
                "client",
                {"EJECT_PORTAL_URL": f"https://{tls}"},
                f"FAIL portal: {tls} has a certificate that is not trusted (unable to get local issuer",
            ),
            ("client", {"EJECT_ENCLAVE_URL": f"http://{NOWHERE}"}, f"FAIL enclave: {NOWHERE} is not there"),
            (
                "client",
                {"EJECT_ENCLAVE_URL": "https://enclave.invalid"},
                "FAIL enclave: enclave.invalid has a name that nobody knows",
            ),
            (
                "custodian",
                {"EJECT_PROVIDER": "tatum", "EJECT_GATEWAY_URL": f"http://{NOWHERE}"},
                f"FAIL gateway: {NOWHERE} is not there",
            ),
            ("client", {"EJECT_PORTAL_URL": late.url}, "warn clock: this machine's is "),
            (
                "client",
                {"EJECT_CLIENT_IDENTITY": PLANTED},
                "FAIL settings: EJECT_CLIENT_IDENTITY is not an age identity",
            ),
            (
                "custodian",
                {"EJECT_RECEIPT_KEY": PLANTED},
                "FAIL settings: EJECT_RECEIPT_KEY is not an Ed25519",
            ),
            (
                "custodian",
                {"EJECT_NOTIFY_URL": "https://hooks.example", "EJECT_NOTIFY_SECRET": "whsec_"},
                "FAIL settings: EJECT_NOTIFY_SECRET is not a Standard Webhooks secret",
            ),
            (
                "client",
                {"EJECT_NOTIFY_URL": f"http://{PLANTED}"},
                "FAIL settings: EJECT_NOTIFY_URL: must begin with https://",
            ),
            (
                "custodian",
                late.environment() | {"EJECT_PRODUCTION": "true", "EJECT_CLIENT_IDENTITY": PLANTED},
                "FAIL settings: EJECT_CLIENT_IDENTITY is not for the custodian role: production refuses it",
            ),
            (
                "client",
                {"EJECT_METRICS_ADDRESS": f"127.0.0.1:{taken}"},
                f"FAIL metrics address: nothing can listen at 127.0.0.1:{taken}, or something does",
            ),
        ]
        for role, env, expected in rows:
            code, lines = await checked(role, good[role] | env, monkeypatch)
            said = "\n".join(lines)
            assert PLANTED not in said, expected
            named = [line for line in lines if line.startswith(expected)]
            assert len(named) == 1, f"{expected}\n{said}"
            failed = [line for line in lines if line.startswith("FAIL")]
            assert failed == (named if expected.startswith("FAIL") else []), said
            assert code == (2 if expected.startswith("FAIL") else 0), said
        for role, env in good.items():
            code, lines = await checked(role, env, monkeypatch)
            assert (code, [line for line in lines if not line.startswith("ok ")]) == (0, []), lines
    await handle.terminate("the test has seen what it wanted")


async def test_a_check_is_bounded(workerless: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Temporal or a host of Portal's that takes the connection and says nothing holds nobody for ever."""
    monkeypatch.setattr(trying, "WITHIN", 0.4)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        at = f"127.0.0.1:{mute.getsockname()[1]}"
        env = workerless.environment() | {"TEMPORAL_ADDRESS": at, "EJECT_PORTAL_URL": f"http://{at}"}
        async with asyncio.timeout(PATIENCE):
            code, lines = await checked("custodian", env, monkeypatch)
    assert code == 2
    late = [line.partition(": no answer within 0 s: see that it can be reached")[0] for line in lines]
    assert [line for line in late if line.startswith("FAIL")] == ["FAIL temporal", "FAIL portal"]


async def test_as_a_command_it_serves_nobody(workerless: World) -> None:
    """A line for each check on standard output, nothing else, and the exit code 0: as an init container."""
    env = workerless.environment() | {
        "EJECT_CODEC_KEYS": as_setting({"a": KEY}),
        "EJECT_CLIENT_IDENTITY": workerless.environment()["EJECT_CLIENT_IDENTITY"],
    }
    code, out, error = await run("worker.py", "--role", "all", "--check", env=environment(**env))
    assert (code, error) == (0, ""), out
    names = [line.removeprefix("ok   ").partition(":")[0] for line in out.splitlines()]
    page = (ROOT / "docs/operating.md").read_text()
    assert all(f"`{name}`" in page for name in names)
    assert names == [
        *("settings", "temporal", "search attributes", "versions", "codec", "vault", "vault"),
        *("portal", "enclave", "clock", "credential"),
    ]
    # What the client role wrote has a fixed name, which it may not delete; the custodian role's is gone.
    assert workerless.left_in_vault() == ["held/check/client/check.json"]
