"""What Portal does not have: calls under `/_sandbox` with which tests and demos steer the whole sandbox."""

from typing import Literal

from fastapi import APIRouter
from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox import journal
from sandbox.budgets import Budgets
from sandbox.clock import stamp
from sandbox.control_common import ControlError, Strict, body_of, portal_of
from sandbox.credentials import CUSTODIAN_KEY, GATEWAY_KEY, rolled_key
from sandbox.faults import FaultSpec
from sandbox.routes import CALLS
from sandbox.switches import SWITCHES, Switches

router = APIRouter(prefix="/_sandbox", tags=["sandbox"])


class Advance(Strict):
    """How far the clock is moved, at most ten years at once, and how fast it runs from now on."""

    advance_seconds: float = Field(default=0, ge=0, le=10 * 365 * 86400, allow_inf_nan=False)
    rate: float | None = Field(default=None, ge=1, le=1000, allow_inf_nan=False)
    """Seconds that pass in each second; absent, it stays as it is."""


@router.get("/clock")
async def read_clock(request: Request) -> Response:
    """Answer the sandbox's time."""
    return JSONResponse({"now": stamp(portal_of(request).clock.now())})


@router.post("/clock")
async def move_clock(request: Request) -> Response:
    """Move the clock forward, or have it run faster."""
    move, clock = await body_of(request, Advance), portal_of(request).clock
    if move.rate is not None:
        clock.run(move.rate)
    try:
        return JSONResponse({"now": stamp(clock.advance(move.advance_seconds))})
    except OverflowError:
        raise ControlError("the clock ends with the year 9999") from None


@router.get("/journal")
async def read_journal(request: Request) -> Response:
    """Answer the calls that match every filter in the query."""
    try:
        entries = journal.read(portal_of(request).store, dict(request.query_params))
    except ValueError as error:
        raise ControlError(str(error)) from None
    return JSONResponse({"count": len(entries), "entries": entries})


@router.get("/faults")
async def read_faults(request: Request) -> Response:
    """Answer the faults still to come."""
    left = portal_of(request).faults.left()
    return JSONResponse(
        {"faults": [spec.model_dump(exclude_unset=True) | {"times": spec.times} for spec in left]}
    )


@router.post("/faults")
async def add_fault(request: Request) -> Response:
    """Plan a fault."""
    spec = await body_of(request, FaultSpec)
    if spec.call not in CALLS:
        raise ControlError(f"unknown call: the calls are {', '.join(CALLS)}")
    portal_of(request).faults.add(spec)
    return await read_faults(request)


@router.delete("/faults")
async def clear_faults(request: Request) -> Response:
    """Forget all planned faults."""
    return JSONResponse({"cleared": portal_of(request).faults.clear()})


class Roll(Strict):
    """Whose key is rolled: Portal's of the custodian, or the gateway's."""

    key: Literal["custodian", "gateway"]


@router.post("/roll")
async def roll_key(request: Request) -> Response:
    """Roll a key of the custodian's: answer a new one, and take the one before no more."""
    wanted = await body_of(request, Roll)
    name = CUSTODIAN_KEY if wanted.key == "custodian" else GATEWAY_KEY
    return JSONResponse({"key": rolled_key(portal_of(request).store, name)})


@router.get("/budgets")
async def read_budgets(request: Request) -> Response:
    """Answer the budgets that are kept; at first there are none."""
    return JSONResponse(portal_of(request).spending.budgets.model_dump())


@router.post("/budgets")
async def set_budgets(request: Request) -> Response:
    """Keep these budgets, and no other."""
    portal_of(request).spending.set(await body_of(request, Budgets))
    return await read_budgets(request)


@router.get("/switches")
async def read_switches(request: Request) -> Response:
    """Answer the switches."""
    return JSONResponse({name: portal_of(request).switch(name) for name in SWITCHES})


@router.post("/switches")
async def set_switches(request: Request) -> Response:
    """Turn the switches that are named."""
    wanted = await body_of(request, Switches)
    for name in wanted.model_fields_set:
        portal_of(request).set_switch(name, on=getattr(wanted, name))
    return await read_switches(request)
