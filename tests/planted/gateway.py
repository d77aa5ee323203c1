"""Through Tatum's gateway, whose key Tatum's own errors quote; and completion wallet by wallet."""

import secrets

from contracts.failures import Failure
from contracts.stages import End, Stage
from tests.planted.earlier import AS_CLIENT, earlier, leaves
from tests.planted.scenario import scenario
from tests.planted.scene import Scene

ROOM = "tatum"
_LIMIT = "You have reached the limit of 10000 credits with your free plan. Upgrade your plan."


def key_of(scene: Scene) -> str:
    """The custodian's key at Tatum."""
    return scene.world.sandbox.gateway_key.get_secret_value()


def quoting(scene: Scene, code: str, text: str, status: int) -> dict[str, object]:
    """A body of Tatum's, which quotes the key that was sent."""
    message = f"{text} (subscription '{key_of(scene)}')"
    return {"statusCode": status, "errorCode": code, "message": message, key_of(scene): scene.echo()}


@scenario(ROOM, quick=True)
async def through_the_gateway(scene: Scene) -> None:
    """The key is refused in words that quote it, then there are no credits; the rest is without trouble."""
    scene.fault("read_client", 401, quoting(scene, "subscription.invalid", "Unable to find it", 401))
    scene.fault("enable_eject", 403, quoting(scene, "credits.limit.reached", _LIMIT, 403))
    await scene.start()
    await scene.retried(await scene.parked(Failure.CREDENTIAL_REJECTED))
    await scene.reach(Stage.AWAITING_CLAIM)
    await scene.leave()


@scenario(None)
async def the_gateway_quotes_a_wrong_key(scene: Scene) -> None:
    """The worker was given another secret for its key, and Tatum answers with it."""
    wrong = scene.keep("wrong gateway key", secrets.token_urlsafe(32))
    right = scene.room.env["EJECT_CUSTODIAN_API_KEY"]
    scene.room.env["EJECT_CUSTODIAN_API_KEY"] = wrong
    async with scene.place.worker(scene.room):
        await scene.start()
        park = await scene.parked(Failure.CREDENTIAL_REJECTED)
    scene.room.env["EJECT_CUSTODIAN_API_KEY"] = right
    async with scene.place.worker(scene.room):
        await scene.retried(park)
        await scene.reach(Stage.AWAITING_CLAIM)
        await scene.leave()


@scenario(ROOM)
async def credits_are_used_up(scene: Scene) -> None:
    """As JSON and as prose in braces, each with the key, at every call of the custodian's."""
    body = quoting(scene, "credits.limit.reached", _LIMIT, 403)
    for call in ("read_client", "mint_session", "enable_eject", "fetch_shares"):
        scene.fault(call, 403, body)
        scene.fault(call, 403, f"{{\n{_LIMIT} Your key is {key_of(scene)}\n}}")
    await scene.start()
    await scene.troubled("check")
    await scene.reach(Stage.AWAITING_CLAIM)
    await scene.leave()


@scenario(ROOM)
async def the_gateway_refuses(scene: Scene) -> None:
    """A permission is missing, a form is wrong, a place is unknown: final, and all quote the key."""
    scene.fault("enable_eject", 403, quoting(scene, "permission.missing", "No permission", 403))
    scene.fault("enable_eject", 422, quoting(scene, "validation.failed", "Request validation failed", 422))
    scene.fault("fetch_shares", 404, quoting(scene, "not.found", "Not found", 404))
    await scene.start()
    park = await scene.parked(Failure.CREDENTIAL_REJECTED)
    park = await scene.retried_in_vain(park, Failure.PORTAL_REFUSED)
    await scene.retried(park)
    await scene.retried(await scene.parked(Failure.NOT_FOUND, times=3))
    await scene.reach(Stage.AWAITING_CLAIM)
    await scene.cancelled()


@scenario(ROOM)
async def the_clients_fetch_behind_the_gateway(scene: Scene) -> None:
    """The token is minted with Tatum's key, the share fetched from Portal."""
    backup = earlier(scene, "sdk")
    scene.fault("mint_session", 429, quoting(scene, "too.many", "Too many requests", 429))
    scene.drop("fetch_shares_as_client")
    await scene.start(**AS_CLIENT)
    await leaves(scene, backup)


@scenario(ROOM)
async def the_answer_to_a_wallets_completion_is_lost(scene: Scene) -> None:
    """Portal has its mark; before that it echoes."""
    await scene.claimable()
    scene.fault("complete_wallet", 500)
    scene.drop("complete_wallet")
    await scene.leave()


@scenario(ROOM)
async def a_wallets_completion_is_refused(scene: Scene) -> None:
    """An echo with a 400, and the client has no mark: it parks, and is owed."""
    await scene.claimable()
    scene.fault("complete_wallet", 400)
    await scene.world.prove(scene.customer, await scene.claim())
    await scene.retried(await scene.parked(Failure.PORTAL_REFUSED))
    await scene.ends(End.EJECTED)
