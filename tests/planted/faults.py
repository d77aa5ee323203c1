"""What passes by itself at the calls that carry secrets: echoes, lost and cut replies, odd headers."""

import json
from typing import Any

from contracts.failures import Failure
from contracts.stages import End, Stage
from tests.planted.scenario import scenario
from tests.planted.scene import Scene


@scenario(quick=True)
async def the_enclave_echoes_what_it_was_sent(scene: Scene) -> None:
    """Signing shares and the credential stand in the bodies of errors, flat and nested."""
    echo = scene.echo()
    scene.fault("back_up", 500)
    scene.fault("back_up", 500, {"error": {"id": "INTERNAL_ERROR", "message": json.dumps(echo)}})
    scene.fault("back_up", 503, json.dumps(echo))
    await scene.start()
    await scene.troubled("back_up")
    await scene.reach(Stage.AWAITING_CLAIM)
    await scene.leave()


@scenario()
async def every_call_echoes_once(scene: Scene) -> None:
    """Whatever call it is, the first answer is an error that repeats every secret."""
    for call in (
        *("read_client", "mint_session", "enable_eject", "fetch_shares", "read_client_as_itself"),
        *("store_cipher_text", "confirm_backup", "complete_client", "back_up"),
    ):
        scene.fault(call, 502)
    await scene.claimable()
    await scene.leave()


@scenario()
async def the_answer_of_a_backup_is_lost(scene: Scene) -> None:
    """Pairs were made whose shares nobody has."""
    scene.drop("back_up", times=2)
    await scene.start()
    await scene.troubled("back_up")
    await scene.reach(Stage.AWAITING_CLAIM)
    await scene.leave()


@scenario()
async def the_custodian_half_is_lost_on_its_way(scene: Scene) -> None:
    """The answer to the fetch never arrives."""
    scene.drop("fetch_shares", times=2)
    await scene.claimable()
    await scene.leave()


