"""Any process may die at any moment: the eject goes on from where it was, and nothing happens twice."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from custody.keys import make_key
from runtime.settings import WorkerRole
from sandbox.routes import CALLS
from serving.steps import activities_of, hosts_of
from tests.harness.killing import killed_together
from tests.harness.moments import ITSELF, Moment, Point, watching
from tests.harness.points import ACCESSES, BATCHES, POINTS, SPREAD, WATCHES, Cell, Process, table
from tests.harness.receiver import Receiver
from tests.harness.roads import Road, Walker, road_of
from tests.harness.world import PATIENCE, World, serving

Tell = Callable[[str, object], None]


async def end_right(folder: Path, killed: Process, cells: list[Cell], tell: Tell) -> None:
    """Every cell's eject ends as its road must end; `tell` keeps what each came to, for the table."""
    wrong = await killed_together(folder, killed, cells)
    for cell, found in wrong.items():
        tell(str(cell), "; ".join(found))
    assert {str(cell): found for cell, found in wrong.items() if found} == {}


@pytest.mark.parametrize("killed", Process)
async def test_a_kill_at_a_spread_of_moments(tmp_path: Path, killed: Process, record_property: Tell) -> None:
    """SIGKILL while ejects stand at these points; with the process started again, each ends right."""
    await end_right(tmp_path, killed, SPREAD[killed], record_property)


@pytest.mark.chaos
@pytest.mark.parametrize("batch", BATCHES)
async def test_a_kill_at_every_moment(tmp_path: Path, batch: str, record_property: Tell) -> None:
    """The whole matrix: every point of every step, and every process that may die there."""
    cells = BATCHES[batch]
    await end_right(tmp_path, cells[0].killed, cells, record_property)


def test_the_matrix_and_its_spread_leave_nothing_out() -> None:
    """The batches are the product; the spread tries each step, and each moment and process more than once."""
    cells = [cell for batch in BATCHES.values() for cell in batch]
    assert Counter(cells) == Counter(Cell(point, killed) for point in POINTS for killed in Process)
    spread = [cell for cells in SPREAD.values() for cell in cells]
    assert set(spread) <= set(cells)
    assert {cell.point.step for cell in spread} == set(ACCESSES)
    assert all(sum(cell.point.moment is moment for cell in spread) >= 2 for moment in Moment)
    assert all(len(SPREAD[killed]) >= 2 for killed in Process)
    held = {cell.point.access for cell in cells if cell.reply_is_lost}
    assert held <= set(CALLS), "the sandbox knows each call by this name"


def test_the_table_names_whoever_did_not_end_right() -> None:
    """A moment that a step does not have is a dash; nothing that was not tried counts as right."""
    cells = [Cell(Point("verify", ITSELF, Moment.BEFORE), killed) for killed in Process]
    lines = table({str(cells[0]): "", str(cells[1]): "it was parked"}).splitlines()
    assert lines[0] == "1 of 2 cases ended right."
    assert "| verify | itself | 1/2, not server | - | - | - |" in lines
    assert "| release | vault | not tried | - | - | not tried |" in lines


async def test_the_matrix_has_a_row_for_whatever_a_step_reaches_for(
    workerless: World, tmp_path: Path
) -> None:
    """Every activity that a worker serves, and each call and write that it makes: recorded on all roads."""
    world, receiver, approver = workerless, Receiver(), tmp_path / "grace.pem"
    world.settings = world.settings.model_copy(
        update={
            "notify_url": receiver.url,
            "notify_secret": SecretStr(receiver.secret),
            "approvers": {"grace": make_key(approver)},
        }
    )
    met: dict[str, list[str]] = defaultdict(list)

    async def meet(_client: str, point: Point) -> None:
        met[point.step].append(point.access)

    with watching(meet):
        async with receiver.listening(), serving(world):
            steps = {road: next(step for step in ACCESSES if road_of(step) is road) for road in Road}
            for step in steps.values():
                walker = Walker(world, world.sandbox.seed(), step, approver)
                walker.gate.set()
                receipt = await walker.walk()
                assert receipt.end is walker.end
                if walker.told:  # the last is that of the end, which outlives the eject
                    last = f"eject-notice-{receipt.eject_id}-{len(walker.told)}"
                    notice = world.client.get_workflow_handle(last)
                    await asyncio.wait_for(notice.result(), PATIENCE)
    reached = {step: tuple(dict.fromkeys(access for access in met[step] if access != ITSELF)) for step in met}
    assert reached == dict(ACCESSES)
    async with hosts_of(world.settings) as hosts:
        served = activities_of(WorkerRole.ALL, world.settings, hosts)
    assert {step.__name__ for steps_of in served.values() for step in steps_of} == set(ACCESSES) | WATCHES
