"""Secrets where they do not belong: in words, in files, in proofs, in settings."""

import json
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowUpdateFailedError

import starter
from contracts.names import Role
from contracts.owner import Prove
from contracts.sealing import Half
from contracts.stages import End
from tests.harness.secrets import ages
from tests.planted.commands import client, started
from tests.planted.scenario import scenario
from tests.planted.scene import Scene


def last_line(path: str) -> str:
    """Where an identity file has its identity."""
    return Path(path).read_text().splitlines()[-1]


def looks_secret(scene: Scene) -> tuple[str, str]:
    """A token, and a part of a share."""
    shares = json.loads(scene.customer.generate_response.get_secret_value())
    return scene.token, shares["ED25519"]["share"][100:190]


@scenario()
async def words_that_look_like_secrets(scene: Scene) -> None:
    """Refused by each command before they are sent."""
    await scene.claimable()
    token, number = looks_secret(scene)
    for words in (
        started(scene, reason=token),
        ["cancel", *client(scene), "--by", "ops", "--why", f"the token {token} was wrong"],
        ["extend", *client(scene), "--window", "P2D", "--by", token, "--why", "more"],
        ["claim", *client(scene), "--by", number],
        ["retry", *client(scene), "--park", "1", "--by", "ops", "--why", token],
        ["status", "--client", number],
        [
            "start",
            "--client",
            "c",
            "--recipient",
            token,
            "--window",
            token,
            "--requested-by",
            "a",
            "--reason",
            "b",
        ],
    ):
        code, _ = await scene.cli(*words)
        assert code == 2, words[0]
    await scene.cancelled()


@scenario(quick=True)
async def words_that_are_sent_past_starter(scene: Scene) -> None:
    """The eject itself refuses them, before they enter its history."""
    await scene.claimable()
    token, number = looks_secret(scene)
    raw: dict[str, dict[str, Any]] = {
        "cancel": {"by": "ops", "why": token},
        "extend": {"window": "P2D", "by": number, "why": "more"},
        "claim": {"claimed_by": token},
        "prove": {"proofs": [{"wallet": token, "bundle": token, "opened": {}, "signature": token}]},
        "retry": {"park": 1, "by": "ops", "why": "mended", "token": token},
    }
    for name, command in raw.items():
        with pytest.raises(WorkflowUpdateFailedError):
            await scene.world.client.get_workflow_handle(scene.handle.id).execute_update(name, command)
    await scene.cancelled()


@scenario()
async def files_that_hold_secrets(scene: Scene) -> None:
    """Each command that reads a file is given one with shares, or a token, that is not what it wants."""
    await scene.claimable()
    shares = scene.customer.generate_response.get_secret_value()
    token = scene.token
    claim = await scene.done("claim", *client(scene), "--by", "the owner")
    bundle = scene.bundle(claim)
    body = scene.folder / "generate.json"
    body.write_text(shares)
    nobody = str(scene.folder / "nobody.key")
    await scene.done("keygen", "--out", nobody, program="device")
    scene.keep("another identity", last_line(nobody))
    for text in (shares, token, json.dumps({"proofs": shares}), json.dumps({"proofs": [{token: shares}]})):
        code, _ = await scene.cli("prove", *client(scene), "--file", "-", stdin=text)
        assert code == 2
    for text in (token, shares[:-4], json.dumps({"SECP256K1": {"share": token, "id": token}})):
        code, _ = await scene.cli("deposit", *client(scene), "--file", "-", stdin=text)
        assert code == 1
    for option, path in (("--identity", str(body)), ("--identity", nobody), ("--claim", str(body))):
        words = list(bundle)
        words[words.index(option) + 1] = path
        code, _ = await scene.cli("sign", *words, program="device")
        assert code == 1
    files = scene.folder / "files"
    for number, file in enumerate(sorted(files.rglob("*.json"))):
        file.write_text(shares if number % 2 else file.read_text().replace("A", "B", 9))
    code, _ = await scene.cli("open", *bundle, "--out", str(scene.folder / "keys"), program="device")
    assert code == 1
    await scene.world.resolve(scene.customer)
    await scene.ends(End.CLOSED)


def halves(scene: Scene) -> dict[Role, str]:
    """The random bytes of the first wallet's halves, as its owner opened them."""
    opened = {}
    for age in ages(scene.world.owner.folder):
        half = Half.model_validate_json(scene.world.owner.identity.open(age) or b"")
        if half.wallet == scene.wallets[0]:
            opened[half.role] = half.nonce
    return opened


@scenario(quick=True)
async def proofs_that_are_wrong(scene: Scene) -> None:
    """Another's signature; and a device that sends the key, or the random bytes, themselves."""
    await scene.claimable()
    proofs = await scene.claim()
    answer = await scene.world.claim(scene.customer)
    keys = [wallet.text for wallet in scene.world.rebuild(answer)]
    first, second = proofs.proofs
    nonces = halves(scene)
    for wrong in (
        first.model_copy(update={"signature": second.signature}),
        first.model_copy(update={"opened": nonces}),
        first.model_copy(update={"opened": dict.fromkeys(nonces, keys[0])}),
        first.model_copy(update={"bundle": keys[0]}),
    ):
        with pytest.raises(starter.EjectError):
            await scene.world.prove(scene.customer, Prove(proofs=(wrong,)))
    await scene.world.prove(scene.customer, proofs)
    await scene.ends(End.EJECTED)


@scenario()
async def settings_that_are_wrong(scene: Scene) -> None:
    """A secret where another setting's value should be: a worker and `starter` refuse, and repeat none."""
    secret = scene.world.sandbox.custodian_key.get_secret_value()
    identity = scene.room.env["EJECT_CLIENT_IDENTITY"].splitlines()[-1]
    for settings in (
        {"EJECT_CLIENT_IDENTITY": secret},
        {"EJECT_CLIENT_IDENTITY": identity[:-1]},
        {"EJECT_NOTIFY_SECRET": secret},
        {"EJECT_VAULT_URL": f"s3://user:{secret}@bucket/x"},
        {"EJECT_VAULT_URL": secret},
        {"EJECT_PORTAL_URL": f"https://user:{secret}@host/api"},
        {"EJECT_ENCLAVE_URL": secret},
        {"EJECT_APPROVERS": json.dumps({"grace": secret})},
        {"EJECT_APPROVERS": secret},
        {"EJECT_MINIMUM_COOLING_OFF": secret},
        {"EJECT_CLIENT_CREDENTIAL": secret},
        {"EJECT_LOG_LEVEL": secret},
        {"EJECT_METRICS_ADDRESS": secret},
        {"EJECT_SECRETS_DIR": secret},
        {"TEMPORAL_CONFIG_FILE": secret},
        {"TEMPORAL_PROFILE": secret},
        {"TEMPORAL_TLS_CLIENT_KEY_PATH": identity},
    ):
        code, _ = await scene.cli("--role", "all", program="worker.py", **settings)
        assert code == 2, list(settings)
    body = ("deposit", *client(scene), "--file", "-")
    code, _ = await scene.cli(*body, stdin=secret, EJECT_CLIENT_RECIPIENT=identity)
    assert code != 0
    shares = scene.customer.generate_response.get_secret_value()
    code, _ = await scene.cli(*body, stdin=shares, EJECT_CLIENT_RECIPIENT=identity)
    assert code != 0
