"""Every call meets every fault, on real sockets: it reports what the table says, soon, in little memory."""

import asyncio
import re
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from standardwebhooks.webhooks import Webhook

from activities.send_notice import WITHIN, SendNoticeStep
from contracts.failures import RULES, Failure, StepError
from contracts.notices import Notice, NoticeData, NoticeKind
from portal import calls
from portal.calls import Call
from portal.client import ClientApi
from portal.custodian import CustodianApi
from portal.http import portal_client, whole
from tests.device.bundles import leaked
from tests.faults.breaking import BODY, BREAKS, SECRET
from tests.faults.elsewhere import NOTICE, Diverting, Elsewhere
from tests.faults.table import CALLS, FAULTS, RETRIED, markdown
from tests.unit.fakes import CLIENT_TOKEN, CUSTODIAN_KEY, NOW, run
from tests.unit.lines import LINES
from workflows import notice as notice_workflow

# Of each phase, in seconds: what drips is to be given up soon, and nothing else may be hurried.
SHORT, LONG = 1, 15
HIDDEN = [CUSTODIAN_KEY, CLIENT_TOKEN, SECRET]
# Bytes; a body of the largest size that is read, once while it comes and once whole, and what carries it.
LITTLE = 12_000_000


def _answers_well(request: httpx.Request) -> httpx.Response:
    for _, method, url, _, _, reply in LINES.values():
        if (request.method, str(request.url)) == (method, url):
            return httpx.Response(204) if reply is None else httpx.Response(200, json=reply)
    return httpx.Response(204)


@asynccontextmanager
async def breaking(fault: str, *names: str) -> AsyncIterator[tuple[CustodianApi, ClientApi, Diverting]]:
    """Both APIs, with a client as the worker has it, where these calls meet a fault once."""
    async with Elsewhere() as elsewhere:
        plan = dict.fromkeys(names, BREAKS[fault])
        diverting = Diverting(httpx.MockTransport(_answers_well), elsewhere, plan)
        async with (
            portal_client("https://api.portal.test/api/v3") as http,
            portal_client("https://enclave.portal.test", enclave=True) as enclave,
        ):
            for client in (http, enclave):
                await client._transport.aclose()
                client._transport = diverting  # the client itself stays as the worker has it
                client.timeout = SHORT if "drip" in fault else LONG
            yield (
                CustodianApi(http, SecretStr(CUSTODIAN_KEY)),
                ClientApi(http, enclave, SecretStr(CLIENT_TOKEN)),
                diverting,
            )


async def reported(name: str, custodian: CustodianApi, client: ClientApi) -> StepError | None:
    """What a call reports; None where it takes the answer."""
    try:
        await LINES[name][0](custodian, client)
    except StepError as error:
        return error
    return None


def test_every_fault_is_in_the_table_and_is_made() -> None:
    """A new fault wants its row, a row its fault; and every call that an eject makes is met."""
    assert FAULTS.keys() == BREAKS.keys()
    assert CALLS.keys() == LINES.keys() == {c.name for c in vars(calls).values() if isinstance(c, Call)}
    for fault in FAULTS.values():
        assert {*fault.but, *fault.then} <= CALLS.keys()
    known = {failure for fault in FAULTS.values() for failure in map(fault.reported, CALLS) if failure}
    assert known == {*RETRIED, Failure.PORTAL_REFUSED, Failure.REPLY_UNREADABLE}
    assert {failure for failure in known if RULES[failure].retried} == RETRIED


@pytest.mark.parametrize("fault", FAULTS)
async def test_every_call_reports_what_the_table_says(fault: str) -> None:
    """Whatever is wrong, each call ends by itself, in the table's words and without a word of Portal's."""
    async with breaking(fault, *CALLS) as (custodian, client, diverting), asyncio.timeout(60):
        errors = await asyncio.gather(*(reported(name, custodian, client) for name in CALLS))
        assert diverting.plan == {}
        told = {name: error and error.failure for name, error in zip(CALLS, errors, strict=True)}
        assert told == {name: FAULTS[fault].reported(name) for name in CALLS}
        for name, error in zip(CALLS, errors, strict=True):
            if error is not None:
                assert leaked(error, HIDDEN) == []
                # A field's place may have dots in it; no second sentence follows.
                told_so = rf"[^.\n]*'{name}'(?:[^.\n]|\.\w)* \(trace [0-9a-f-]{{36}}\)"
                assert re.fullmatch(told_so, error.sentence)
        # And nothing is left of it: the next calls find all in order.
        after = await asyncio.gather(*(reported(name, custodian, client) for name in CALLS))
        assert after == [None] * len(CALLS)