@scenario()
async def answers_with_shares_are_cut(scene: Scene) -> None:
    """Half of an answer, which is no JSON."""
    shares = scene.customer.generate_response.get_secret_value()
    scene.fault("back_up", 200, shares[: len(shares) * 2 // 3], content_type="application/json")
    custodian = json.dumps({"custodianBackupShare": shares})
    scene.fault("fetch_shares", 200, custodian[: len(custodian) // 2], content_type="application/json")
    await scene.claimable()
    await scene.leave()


@scenario()
async def the_answer_to_completion_is_lost(scene: Scene) -> None:
    """Portal has its mark, and the next attempt reads it."""
    await scene.claimable()
    scene.drop("complete_client")
    await scene.leave()


@scenario()
async def completion_fails_with_an_echo(scene: Scene) -> None:
    """It is owed, and goes on."""
    scene.fault("complete_client", 500, times=2)
    await scene.claimable()
    await scene.world.prove(scene.customer, await scene.claim())
    await scene.troubled("complete")
    await scene.ends(End.EJECTED)


@scenario()
async def headers_hold_secrets(scene: Scene) -> None:
    """`Retry-After` and others are whatever they want."""
    token = scene.token
    held = {"Retry-After": token, "X-Portal-Trace-Id": token, "WWW-Authenticate": f"Bearer {token}"}
    scene.fault("fetch_shares", 429, headers=held)
    scene.fault("back_up", 503, headers=held)
    await scene.claimable()
    await scene.leave()


@scenario()
async def the_close_fails_with_an_echo(scene: Scene) -> None:
    """The window is shrunk in the end."""
    await scene.claimable()
    scene.fault("read_client", 500)
    scene.fault("enable_eject", 500)
    await scene.cancelled()


@scenario()
async def the_receiver_of_notices_fails(scene: Scene) -> None:
    """What could not be told is told again."""
    scene.place.receiver.answers += [500, 503]
    await scene.claimable()
    await scene.cancelled()


async def parks_and_leaves(scene: Scene, failure: Failure) -> None:
    """A fault of before the claim parks; retried, the eject goes on as if nothing had been."""
    await scene.start()
    await scene.retried(await scene.parked(failure))
    await scene.reach(Stage.AWAITING_CLAIM)
    await scene.cancelled()


@scenario(quick=True)
async def a_redirect_holds_a_token(scene: Scene) -> None:
    """It is not followed, and its place is not told."""
    token = scene.token
    where = {"Location": f"{scene.world.sandbox.url}/api/v3/clients/me?session={token}"}
    scene.fault("fetch_shares", 302, headers=where)
    await parks_and_leaves(scene, Failure.PORTAL_REFUSED)


@scenario()
async def a_compressed_answer(scene: Scene) -> None:
    """Unasked, and so not looked into."""
    scene.fault("fetch_shares", 200, headers={"Content-Encoding": "gzip"})
    await parks_and_leaves(scene, Failure.REPLY_UNREADABLE)


@scenario()
async def a_share_of_another_type(scene: Scene) -> None:
    """An object and a list stand where a share should."""
    shares = scene.customer.generate_response.get_secret_value()
    scene.fault("fetch_shares", 200, {"custodianBackupShare": {"share": shares, shares: [shares]}})
    await parks_and_leaves(scene, Failure.REPLY_UNREADABLE)


@scenario()
async def a_token_of_another_type(scene: Scene) -> None:
    """An object stands where a session token should."""
    scene.fault("mint_session", 200, {"clientSessionToken": {"token": scene.token}, **scene.echo()})
    await parks_and_leaves(scene, Failure.REPLY_UNREADABLE)


@scenario()
async def a_token_with_a_line_break(scene: Scene) -> None:
    """No header takes it."""
    token = scene.token
    scene.fault("mint_session", 200, {"clientSessionToken": f"{token}\r\nX: {token}"})
    await parks_and_leaves(scene, Failure.CREDENTIAL_REJECTED)


def made(scene: Scene) -> dict[str, Any]:
    """The signing shares as JSON, which have the form of backup shares but for the pair."""
    shares: dict[str, Any] = json.loads(scene.customer.generate_response.get_secret_value())
    return shares


@scenario(quick=True)
async def a_share_that_is_nearly_right(scene: Scene) -> None:
    """Cut in its last quarter, then with a sign that base64 does not know."""
    shares = made(scene)
    text = shares["SECP256K1"]["share"]
    shares["SECP256K1"]["share"] = text[: len(text) * 3 // 4]
    scene.fault("back_up", 200, shares)
    shares["SECP256K1"]["share"] = text[:-9] + "!" + text[-8:]
    scene.fault("back_up", 200, shares)
    await scene.start()
    park = await scene.parked(Failure.SHARE_UNREADABLE)
    await scene.retried(await scene.retried_in_vain(park, Failure.SHARE_UNREADABLE))
    await scene.reach(Stage.AWAITING_CLAIM)
    await scene.leave()


@scenario()
async def a_share_in_the_place_of_an_id(scene: Scene) -> None:
    """The pair's id is the share, then a token that has the form of an id."""
    token = scene.token
    shares = made(scene)
    shares["SECP256K1"]["id"] = shares["SECP256K1"]["share"]
    scene.fault("back_up", 200, shares)
    shares["SECP256K1"]["id"] = token
    scene.fault("back_up", 200, shares)
    await scene.start()
    park = await scene.parked(Failure.REPLY_UNREADABLE)
    await scene.retried(await scene.retried_in_vain(park, Failure.PAIR_MISMATCH))
    await scene.reach(Stage.AWAITING_CLAIM)
    await scene.cancelled()


@scenario()
async def shares_in_fields_that_nobody_reads(scene: Scene) -> None:
    """The client is shown with shares beside and inside what is read."""
    client = scene.world.sandbox.client(scene.customer.client_id)
    shares = scene.customer.generate_response.get_secret_value()
    client |= scene.echo() | {"id": scene.customer.client_id}
    client["custodian"] = {"apiKey": scene.world.sandbox.custodian_key.get_secret_value()}
    client["wallets"][0] |= {"share": shares, shares[:60]: shares}
    client["metadata"]["namespaces"] |= {"solana2": {"curve": "ED25519", "share": shares}}
    client["environment"]["apiKey"] = scene.customer.api_key.get_secret_value()
    scene.fault("read_client", 200, client)
    await scene.claimable()
    await scene.cancelled()


@scenario()
async def a_share_in_the_place_of_an_address(scene: Scene) -> None:
    """A published address, and the name of its chain, are a share."""
    client = scene.world.sandbox.client(scene.customer.client_id)
    share, spaces = made(scene)["ED25519"]["share"], client["metadata"]["namespaces"]
    for wrong in ({"eip155": spaces["eip155"] | {"address": share}}, {share: spaces["eip155"]}):
        scene.fault("read_client", 200, client | {"metadata": {"namespaces": spaces | wrong}})
    await scene.start()
    park = await scene.parked(Failure.REPLY_UNREADABLE)
    await scene.retried(await scene.retried_in_vain(park, Failure.REPLY_UNREADABLE))
    await scene.reach(Stage.AWAITING_CLAIM)
    await scene.cancelled()
