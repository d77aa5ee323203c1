"""Check, enable eject and complete: read first, and touch no other client than the checked one."""

import json
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from activities.check import CheckStep
from activities.complete import CompleteStep
from activities.enable_eject import EnableEjectStep
from contracts.failures import Failure, StepError
from contracts.steps import Check, Checked, Complete, EnableEject
from contracts.wallets import Curve, Wallet
from tests.device.bundles import random_wallet
from tests.unit.fakes import (
    CLIENT,
    CLIENT_PATH,
    NOW,
    Customer,
    FakePortal,
    client_body,
    customer,
    hold_clock,
    identity,
    json_answer,
    run,
)

READ = f"GET {CLIENT_PATH}"
READ_ITSELF = "GET /clients/me"
ENABLE = f"PATCH {CLIENT_PATH}/enable-eject"
COMPLETE = "POST /clients/me/eject"
UNTIL = NOW + timedelta(days=1)

CUSTOMER = customer()
RECIPIENT = identity()[1]


async def check(body: Any, *, status: int = 200, **changes: Any) -> Checked:
    """Check a client that Portal shows so."""
    portal = FakePortal()
    portal.says(READ, body, status)
    what = Check(**({"client_id": CLIENT, "recipient": RECIPIENT} | changes))
    checked = await run(CheckStep(portal.custodian).check, what)
    assert portal.calls() == [READ]  # read-only
    return checked


def shown(**changes: Any) -> dict[str, Any]:
    """The client as Portal shows it."""
    return client_body(CUSTOMER.made, **changes)


def with_pairs(*statuses: str) -> list[dict[str, Any]]:
    """The wallets, each with a pair of this status."""
    pairs = [[{"id": f"p{number}", "status": status}] for number, status in enumerate(statuses)]
    wallets: list[dict[str, Any]] = shown()["wallets"]
    return [wallet | {"backupSharePairs": pair} for wallet, pair in zip(wallets, pairs, strict=True)]


async def test_a_fit_client_has_no_problem() -> None:
    """Its wallets come with the address that the challenge will hold and with those that Portal publishes."""
    solana = CUSTOMER.made[1].wallet.address
    namespaces = {"solana": {"address": solana, "curve": "ED25519"}}
    checked = await check(shown(metadata={"namespaces": namespaces}))
    assert checked.problems == ()
    assert checked.ejected_at is None
    for wallet, made in zip(checked.wallets, CUSTOMER.made, strict=True):
        assert (wallet.id, wallet.curve, wallet.public_key) == (
            made.wallet.id,
            made.wallet.curve,
            made.wallet.public_key,
        )
        assert wallet.address == made.wallet.address
    assert checked.wallets[1].addresses == {"solana": solana}


SELF_MANAGED = "The client's environment manages its backups itself: Portal holds no share to fetch"
NO_WALLET = "The client has no wallet"
NO_KEY = "No wallet of the client has a public key"
HAS_BACKUP = (
    "The client has a backup and the environment keeps one only: "
    "start again with replace_backup if the eject may replace it"
)
BAD_RECIPIENT = "The recipient is not an age public key: its checksum is wrong, copy it again"
UNKNOWN = f"Portal does not know client {CLIENT}: check the id and the environment"
KEYLESS = [{"id": "w1", "curve": "ED25519"}, {"id": "w2", "curve": "ED25519", "publicKey": None}]
TWO = [*shown()["wallets"], client_body([random_wallet(Curve.ED25519, "second")])["wallets"][0]]
BAD = RECIPIENT[:-1] + ("q" if RECIPIENT[-1] != "q" else "p")
SELF = {"backupWithPortalEnabled": False}
MULTI = {"isMultiBackupEnabled": True}