@pytest.mark.parametrize("fault", ["429 seconds", "429 date"])
async def test_the_wait_that_portal_asks_for_is_kept_in_both_forms(fault: str) -> None:
    """Seconds are taken as they are, a date by the clock."""
    async with breaking(fault, *CALLS) as (custodian, client, _):
        for name in CALLS:
            error = await reported(name, custodian, client)
            assert error is not None
            assert error.retry_after is not None
            assert timedelta(seconds=3) < error.retry_after <= timedelta(seconds=8)


@pytest.mark.parametrize("fault", [name for name in FAULTS if "huge" in name or "flood" in name])
async def test_memory_stays_small_however_much_comes(fault: str) -> None:
    """No call holds more than a fraction of what is sent to it."""
    async with breaking(fault, *CALLS) as (custodian, client, diverting):
        tracemalloc.start()
        try:
            for name in CALLS:
                assert await reported(name, custodian, client) is not None
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert diverting.plan == {}
    assert peak < LITTLE < BODY / 8


async def test_a_refused_connection_says_which_kind_it_is() -> None:
    """An operator reads at the pending attempt whether it is the name, the port or the certificate."""
    said = {
        "refused": "ConnectionRefusedError",
        "unknown host": "gaierror",
        "plain": "SSLError",
        "untrusted": "SSLCertVerificationError",
    }
    for fault, kind in said.items():
        async with breaking(fault, calls.READ_CLIENT.name) as (custodian, client, _):
            error = await reported(calls.READ_CLIENT.name, custodian, client)
        assert error is not None
        assert f"could not be reached for 'read client': {kind} (trace" in error.sentence


TOLD = Notice(
    id="eject-notice-1",
    kind=NoticeKind.SHARES_READY,
    at=NOW,
    data=NoticeData(eject_id="e", client_id="c", fingerprint="f", request_digest="d"),
)


async def _sent(http: httpx.AsyncClient, within: float) -> Any:
    step = SendNoticeStep(http, "https://receiver.test/hooks", (Webhook("whsec_c2VjcmV0"),), within=within)
    try:
        return await run(step.send_notice, TOLD)
    except StepError as error:
        return error


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_notice_is_sent_or_tried_again(fault: str) -> None:
    """Of a receiver only the status counts, and nothing that it does keeps an attempt for long."""
    async with Elsewhere() as elsewhere, asyncio.timeout(60):
        diverting = Diverting(httpx.MockTransport(_answers_well), elsewhere, {NOTICE: BREAKS[fault]})
        async with httpx.AsyncClient(transport=diverting, timeout=LONG) as http:
            first = await _sent(http, SHORT if "drip" in fault else LONG)
            second = await _sent(http, LONG)
    assert diverting.plan == {}
    if FAULTS[fault].notice_sent:
        assert first.status in (200, 204)
    else:
        assert first.failure is Failure.RECEIVER_UNAVAILABLE
        assert leaked(first, HIDDEN) == []
    assert second.status == 204


def test_a_notice_ends_before_its_attempt_does() -> None:
    """Nothing would cancel it afterwards: it does not heartbeat."""
    assert timedelta(seconds=WITHIN) < notice_workflow._ATTEMPT


@pytest.mark.parametrize(
    ("timeout", "seconds"),
    [
        (httpx.Timeout(connect=5, write=10, read=30, pool=30), 45),
        (httpx.Timeout(connect=1, write=1, read=1, pool=None), 3),
        (httpx.Timeout(None), None),
    ],
)
def test_the_whole_is_bounded_by_the_sum_of_its_phases(timeout: httpx.Timeout, seconds: float | None) -> None:
    """Each phase once; a client without bounds has none."""
    assert whole(timeout) == seconds


def test_the_table_for_people_has_every_fault_and_every_exception() -> None:
    """What the docs show is the table that is tested."""
    lines = markdown().splitlines()
    assert len(lines) == len(FAULTS) + 2
    assert (
        "| done, and every field is missing | **parks** as `ReplyUnreadable` | "
        "`store cipher text`, `confirm backup status`, `complete eject`, `complete eject of a wallet`: "
        "goes on; "
        "`back up`: **parks** as `ShareUnreadable` |"
    ) in lines
    assert "| the connection is refused | retried (`PortalUnavailable`) |  |" in lines
