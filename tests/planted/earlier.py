"""Backups from before the eject, in each form and by either fetch, with everything that they hold."""

import base64
import json
from pathlib import Path

from nacl.secret import SecretBox

from contracts.failures import Failure
from contracts.stages import End, Stage
from tests.harness.secrets import part_of, share_secrets
from tests.planted.commands import client, started
from tests.planted.scenario import scenario
from tests.planted.scene import DAY, Scene
from tests.test_existing_backup import Backup, backed_up
from workflows.policies import MOST_WINDOWS

CALL = "fetch_shares_as_client"
EXISTING = {"backup": "existing"}
AS_CLIENT = {"backup": "existing", "fetch_as": "client", "backup_method": "PASSWORD"}


def earlier(scene: Scene, form: str, means: str = "app") -> Backup:
    """Give the client a backup, and have all that it holds looked for."""
    backup = backed_up(scene.world, scene.customer, form, means)
    for pair in backup.made["pairs"]:
        name = f"earlier pair {pair['pair_id']}"
        for part, secret in share_secrets(f"{name}, client's share", pair["client_share"]).items():
            scene.keep(part, secret)
        if pair["cipher_text"] is not None:
            scene.keep(f"{name}, cipher text", part_of(pair["cipher_text"]))
    if (key := backup.made["secret_box_key"]) is not None:
        scene.keep("secret box key", key)
    if backup.identity is not None:
        path = scene.folder / "earlier.key"
        backup.identity.save(path)
        scene.keep("earlier identity", path.read_text().splitlines()[-1])
    return backup


async def leaves(scene: Scene, backup: Backup) -> None:
    """From a claimable bundle to the end, by the owner's own means."""
    await scene.reach(Stage.AWAITING_CLAIM)
    answer = await scene.world.claim(scene.customer)
    await scene.collect()
    await scene.world.prove(scene.customer, scene.world.proofs(answer, backup.means))
    await scene.ends(End.EJECTED)


async def handed_over(scene: Scene) -> list[str]:
    """The options with which the device reads the bundle, once it is claimed."""
    await scene.reach(Stage.AWAITING_CLAIM)
    bundle = scene.bundle(await scene.done("claim", *client(scene), "--by", "the owner"))
    await scene.collect()
    return bundle


async def refused_by_the_device(scene: Scene, *words: str) -> None:
    """A command of the device that must say what is wrong."""
    code, _ = await scene.cli(*words, program="device")
    assert code == 1, words[0]


async def proven_by_command_line(scene: Scene, *words: str) -> None:
    """`sign`, `prove`, and the end."""
    proofs = await scene.done("sign", *words, program="device")
    await scene.done("prove", *client(scene), "--file", "-", stdin=proofs)
    await scene.ends(End.EJECTED)


@scenario()
async def an_earlier_backup_of_the_enclaves(scene: Scene) -> None:
    """An earlier identity opens it; before that other files are named as that identity."""
    earlier(scene, "enclave", "age")
    await scene.done(*started(scene, backup="existing"))
    bundle = await handed_over(scene)
    shares = scene.folder / "shares.json"
    shares.write_text(scene.customer.generate_response.get_secret_value())
    await refused_by_the_device(scene, "sign", *bundle)
    for wrong in (shares, Path(bundle[bundle.index("--identity") + 1])):
        await refused_by_the_device(scene, "sign", *bundle, "--backup-identity", str(wrong))
        await refused_by_the_device(scene, "open", *bundle, "--backup", str(wrong))
    await proven_by_command_line(scene, *bundle, "--backup-identity", str(scene.folder / "earlier.key"))


@scenario()
async def an_earlier_backup_of_an_sdks(scene: Scene) -> None:
    """The device writes the cipher text out, the app decrypts it, the device opens; then with wrong files."""
    backup = earlier(scene, "sdk")
    await scene.done(*started(scene, backup="existing"))
    bundle = await handed_over(scene)
    out = scene.folder / "cipher-texts"
    await scene.done("cipher-texts", *bundle, "--out", str(out), program="device")
    await refused_by_the_device(scene, "cipher-texts", *bundle, "--out", str(out))
    sealed, *_ = (path.read_text() for path in sorted(out.iterdir()))
    box = SecretBox(bytes.fromhex(backup.made["secret_box_key"]))
    plain = bytes(box.decrypt(bytes.fromhex(sealed))).decode()
    for number, wrong in enumerate((sealed, plain[:-9], plain.replace("share", "shore"), *_halves(plain))):
        file = scene.folder / f"wrong-{number}"
        file.write_text(wrong)
        await refused_by_the_device(scene, "sign", *bundle, "--backup", str(file))
        await refused_by_the_device(scene, "sign", *bundle, "--backup-identity", str(file))
    right = scene.folder / "plain.json"
    right.write_text(plain)
    keys = str(scene.folder / "keys")
    await scene.done("open", *bundle, "--backup", str(right), "--out", keys, program="device")
    await proven_by_command_line(scene, *bundle, "--backup", str(right))


def _halves(plain: str) -> list[str]:
    """The shares of both curves under each other's name, and as a list of the bytes of one."""
    both = json.loads(plain)
    crossed = {"SECP256K1": both["ED25519"], "ED25519": both["SECP256K1"]}
    return [json.dumps(crossed), json.dumps(list(base64.b64encode(both["ED25519"]["share"].encode())))]