PROBLEMS: list[tuple[dict[str, Any], dict[str, Any], list[str]]] = [
    ({}, {}, []),
    ({"environment": {}}, {}, []),
    ({"environment": {"backupWithPortalEnabled": True}}, {}, []),
    ({"environment": SELF}, {}, [SELF_MANAGED]),
    ({"wallets": []}, {}, [NO_WALLET]),
    ({"wallets": KEYLESS}, {}, [NO_KEY]),
    ({"wallets": [*KEYLESS, shown()["wallets"][0]]}, {}, []),
    ({"wallets": TWO}, {}, ["The client has 2 ED25519 wallets, and a backup can be told for one only"]),
    ({"wallets": with_pairs("incomplete", "STORED_CUSTODIAN_BACKUP_SHARE")}, {}, []),
    ({"wallets": with_pairs("incomplete", "STORED_CLIENT_BACKUP_SHARE_KEY")}, {}, [HAS_BACKUP]),
    ({"wallets": with_pairs("incomplete", "completed")}, {}, [HAS_BACKUP]),
    ({"wallets": with_pairs("completed", "completed")}, {"replace_backup": True}, []),
    ({"wallets": with_pairs("completed", "completed"), "environment": MULTI}, {}, []),
    (
        {"wallets": with_pairs("completed", "completed"), "environment": {"isMultiBackupEnabled": False}},
        {},
        [HAS_BACKUP],
    ),
    ({}, {"recipient": BAD}, [BAD_RECIPIENT]),
    ({"wallets": [], "environment": SELF}, {"recipient": BAD}, [BAD_RECIPIENT, SELF_MANAGED, NO_WALLET]),
    (
        {"wallets": with_pairs("completed", "completed"), "environment": SELF},
        {"recipient": BAD},
        [BAD_RECIPIENT, SELF_MANAGED, HAS_BACKUP],
    ),
]


@pytest.mark.parametrize(("client", "request_", "problems"), PROBLEMS)
async def test_all_that_is_wrong_is_said_at_once(
    client: dict[str, Any], request_: dict[str, Any], problems: list[str]
) -> None:
    """Every reason in a sentence of its own, so that nobody mends them one by one."""
    assert list((await check(shown(**client), **request_)).problems) == problems


@pytest.mark.parametrize("recipient", [RECIPIENT, BAD], ids=["right", "wrong"])
async def test_an_unknown_client_is_a_problem_and_no_park(recipient: str) -> None:
    """A wrong id is the caller's mistake: the eject is refused instead of waiting for Portal."""
    checked = await check({"error": "x"}, status=404, recipient=recipient)
    assert list(checked.problems) == [*([BAD_RECIPIENT] if recipient == BAD else []), UNKNOWN]
    assert checked.wallets == ()


async def test_a_client_that_left_already_has_no_problems() -> None:
    """That it is unfit in other ways does not matter any more."""
    checked = await check(shown(ejectedAt="2026-01-01T00:00:00Z", wallets=[], environment=SELF))
    assert checked.problems == ()
    assert checked.ejected_at is not None


@pytest.mark.parametrize("status", [401, 403])
async def test_a_rejected_credential_is_not_the_clients_problem(status: int) -> None:
    """It parks for the operator; the caller's request was good."""
    with pytest.raises(StepError) as caught:
        await check({}, status=status)
    assert caught.value.failure is Failure.CREDENTIAL_REJECTED


ODD_KEY = json.dumps({"x": "9" * 78, "y": "9" * 78})
ODD_ADDRESS = {"namespaces": {"solana": {"curve": "ED25519", "address": "Zq7planted not an address"}}}


@pytest.mark.parametrize(
    "body",
    [
        shown(wallets=[{"id": "w", "curve": "SECP256K1", "publicKey": ODD_KEY}]),
        shown(wallets=[{"id": "w", "curve": "ED25519", "publicKey": ODD_KEY}]),
        shown(metadata=ODD_ADDRESS),
    ],
    ids=["no SECP256K1 key", "no ED25519 key", "no address"],
)
async def test_a_client_in_an_unknown_form_parks(body: Any) -> None:
    """Retrying would not mend it, and nothing of it is repeated."""
    with pytest.raises(StepError) as caught:
        await check(body)
    assert caught.value.failure is Failure.REPLY_UNREADABLE
    assert "Zq7planted" not in str(caught.value)
    assert "9999" not in str(caught.value)


async def test_a_reply_about_another_client_is_a_wrong_credential() -> None:
    """Each step that reads the client looks whom the reply is about before it does anything."""
    other = shown(id="client-2", ejectedAt=NOW.isoformat())
    with pytest.raises(StepError) as caught:
        await check(other)
    assert caught.value.failure is Failure.CREDENTIAL_REJECTED
    portal = FakePortal()
    portal.says(READ, shown(id="client-2"))
    sequence(portal, other)
    for step in (enable, complete):
        with pytest.raises(StepError) as caught:
            await step(portal)
        assert caught.value.failure is Failure.CREDENTIAL_REJECTED
    assert portal.calls() == [READ, READ_ITSELF]


