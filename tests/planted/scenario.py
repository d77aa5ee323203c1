"""The table of scenarios, which the modules beside this fill, and how one of them is played."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from tests.harness.secrets import share_secrets
from tests.harness.world import Owner
from tests.planted.place import Place
from tests.planted.scene import Scene


@dataclass(frozen=True)
class Scenario:
    """A way an eject can go; `quick` ones are the spread of the default suite.

    `room` names the worker that serves it; where it is the scenario's own name, it brings its own workers.
    """

    name: str
    play: Callable[[Scene], Awaitable[None]]
    room: str
    quick: bool


SCENARIOS: dict[str, Scenario] = {}
Play = Callable[[Scene], Awaitable[None]]


def scenario(room: str | None = "simple", *, quick: bool = False) -> Callable[[Play], Play]:
    """Put a function into the table; without a room it has one of its own, which nobody serves."""

    def put(play: Play) -> Play:
        name = getattr(play, "__name__")  # noqa: B009 (a callable need not have one)
        assert name not in SCENARIOS, name
        SCENARIOS[name] = Scenario(name, play, room or name.replace("_", "-"), quick)
        return play

    return put


async def play(chosen: Scenario, place: Place) -> Scene:
    """Play a scenario in its room; what it kept."""
    room = place.rooms[chosen.room]
    folder = place.folder / "scenes" / chosen.name
    folder.mkdir(parents=True)
    world = replace(room.world, owner=Owner(folder / "owner"))
    customer = world.sandbox.seed()
    scene = Scene(chosen.name, place, room, world, folder, customer)
    scene.keep("client key", customer.api_key.get_secret_value())
    identity = folder / "identity"
    world.owner.identity.save(identity)
    scene.keep("owner's identity", identity.read_text().splitlines()[-1])
    for curve, made in json.loads(customer.generate_response.get_secret_value()).items():
        for part, secret in share_secrets(f"signing share {curve}", made["share"]).items():
            scene.keep(part, secret)
    try:
        await chosen.play(scene)
    except BaseException as error:
        error.add_note(f"in the scenario {chosen.name}")
        raise
    return scene
