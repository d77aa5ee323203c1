"""The floor: the same calls with asyncio alone. Whatever dies here is lost."""

import asyncio
from collections.abc import Awaitable, Callable

from bench.portal_calls import PortalCalls, calls_of_environment
from bench.serving import serve


async def until_ready(portal: PortalCalls, client_id: str) -> None:
    """All up to the owner's part."""
    wallets = await portal.read_client(client_id)
    pairs = await portal.back_up(client_id)
    await asyncio.gather(*(portal.store_cipher_text(client_id, pair) for pair in pairs))
    await portal.mark_stored(client_id, pairs)
    await asyncio.gather(*(portal.enable_eject(client_id, wallet) for wallet in wallets))
    await asyncio.gather(*(portal.fetch_share(client_id, wallet) for wallet in wallets))


def orders(portal: PortalCalls) -> dict[str, Callable[[str], Awaitable[None]]]:
    """What the driver may ask for."""
    return {"begin": lambda client_id: until_ready(portal, client_id), "finish": portal.complete}


if __name__ == "__main__":
    asyncio.run(serve(orders(calls_of_environment())))
