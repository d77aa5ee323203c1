"""What people type: every command line, right and wrong, with secrets in its input."""

import asyncio
import json
import os
import shutil
from datetime import timedelta
from pathlib import Path

from contracts.drift import Watch
from contracts.failures import Failure
from contracts.names import TaskQueue
from contracts.stages import End, Stage
from tests.harness.temporal import skip_to_the_end
from tests.planted.place import APPROVERS
from tests.planted.scenario import scenario
from tests.planted.scene import DAY, Scene
from workflows.drift import DriftWatch


def client(scene: Scene) -> tuple[str, str]:
    """Whom a command is about."""
    return "--client", scene.customer.client_id


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
    for words in (
        ("status", *client(scene)),
        ("list", "--json"),
        ("list",),
        ("sweep", "--dry-run"),
        ("reconcile",),
    ):
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


@scenario()
async def watched_for_drift(scene: Scene) -> None:
    """A look at all clients while one can claim, and others did what no eject explains."""
    await scene.claimable()
    client = scene.world.client
    look = await client.start_workflow(
        DriftWatch.run,
        Watch(since=scene.world.sandbox.now() - DAY),
        id=f"drift-watch-{scene.customer.client_id}",
        task_queue=TaskQueue.EJECT,
    )
    await skip_to_the_end(client, look)
    assert (await look.result()).seen > 0
    scene.place.workflows.add((client.namespace, look.id))
    await scene.cancelled()
