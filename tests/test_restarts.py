"""Restart of everything, in any order, with 200 ejects in all stages: all end right."""

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from pydantic import SecretStr
from temporalio.client import Client

from contracts.receipt import Receipt
from contracts.stages import End, Stage
from custody.keys import make_key
from runtime.codec import EjectCodec, read_keys
from tests.harness.codecs import TOKEN, as_setting, new_key
from tests.harness.crowd import Guest, all_of
from tests.harness.ending import complaints
from tests.harness.fleet import Fleet, Member, fleet, plans
from tests.harness.kinds import KINDS
from tests.harness.portal import Sandbox
from tests.harness.temporal import connected
from tests.harness.world import World, make_world

EJECTS = int(os.environ.get("EJECTS", "200"))
SEED = int(os.environ.get("SEED", "0"))
ROUNDS = 4
Tell = Callable[[str, object], None]


def test_the_crowd_stands_in_every_stage_and_comes_to_every_end_that_restarts_can_spoil() -> None:
    """A new stage without a kind makes this red; the other two ends are reached without anything to spoil."""
    assert {kind.stage for kind in KINDS} == set(Stage)
    assert {kind.end for kind in KINDS} == set(End) - {End.REFUSED, End.ALREADY_EJECTED}
    assert len(KINDS) < EJECTS


def test_each_plan_restarts_everything_once_and_a_seed_gives_the_same() -> None:
    """Whatever the seed: every process once a round, both signals, some together."""
    for seed in range(20):
        made = [*plans(seed, ROUNDS)]
        assert [str(plan) for plan in made] == [str(plan) for plan in plans(seed, ROUNDS)]
        for plan in made:
            assert sorted(member for group in plan.groups for member, _ in group.signals) == sorted(Member)
    assert len({str(plan) for seed in range(20) for plan in plans(seed, ROUNDS)}) > 20


async def settled(on: Fleet, folder: Path, approver: Path) -> World:
    """Everything runs: split roles with their own secrets, a codec, signed approvals and receipts."""
    ready, keys = await on.begin(), as_setting({"a": new_key()})
    sandbox = Sandbox(ready["url"], ready["custodian_api_key"])
    client = await connected("default", EjectCodec(read_keys(keys)), address=on.address)
    world = make_world(client, sandbox, folder)
    world.settings = world.settings.model_copy(update={"codec_keys": SecretStr(keys)})
    own = world.environment()
    custodians = ("EJECT_CUSTODIAN_API_KEY", "EJECT_RECEIPT_KEY")
    clients = ("EJECT_CLIENT_IDENTITY", "EJECT_CLIENT_RECIPIENT")
    await on.serve(
        {name: value for name, value in own.items() if name not in clients}
        | {"EJECT_APPROVERS": f'{{"grace": "{make_key(approver)}"}}'},
        {name: value for name, value in own.items() if name not in custodians},
        {"EJECT_CODEC_KEYS": keys, "EJECT_CODEC_TOKEN": TOKEN},
    )
    return world


@pytest.mark.chaos
async def test_restart_of_everything(tmp_path: Path, record_property: Tell) -> None:
    """A quarter of them goes on during each of four restarts; those that Portal holds, during the last."""
    async with fleet(tmp_path) as on:
        approver, began = tmp_path / "grace.pem", time.monotonic()
        world = await settled(on, tmp_path, approver)
        with closing(world.sandbox):
            guests = [
                Guest(world, world.sandbox.seed(), KINDS[number % len(KINDS)], approver)
                for number in range(EJECTS)
            ]
            await all_of([guest.stand for guest in guests])
            print(f"{EJECTS} ejects stand after {time.monotonic() - began:.0f} s")  # noqa: T201
            receipts: dict[Guest, Receipt] = {}
            free = [guest for guest in guests if not guest.held]
            for number, plan in enumerate(plans(SEED, ROUNDS)):
                print(f"seed {SEED}, round {number + 1}: {plan}")  # noqa: T201 (shown where it fails)
                last = number == ROUNDS - 1
                leaving = [guest for guest in guests if guest.held] if last else []
                leaving += free[number::ROUNDS]
                if last:
                    world.sandbox.clear_faults()
                going = asyncio.create_task(all_of([guest.leave for guest in leaving]))
                await on.restart(plan)
                assert await on.opens(world.client, guests[0].handle.id, TOKEN), (
                    "the codec server serves again"
                )
                receipts |= dict(zip(leaving, await going, strict=True))
                print(f"round {number + 1} is over after {time.monotonic() - began:.0f} s")  # noqa: T201
            wrong = {
                f"{guest.kind}, {guest.customer.client_id}": found
                for guest, receipt in receipts.items()
                if (found := await wrong_with(guest, receipt))
            }
            assert wrong == {}
            assert len(receipts) == EJECTS
            assert world.audit() == []
            assert not [n for n in world.left_in_vault() if n.startswith(("held/", "released/"))]
            assert await ended_as(world.client, "Completed") == EJECTS
            assert (
                await ended_as(world.client, "Failed", "Terminated", "TimedOut", "Canceled", "Running") == 0
            )
            assert min(kept.starts for kept in on.members.values()) > ROUNDS
        seconds = round(time.monotonic() - began)
        record_property("restarts", {"ejects": EJECTS, "rounds": ROUNDS, "seed": SEED, "seconds": seconds})


async def wrong_with(guest: Guest, receipt: Receipt) -> list[str]:
    """What is not as its end must leave it."""
    found = await complaints(guest.world, guest.customer, receipt, guest.end)
    return [one for one in found if one != "it was parked" or guest.kind.stage is not Stage.PARKED]


async def ended_as(client: Client, *statuses: str) -> int:
    """How many ejects Temporal lists so."""
    query = " OR ".join(f"ExecutionStatus = '{status}'" for status in statuses)
    return (await client.count_workflows(query)).count
