"""A client with a backup from before, a request that has the client itself fetch, and what must hold then."""

from dataclasses import replace
from typing import Any

from contracts.providers import Completion
from device.backups import OwnersBackup
from device.identity import Identity
from tests.harness.portal import Customer
from tests.harness.world import World

FETCH = "fetch_shares_as_client"
EXISTING: dict[str, Any] = {"backup": "existing"}
AS_CLIENT: dict[str, Any] = EXISTING | {"fetch_as": "client", "backup_method": "PASSKEY"}


def backed_up_before(world: World, customer: Customer) -> OwnersBackup:
    """Give a client a backup that only its owner opens, and answer with what."""
    earlier = Identity.generate()
    world.sandbox.add_backup(customer.client_id, "enclave", recipient=earlier.recipient)
    return OwnersBackup(identities=(earlier,))


def by_wallet(world: World) -> World:
    """The same world, completing wallet by wallet."""
    settings = world.settings.model_copy(update={"completion": Completion.WALLET})
    return replace(world, settings=settings)


def once_in_each_window(world: World, customer: Customer) -> None:
    """Between two reads of one wallet, its window was opened again."""
    opened: set[str] = set()
    for line in world.sandbox.journal(client_id=customer.client_id):
        if line["effect"] == "window_set":
            opened.add(line["wallet_id"])
        if line["call"] == FETCH:
            assert line["wallet_id"] in opened, "a window was read twice"
            opened.remove(line["wallet_id"])
