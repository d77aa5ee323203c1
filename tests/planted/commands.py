"""What people type: every command line, right and wrong, with secrets in its input."""

import asyncio
import json
import os
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowUpdateFailedError

import starter
from contracts.failures import Failure
from contracts.names import Role
from contracts.owner import Prove
from contracts.sealing import Half
from contracts.stages import End, Stage
from tests.harness.secrets import ages
from tests.planted.place import APPROVERS
from tests.planted.scene import DAY, Scene, scenario


def client(scene: Scene) -> tuple[str, str]:
    """Whom a command is about."""
    return "--client", scene.customer.client_id


def last_line(path: str) -> str:
    """Where an identity file has its identity."""
    return Path(path).read_text().splitlines()[-1]


def started(scene: Scene, **changes: str) -> list[str]:
    """A start's command line."""
    options = {
        "client": scene.customer.client_id,
        "recipient": scene.world.owner.identity.recipient,
        "window": "P1D",
        "requested-by": "ada",
        "reason": "moves to self custody",
    } | changes
    return ["start", *(part for name, value in options.items() for part in (f"--{name}", value))]


@scenario(quick=True)
async def left_by_command_line(scene: Scene) -> None:
    """Deposit, start, claim, the device, a wrong proof, the right one, status."""
    shares = scene.customer.generate_response.get_secret_value()
    await scene.done("deposit", *client(scene), "--file", "-", stdin=shares)
    await scene.done(*started(scene))
    await scene.reach(Stage.AWAITING_CLAIM)
    claim = await scene.done("claim", *client(scene), "--by", "the owner")
    await scene.collect()
    bundle = scene.bundle(claim)
    proofs = await scene.done("sign", *bundle, program="device")
    swapped = json.loads(proofs)
    first, second = swapped["proofs"]
    first["opened"], second["opened"] = second["opened"], first["opened"]
    code, _ = await scene.cli("prove", *client(scene), "--file", "-", stdin=json.dumps(swapped))
    assert code == 1
    await scene.done("prove", *client(scene), "--file", "-", stdin=proofs)
    await scene.ends(End.EJECTED)
    await scene.done("status", *client(scene))


@scenario()
async def commanded_by_command_line(scene: Scene) -> None:
    """Retry, extend, claim, resolve."""
    scene.fault("back_up", 400)
    await scene.start()
    await scene.parked(Failure.PORTAL_REFUSED)
    who = ("--by", "ops", "--why", "mended")
    await scene.done("retry", *client(scene), "--park", "1", *who)
    await scene.reach(Stage.AWAITING_CLAIM)
    await scene.done("extend", *client(scene), "--window", "P2D", *who)
    await scene.done("claim", *client(scene), "--by", "the owner")
    await scene.done("resolve", "close", *client(scene), *who)
    await scene.ends(End.CLOSED)


@scenario()
async def watched_while_steps_are_retried(scene: Scene) -> None:
    """Somebody watches a park, and a step that is tried again over echoes."""
    scene.fault("back_up", 400)
    scene.fault("fetch_shares", 500, times=100)
    await scene.start()
    park = await scene.parked(Failure.PORTAL_REFUSED)
    watching = asyncio.create_task(scene.cli("status", *client(scene), "--watch"))
    await scene.retried(park)
    await scene.troubled("fetch_shares")
    await scene.cancelled()
    assert (await watching)[0] == 0


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
async def shown_by_command_line(scene: Scene) -> None:
    """A deposit from a file, and whatever only shows things, while a bundle lies there and is opened."""
    body = scene.folder / "generate.json"
    body.write_text(scene.customer.generate_response.get_secret_value())
    await scene.done("deposit", *client(scene), "--file", str(body))
    await scene.done(*started(scene))
    await scene.reach(Stage.AWAITING_CLAIM)
    bundle = scene.bundle(await scene.done("claim", *client(scene), "--by", "the owner"))
    await scene.collect()
    await scene.done("open", *bundle, "--out", str(scene.folder / "keys"), program="device")
    for words in (("status", *client(scene)), ("list", "--json"), ("list",), ("sweep", "--dry-run")):
        await scene.done(*words)
    await scene.world.resolve(scene.customer)
    await scene.ends(End.CLOSED)


@scenario(quick=True)
async def approved_with_private_keys(scene: Scene) -> None:
    """Signed by two; before that somebody names a file with shares as the key."""
    await scene.start(approvals=2)
    await scene.reach(Stage.AWAITING_APPROVAL)
    digest = (await scene.world.told(scene.customer)).request_digest
    approve = ("approve", *client(scene), "--digest", digest, "--why", "known")
    wrong = scene.folder / "shares.pem"
    wrong.write_text(scene.customer.generate_response.get_secret_value())
    code, _ = await scene.cli(*approve, "--by", "grace", "--key", str(wrong))
    assert code == 1
    for name in APPROVERS:
        await scene.done(*approve, "--by", name, "--key", str(scene.place.folder / f"{name}.pem"))
    await scene.reach(Stage.AWAITING_CLAIM)
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
    ):
        code, _ = await scene.cli("--role", "all", program="worker.py", **settings)
        assert code == 2, settings
    code, _ = await scene.cli("--role", secret, program="worker.py")
    assert code == 2
    body = ("deposit", *client(scene), "--file", "-")
    code, _ = await scene.cli(*body, stdin=secret, EJECT_CLIENT_RECIPIENT=identity)
    assert code != 0
    shares = scene.customer.generate_response.get_secret_value()
    code, _ = await scene.cli(*body, stdin=shares, EJECT_CLIENT_RECIPIENT=identity)
    assert code != 0


def copied_as_old(held: Path, vault: Path) -> None:
    """An eject's files in a vault of their own, two hours old: in the other one ejects are at work."""
    shutil.copytree(held, vault / "held" / held.name)
    for path in vault.rglob("*.json"):
        then = path.stat().st_mtime - 7200
        os.utime(path, (then, then))


@scenario()
async def swept_after_it_vanished(scene: Scene) -> None:
    """Terminated with its files in the vault, which `sweep` names and removes."""
    await scene.claimable()
    eject = (await scene.world.told(scene.customer)).eject_id
    await scene.handle.terminate("the scenario's")
    vault = scene.folder / "vault"
    copied_as_old(scene.world.vault_folder / "held" / eject, vault)
    assert eject in await scene.done("sweep", EJECT_VAULT_URL=vault.as_uri())


@scenario()
async def a_late_command_after_the_close(scene: Scene) -> None:
    """What comes when an eject is over is refused by command line."""
    await scene.claimable()
    proofs = await scene.claim()
    await scene.forward(DAY + timedelta(minutes=1))
    await scene.reach(Stage.UNRESOLVED)
    body = scene.folder / "proofs.json"
    body.write_text(proofs.model_dump_json())
    await scene.done("prove", *client(scene), "--file", str(body))
    await scene.ends(End.EJECTED)
    code, _ = await scene.cli("prove", *client(scene), "--file", str(body))
    assert code == 1
