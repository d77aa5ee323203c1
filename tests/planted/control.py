"""The control: secrets of its own in every channel, each by the road that a leak would take."""

import asyncio
import base64
import json
import secrets
from contextlib import suppress

import httpx
from temporalio.common import SearchAttributePair, TypedSearchAttributes

import starter
from contracts.names import TaskQueue
from contracts.stages import End
from tests.harness.portal import Customer
from tests.planted.known import CONTROL
from tests.planted.place import Place
from tests.planted.scene import Scene
from workflows import attributes

ROOM = "controls"
# The channel, the secret that was put there, and in which encoding.
EXPECTED = {
    "the database": ("input", "base64 at 1"),
    "the histories": ("input", "base64 at 1"),
    "the search attributes": ("attribute", "hex in capitals"),
    "the memos": ("memo", "short list of decimals"),
    "the descriptions": ("memo", "short list of decimals"),
    "the failures": ("client's share", "base64 at 2"),
    "the workers' logs": ("client's share", "hex, big end first"),
    "the metrics": ("client's share", "raw"),
    "the spans": ("client's share", "base64 at 2"),
    "the vault": ("client's share", "list of decimals"),
    "the notices": ("client id", "hex"),
    "the command line": ("client id", "hex"),
    "the sandbox's log": ("address", "base64 at 0"),
    "the server's log": ("client id", "hex"),
}


async def put_everywhere(place: Place) -> Scene:
    """Leak in the control's room; the scene with what was leaked, beside what Portal knows of its client."""
    room = place.rooms[ROOM]
    world = room.world
    folder = place.folder / "scenes" / ROOM
    folder.mkdir(parents=True)
    scene = Scene(ROOM, place, room, world, folder, world.sandbox.seed())
    async with place.worker(room, "-m", "tests.harness.odd_worker", "leaks_everywhere"):
        await scene.start()
        await scene.troubled("back_up")
        await _as_a_client_id(scene, _new(scene, "client id"))
        await _in_a_plain_start(scene)
        await _in_an_address(scene)
        place.lying += [path.read_bytes() for path in world.vault_folder.rglob("leak.txt")]
        await scene.handle.terminate("the control is over")
    return scene


def _new(scene: Scene, name: str) -> str:
    secret = scene.secrets[CONTROL + name] = secrets.token_urlsafe(24)
    return secret


async def _as_a_client_id(scene: Scene, secret: str) -> None:
    """An eject of a client that is called so: refused, and told to people and the receiver."""
    named = Scene(ROOM, scene.place, scene.room, scene.world, scene.folder, _called(scene.customer, secret))
    receiver = scene.place.receiver
    await starter.start(scene.world.client, scene.world.request(named.customer))
    await named.ends(End.REFUSED)
    await named.done("status", "--client", named.customer.client_id)
    async with asyncio.timeout(60), receiver.changed:
        await receiver.changed.wait_for(lambda: named.customer.client_id in "".join(receiver.bodies))


def _called(customer: Customer, secret: str) -> Customer:
    return Customer(secret.encode().hex(), customer.api_key, customer.generate_response)


async def _in_a_plain_start(scene: Scene) -> None:
    """What any other program could send: it fails at once, and Temporal has it."""
    client = scene.world.client
    sent = base64.b64encode(f"1{_new(scene, 'input')}".encode()).decode()
    noted = json.dumps(list(_new(scene, "memo").encode()))
    shown = _new(scene, "attribute").encode().hex().upper()
    handle = await client.start_workflow(
        "Eject",
        {"token": sent},
        id="eject-control-plain",
        task_queue=TaskQueue.EJECT,
        memo={"note": json.loads(noted)},
        search_attributes=TypedSearchAttributes([SearchAttributePair(attributes.CLIENT, shown)]),
    )
    with suppress(Exception):  # it fails, in which words does not matter here
        await handle.result()
    scene.place.workflows.add((ROOM, handle.id))


async def _in_an_address(scene: Scene) -> None:
    """Of a request, which stands in the sandbox's log."""
    token = base64.urlsafe_b64encode(_new(scene, "address").encode()).decode().rstrip("=")
    async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
        await http.get(f"{scene.world.sandbox.url}/_sandbox/clock?token={token}")
