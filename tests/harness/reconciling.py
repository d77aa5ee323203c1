"""What reconcile says, without a process of its own."""

from datetime import UTC, datetime

from temporalio.client import Client

from custody.signing import Trust
from ejects.advice import Advice
from ejects.reconciling import advise
from ejects.standing import standings
from portal.custodian import CustodianApi
from portal.http import portal_client
from tests.harness.world import World


async def advised(world: World, temporal: Client | None) -> dict[str, Advice]:
    """Each line by its client, or by its state where it is of none; None stands for a silent Temporal."""
    key = world.settings.custodian_api_key
    assert key
    async with portal_client(world.settings.portal_url) as http:
        trust = Trust(frozenset({world.receipt_key}))
        found = await standings(CustodianApi(http, key), world.vault, temporal, trust)
    lines = advise(found, datetime.now(UTC))
    said = {line.client_id or line.state.value: line for line in lines}
    assert len(said) == len(lines), "one line for each"
    return said