@scenario()
async def an_earlier_backup_of_the_owners_own(scene: Scene) -> None:
    """Portal keeps none of it: the owner names the share of each curve as a file."""
    backup = earlier(scene, "own")
    await scene.done(*started(scene, backup="existing"))
    bundle = await handed_over(scene)
    named = []
    for pair in backup.made["pairs"]:
        file = scene.folder / f"{pair['curve']}.share"
        file.write_text(pair["client_share"])
        named += ["--backup", str(file)]
    await refused_by_the_device(scene, "cipher-texts", *bundle, "--out", str(scene.folder / "none"))
    await refused_by_the_device(scene, "sign", *bundle, *named[:2])
    await proven_by_command_line(scene, *bundle, *named)


@scenario("strict")
async def an_earlier_backup_with_a_strict_credential(scene: Scene) -> None:
    """No signing shares are deposited, only the client's key, and that once Portal has echoed."""
    backup = earlier(scene, "sdk")
    scene.fault("read_cipher_text", 500)
    await scene.start(**EXISTING)
    park = await scene.parked(Failure.DEPOSIT_MISSING)
    await scene.world.deposit_api_key(scene.customer)
    await scene.retried(park)
    await leaves(scene, backup)


@scenario()
async def an_earlier_backup_extended_after_a_purge(scene: Scene) -> None:
    """Both halves are fetched again, though Portal keeps another cipher text at first."""
    backup = earlier(scene, "enclave", "age")
    await scene.start(**EXISTING)
    await scene.reach(Stage.AWAITING_CLAIM)
    await scene.world.claim(scene.customer)
    await scene.forward(DAY * 2)
    await scene.reach(Stage.UNRESOLVED)
    cipher_text = backup.made["pairs"][0]["cipher_text"]
    scene.fault("read_cipher_text", 200, {"cipherText": cipher_text[::-1]})
    await scene.world.extend(scene.customer, DAY)
    await scene.retried(await scene.parked(Failure.CIPHER_TEXT_CHANGED))
    await scene.reach(Stage.AWAITING_CLAIM, times=2)
    answer = await scene.world.claim(scene.customer)
    await scene.collect()
    await scene.world.prove(scene.customer, scene.world.proofs(answer, backup.means))
    await scene.ends(End.EJECTED)


@scenario(quick=True)
async def the_clients_fetch_is_lost(scene: Scene) -> None:
    """Once on its way back; then Portal echoes, and cuts its answer."""
    backup = earlier(scene, "sdk")
    scene.drop(CALL)
    scene.fault(CALL, 503)
    scene.world.sandbox.fault(CALL, "cut", client_id=scene.customer.client_id)
    await scene.start(**AS_CLIENT)
    await scene.forward(DAY / 24)
    await leaves(scene, backup)


@scenario()
async def the_clients_fetch_is_refused(scene: Scene) -> None:
    """An echo with a 400, a 401, and at the call that mints its token; then shares of another form."""
    backup = earlier(scene, "enclave", "age")
    share = backup.made["pairs"][0]["client_share"]
    scene.fault("mint_session", 401)
    scene.fault(CALL, 400)
    scene.fault(CALL, 401)
    scene.fault(CALL, 200, {"data": {"custodianBackupShare": share, "encryptedClientBackupShare": share}})
    scene.fault(CALL, 200, {"data": {"custodianBackupShare": {share: share}}})
    await scene.start(**AS_CLIENT)
    park = await scene.parked(Failure.CREDENTIAL_REJECTED)
    for failure in (
        *(Failure.PORTAL_REFUSED, Failure.CREDENTIAL_REJECTED),
        *(Failure.SHARE_UNREADABLE, Failure.REPLY_UNREADABLE),
    ):
        park = await scene.retried_in_vain(park, failure)
    await scene.retried(park)
    await leaves(scene, backup)


@scenario()
async def the_clients_window_is_spent(scene: Scene) -> None:
    """The window that was just opened reads null, beside an echo."""
    backup = earlier(scene, "own")
    who = scene.customer.client_id
    shown = scene.world.sandbox.client(who)
    shown["wallets"] = [
        wallet | {"ejectableUntil": None, "share": scene.token} for wallet in shown["wallets"]
    ]
    # The check and the opening read it as it is.
    scene.world.sandbox.fault("read_client", "delay", times=2, seconds=0, client_id=who)
    scene.fault("read_client", 200, scene.echo() | shown)
    await scene.start(**AS_CLIENT)
    await scene.retried(await scene.parked(Failure.WINDOW_SPENT))
    await leaves(scene, backup)


@scenario()
async def the_clients_windows_are_used_up(scene: Scene) -> None:
    """One answer after the other is lost, until somebody asks again."""
    backup = earlier(scene, "sdk")
    scene.drop(CALL, times=MOST_WINDOWS)
    await scene.start(**AS_CLIENT)
    await scene.forward(DAY / 24)
    await scene.retried(await scene.parked(Failure.WINDOWS_USED_UP))
    await leaves(scene, backup)


@scenario()
async def cancelled_between_two_windows(scene: Scene) -> None:
    """A share was lost, and the eject ends before another window is opened."""
    earlier(scene, "enclave", "age")
    who = scene.customer.client_id
    scene.drop(CALL)
    # Both wallets' windows are opened, and the first one's cannot be opened again.
    scene.world.sandbox.fault("enable_eject", "delay", times=2, seconds=0, client_id=who)
    scene.fault("enable_eject", 503, times=3)
    await scene.start(**AS_CLIENT)
    await scene.troubled("enable_eject")
    await scene.cancelled()
