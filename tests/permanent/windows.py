"""What troubles the client's own fetch, and the window that each of its reads takes."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from activities.fetch_shares import FetchSharesStep
from contracts.steps import FetchSharesAsClient
from tests.permanent.scenes import Cause, Row, Scene


@contextmanager
def once_it_reads(cause: Cause, scene: Scene) -> Iterator[None]:
    """The cause comes when the step itself runs: opening its window makes calls that are the same."""
    original = FetchSharesStep._fetch_once
    with ExitStack() as stack, scene.patch.context() as patch:

        async def fetch_once(step: FetchSharesStep, what: FetchSharesAsClient) -> bytes:
            patch.undo()
            stack.enter_context(cause(scene))
            return await original(step, what)

        patch.setattr(FetchSharesStep, "_fetch_once", fetch_once)
        yield


def reading(rows: Iterable[Row]) -> Iterator[Row]:
    """The same rows, whose causes come once the step reads."""
    return (replace(row, cause=partial(once_it_reads, row.cause)) for row in rows)


@contextmanager
def spent(scene: Scene) -> Iterator[None]:
    """Somebody else has read in the window of the first wallet, which is open for the next read again."""
    wallets = {scene.names["first"]: {"ejectable_until": None}}
    scene.world.sandbox.change(scene.customer.client_id, wallets=wallets)
    yield


def no_pairs(client: dict[str, Any]) -> None:
    """The client without any backup of its first wallet."""
    client["wallets"][0]["backupSharePairs"] = []