async def test_a_read_back_about_another_client_proves_nothing() -> None:
    """The mark that ends an eject must be this client's own."""
    portal = FakePortal()
    sequence(portal, shown(), shown(id="client-2", ejectedAt=NOW.isoformat()))
    portal.answers[COMPLETE] = lambda _: httpx.Response(204)
    with pytest.raises(StepError) as caught:
        await complete(portal)
    assert caught.value.failure is Failure.CREDENTIAL_REJECTED


def enabled(portal: FakePortal, *answers: datetime) -> None:
    """Portal confirms these windows, one for each call."""
    left = list(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        return json_answer({"ejectableUntil": left.pop(0).isoformat()})(request)

    portal.answers[ENABLE] = answer


async def enable(portal: FakePortal, *, at: datetime = NOW, until: datetime = UNTIL) -> datetime:
    """One attempt of enable eject."""
    what = EnableEject(client_id=CLIENT, wallets=CUSTOMER.wallets, until=until)
    return (await run(EnableEjectStep(portal.custodian).enable_eject, what, at=at)).closes


async def test_the_window_is_the_earliest_that_portal_confirmed() -> None:
    """What Portal answers counts, not what was asked; each wallet is asked for the same moment."""
    portal = FakePortal()
    portal.says(READ, shown())
    earliest = UNTIL - timedelta(hours=2)
    enabled(portal, UNTIL - timedelta(hours=1), earliest)
    assert await enable(portal) == earliest
    assert portal.calls() == [READ, ENABLE, ENABLE]
    sent = [json.loads(request.content) for request in portal.requests[1:]]
    assert [body["walletId"] for body in sent] == [wallet.id for wallet in CUSTOMER.wallets]
    assert {datetime.fromisoformat(body["ejectableUntil"]) for body in sent} == {UNTIL}


@pytest.mark.parametrize(("seconds", "opened"), [(91, True), (90, True), (89, False), (-1, False)])
async def test_a_window_that_came_too_near_is_not_asked_for(
    monkeypatch: pytest.MonkeyPatch, seconds: int, opened: bool
) -> None:
    """Portal would refuse it for good: the workflow computes a new one instead."""
    hold_clock(monkeypatch)
    portal = FakePortal()
    portal.says(READ, shown())
    enabled(portal, UNTIL, UNTIL)
    if opened:
        await enable(portal, at=UNTIL - timedelta(seconds=seconds))
        return
    with pytest.raises(StepError) as caught:
        await enable(portal, at=UNTIL - timedelta(seconds=seconds))
    assert caught.value.failure is Failure.WINDOW_AGED
    assert ENABLE not in portal.calls()


async def test_a_window_that_ages_between_two_wallets_is_computed_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The clock goes on while Portal answers."""
    ticks = hold_clock(monkeypatch)
    portal = FakePortal()
    portal.says(READ, shown())

    def slow(request: httpx.Request) -> httpx.Response:
        ticks[0] += 60
        return json_answer({"ejectableUntil": UNTIL.isoformat()})(request)

    portal.answers[ENABLE] = slow
    with pytest.raises(StepError) as caught:
        await enable(portal, at=UNTIL - timedelta(seconds=120))
    assert caught.value.failure is Failure.WINDOW_AGED
    assert portal.calls() == [READ, ENABLE]


def _rekeyed() -> list[dict[str, Any]]:
    other = client_body([random_wallet(Curve.ED25519, "e")])["wallets"]
    return [shown()["wallets"][0], other[0]]


CHANGED: dict[str, dict[str, Any]] = {
    "a wallet is gone": {"wallets": shown()["wallets"][:1]},
    "a wallet is new": {"wallets": TWO},
    "a key is another": {"wallets": _rekeyed()},
    "a key is gone": {"wallets": [shown()["wallets"][0], shown()["wallets"][1] | {"publicKey": None}]},
    "all are gone": {"wallets": []},
}


@pytest.mark.parametrize("name", CHANGED)
async def test_no_window_is_opened_for_changed_wallets(name: str) -> None:
    """The client is read again just before: a difference parks, and no call goes out."""
    portal = FakePortal()
    portal.says(READ, shown(**CHANGED[name]))
    with pytest.raises(StepError) as caught:
        await enable(portal)
    assert caught.value.failure is Failure.WALLETS_CHANGED
    assert portal.calls() == [READ]


async def test_no_window_is_opened_for_a_client_who_left() -> None:
    """Somebody else ejected it since the check."""
    portal = FakePortal()
    portal.says(READ, shown(ejectedAt=NOW.isoformat()))
    with pytest.raises(StepError) as caught:
        await enable(portal)
    assert caught.value.failure is Failure.WALLETS_CHANGED
    assert portal.calls() == [READ]


async def test_own_pairs_and_new_addresses_are_no_change() -> None:
    """This eject's backup is completed by now, and Portal may publish more: both go on."""
    portal = FakePortal()
    namespaces = {"stellar": {"address": "GABC", "curve": "ED25519"}}
    portal.says(
        READ, shown(wallets=with_pairs("completed", "completed"), metadata={"namespaces": namespaces})
    )
    enabled(portal, UNTIL, UNTIL)
    assert await enable(portal) == UNTIL


def sequence(portal: FakePortal, *bodies: Any) -> None:
    """The client reads itself so, one time after the other."""
    left = list(bodies)
    portal.answers[READ_ITSELF] = lambda _: httpx.Response(200, json=left.pop(0))


async def complete(portal: FakePortal, wallets: tuple[Wallet, ...] = CUSTOMER.wallets) -> datetime:
    """One attempt of the irreversible step."""
    what = Complete(client_id=CLIENT, wallets=wallets)
    return (await run(CompleteStep(portal.clients).complete, what)).ejected_at


async def test_completion_reads_calls_and_reads_back() -> None:
    """Once, and Portal's own mark is the answer."""
    portal = FakePortal()
    sequence(portal, shown(), shown(ejectedAt=NOW.isoformat()))
    portal.answers[COMPLETE] = lambda _: httpx.Response(204)
    assert await complete(portal) == NOW
    assert portal.calls() == [READ_ITSELF, COMPLETE, READ_ITSELF]


@pytest.mark.parametrize("change", [{}, CHANGED["a wallet is gone"]])
async def test_a_client_who_left_already_is_not_ejected_twice(change: dict[str, Any]) -> None:
    """A lost reply: the mark is there, so the call is not made again, whatever the wallets are now."""
    portal = FakePortal()
    sequence(portal, shown(ejectedAt=NOW.isoformat(), **change))
    assert await complete(portal) == NOW
    assert portal.calls() == [READ_ITSELF]


@pytest.mark.parametrize("name", CHANGED)
async def test_changed_wallets_are_not_completed(name: str) -> None:
    """A wallet that nobody proved would be marked with the others: it parks, and no call goes out."""
    portal = FakePortal()
    sequence(portal, shown(**CHANGED[name]))
    with pytest.raises(StepError) as caught:
        await complete(portal)
    assert caught.value.failure is Failure.WALLETS_CHANGED
    assert portal.calls() == [READ_ITSELF]


async def test_a_completion_that_does_not_show_is_tried_again() -> None:
    """Portal may take its time: the next attempt reads first."""
    portal = FakePortal()
    sequence(portal, shown(), shown())
    portal.answers[COMPLETE] = lambda _: httpx.Response(204)
    with pytest.raises(StepError) as caught:
        await complete(portal)
    assert caught.value.failure is Failure.PORTAL_UNAVAILABLE


async def test_a_refused_completion_says_so() -> None:
    """A 400 parks; nothing is read back that would hide it."""
    portal = FakePortal()
    sequence(portal, shown())
    portal.says(COMPLETE, {"error": "no"}, status=400)
    with pytest.raises(StepError) as caught:
        await complete(portal)
    assert caught.value.failure is Failure.PORTAL_REFUSED
    assert portal.calls() == [READ_ITSELF, COMPLETE]


def test_the_client_of_these_tests_has_two_wallets() -> None:
    """One per curve, or half of the tables above would say nothing."""
    assert {wallet.curve for wallet in Customer(CUSTOMER.made).wallets} == set(Curve)
