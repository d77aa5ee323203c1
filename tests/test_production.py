"""A production deployment without Docker: every part as production has it, ejects to every kind of end.

What stands in for what: the development server with its database file for Temporal's own server, which keeps
SQLite and takes no PostgreSQL (no part of ours uses one); a relay before it for that server's own mutual TLS;
a Ceph node for S3; the sandbox for Portal. All else is what is deployed: both roles, the codec server and
Prometheus as processes, each with its own secrets as files, with EJECT_PRODUCTION=true.
"""

import asyncio
from pathlib import Path

import httpx
import pytest

import starter
from contracts.receipt import Receipt
from contracts.stages import End, Stage
from tests.harness.crowd import Guest, Kind, all_of
from tests.harness.deployed import APPROVER, Deployment, deployment
from tests.harness.ending import complaints
from tests.harness.fleet import Kept, Member, fleet
from tests.harness.kinds import KINDS
from tests.harness.processes import environment, run
from tests.harness.prometheus import Panel, Prometheus, dashboard, prometheus
from tests.harness.s3 import s3_server
from tests.harness.search import Search
from tests.harness.secrets import secrets_of
from tests.planted.evidence import cells, files

pytestmark = pytest.mark.production


async def proven_after_a_forgery(guest: Guest) -> None:
    """Somebody approves; a forged proof is refused, and the right one taken."""
    await guest.approve()
    await guest.prove_after_a_forgery()


CHOSEN = (
    Kind(Stage.AWAITING_APPROVAL, End.EJECTED, proven_after_a_forgery),
    *(
        next(kind for kind in KINDS if (kind.stage, kind.end) == wanted)
        for wanted in (
            (Stage.BACKING_UP, End.EJECTED),
            (Stage.PARKED, End.EJECTED),
            (Stage.AWAITING_CLAIM, End.EXPIRED),
            (Stage.AWAITING_CLAIM, End.CANCELLED),
            (Stage.AWAITING_PROOF, End.CLOSED),
            (Stage.UNRESOLVED, End.EJECTED),
        )
    ),
)


async def test_production_settings(tmp_path: Path) -> None:
    """Checked, served, ended, measured, and no secret of any of it where it must not be."""
    with s3_server(tmp_path / "s3") as s3:
        async with fleet(tmp_path) as processes, deployment(tmp_path, processes, s3) as on:
            told = [await checked(on, role) for role in (Member.CUSTODIAN, Member.CLIENT)]
            await processes.serve(
                *(on.environments[m] for m in (Member.CUSTODIAN, Member.CLIENT, Member.CODEC))
            )
            async with prometheus(tmp_path / "prometheus", on.metrics) as seen:
                answered = asyncio.create_task(unanswered(seen))
                ended = await to_every_end(on)
                async with httpx.AsyncClient(trust_env=False) as http:
                    shown = [(await http.get(f"http://{at}/metrics")).content for at in on.metrics]
                assert await answered == []
            token, one = on.secrets["the setting codec_token"], next(iter(ended))
            assert await processes.opens(on.world.client, one.handle.id, token)
            assert not await processes.opens(on.world.client, one.handle.id, token[::-1])
            histories = [await guest.handle.fetch_history() for guest in ended]
        database = tmp_path / "temporal.db"
        channels: dict[str, list[bytes]] = {
            "the metrics": shown,
            "the logs": [*told, *(said(kept) for kept in processes.members.values())],
            "the database": [*cells(database), *(path.read_bytes() for path in files(database))],
            "the histories": [event.SerializeToString() for h in histories for event in h.events],
            "the payloads": [text.encode() for h in histories for text in on.decrypted(h)],
            "the notices": [body.encode() for body in on.receiver.bodies],
        }
        assert Search(secrets_in(on, ended)).leaks(channels) == []
        # The control: what is no secret is found where it may be, and what the codec hides only behind it.
        owner, client = on.world.owner.identity.recipient, one.customer.client_id
        controls = Search({"the recipient": owner, "a client": client})
        found = {
            channel: {name for text in texts for name, _ in controls.found(text)}
            for channel, texts in channels.items()
        }
        expected = {channel: {"a client"} for channel in channels}
        assert found == expected | {"the metrics": set(), "the payloads": {"a client", "the recipient"}}


def said(kept: Kept) -> bytes:
    """What a process wrote; without the line in which the sandbox tells its caller Portal's keys."""
    return b"\n".join(line for line in kept.log.read_bytes().splitlines() if b'"gateway_api_key"' not in line)


async def checked(on: Deployment, role: Member) -> bytes:
    """What `worker.py --check` says of a role with these settings, which is that all is right."""
    ran = await run("worker.py", "--role", str(role), "--check", env=environment(**on.environments[role]))
    assert (ran[0], ran[2]) == (0, ""), ran
    return ran[1].encode()


async def unanswered(seen: Prometheus) -> list[str]:
    """The panels of the dashboard that no data came for."""

    async def one(panel: Panel) -> str:
        try:
            return "" if await seen.until(panel.expression, seconds=90) else panel.title
        except TimeoutError:
            return f"{panel.title}: {panel.expression}"

    answers = await asyncio.gather(*(one(panel) for panel in dashboard()))
    assert answers, "the dashboard asks nothing"
    return [answer for answer in answers if answer]


async def to_every_end(on: Deployment) -> dict[Guest, Receipt]:
    """Ejects of every kind, and two that end at once; each ends as it must."""
    world = on.world
    guests = [Guest(world, world.sandbox.seed(), kind, on.approver) for kind in CHOSEN]
    await all_of([guest.stand for guest in guests])
    world.sandbox.clear_faults()
    receipts = await all_of([guest.leave for guest in guests])
    world.look()
    wrong = {
        str(guest.kind): await complaints(world, guest.customer, receipt, guest.end)
        for guest, receipt in zip(guests, receipts, strict=True)
    }
    assert {kind: found for kind, found in wrong.items() if found not in ([], ["it was parked"])} == {}
    unfit = world.sandbox.seed()
    world.sandbox.change(unfit.client_id, backup_with_portal_enabled=False)
    for customer, end in ((guests[0].customer, End.ALREADY_EJECTED), (unfit, End.REFUSED)):
        assert (await world.end(await starter.start(world.client, world.request(customer)))).end is end
    world.look()
    assert world.audit() == []
    left = [name for name in world.left_in_vault() if name.startswith(("held/", "released/"))]
    assert [name for name in left if not name.startswith("held/check/")] == []  # what `--check` writes once
    approved = [(one.by, one.signed) for receipt in receipts for one in receipt.approvals]
    assert approved == [(APPROVER, True)]
    await on.receiver.told_of(*End)
    return dict(zip(guests, receipts, strict=True))


def secrets_in(on: Deployment, ended: dict[Guest, Receipt]) -> dict[str, str]:
    """Everything that is secret in the deployment and in its ejects, by a name for people."""
    found = dict(on.secrets)
    for guest, receipt in ended.items():
        files_of = sorted((on.world.owner.folder / receipt.eject_id).rglob("*.json"))
        own = secrets_of(on.world, guest.customer, files_of)
        found |= {f"{name} of {guest.customer.client_id}": secret for name, secret in own.items()}
    return found
