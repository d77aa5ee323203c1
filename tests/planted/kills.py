"""Workers that die with a secret in their hands, and one that fails with a share in its error."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from contracts.stages import End, Stage
from runtime.development import line_of
from tests.planted.place import metrics
from tests.planted.scenario import scenario
from tests.planted.scene import Scene

ODD_WORKER = ("-m", "tests.harness.odd_worker")
HALTING_WORKER = ("-m", "tests.harness.halting_worker", "all")
COMPLETED = "complete/complete_client/REPLIED"


@asynccontextmanager
async def killed_at(scene: Scene, point: str) -> AsyncIterator[None]:
    """A worker that is killed where it stands still, and then one as it should be."""
    at = f"{scene.customer.client_id}/{point}"
    async with scene.place.worker(scene.room, *HALTING_WORKER, at) as first:
        await scene.start()
        if point == COMPLETED:
            await scene.reach(Stage.AWAITING_CLAIM)
            await scene.world.prove(scene.customer, await scene.claim())
        assert await line_of(first) == f"here {scene.customer.client_id}"
        scene.place.scraped.append(await metrics(scene.room))
        await scene.collect()
        first.kill()
        await first.wait()
    async with scene.place.worker(scene.room):
        yield


@scenario(None)
async def killed_with_the_client_halves(scene: Scene) -> None:
    """The enclave has answered, and nothing is written."""
    async with killed_at(scene, "back_up/back_up/REPLIED"):
        await scene.reach(Stage.AWAITING_CLAIM)
        await scene.leave()


@scenario(None)
async def killed_after_writing_a_half(scene: Scene) -> None:
    """The first custodian half lies in the vault."""
    async with killed_at(scene, "fetch_shares/vault/WRITTEN"):
        await scene.reach(Stage.AWAITING_CLAIM)
        await scene.leave()


@scenario(None)
async def killed_with_a_custodian_half(scene: Scene) -> None:
    """Portal has answered a half, in the clear."""
    async with killed_at(scene, "fetch_shares/fetch_shares/REPLIED"):
        await scene.reach(Stage.AWAITING_CLAIM)
        await scene.leave()


@scenario(None)
async def killed_after_completion(scene: Scene) -> None:
    """Portal has its mark, and nobody was told."""
    async with killed_at(scene, COMPLETED):
        await scene.ends(End.EJECTED)


@scenario(None, quick=True)
async def a_defect_with_a_share_in_its_error(scene: Scene) -> None:
    """Text, cause and local variables of an exception hold a share: only its type and place are told."""
    async with scene.place.worker(scene.room, *ODD_WORKER, "fails_with_a_share"):
        await scene.start()
        await scene.troubled("back_up")
        await scene.cancelled()
