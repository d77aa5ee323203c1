"""How a Portal call is served: faults, who calls, the work, one commit with its journal line, the reply."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, TypeVar

from pydantic import BaseModel
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from sandbox import credentials, gateway, journal
from sandbox.bodies import BadBodyError, parse
from sandbox.errors import InvalidError, RefusedError
from sandbox.portal import Portal
from sandbox.replies import Answer

B = TypeVar("B", bound=BaseModel)

_UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


class Surface(Enum):
    """The API that a call belongs to, which decides the credential and the form of errors."""

    CUSTODIAN = "custodian"
    CLIENT = "client"
    ENCLAVE = "enclave"
    GATEWAY = "gateway"

    @property
    def budget(self) -> str:
        """Answer which of the budgets its calls spend."""
        return "custodian" if self is Surface.GATEWAY else self.value

    @property
    def via(self) -> str:
        """Answer whose front door it is, for the journal."""
        return "gateway" if self is Surface.GATEWAY else "portal"


@dataclass(frozen=True)
class Reply:
    """What a call answers, 204 where there is no body, and the name of what it changed."""

    body: Answer | Mapping[str, Any] | None = None
    effect: str | None = None

    def response(self, *, empty_status: int) -> Response:
        """Write the reply."""
        if self.body is None:
            return Response(status_code=empty_status)
        if isinstance(self.body, Answer):
            return JSONResponse(self.body.model_dump(exclude_unset=True))
        return JSONResponse(self.body)


@dataclass
class Call:
    """One authenticated call in progress. The ids are what the journal will name."""

    portal: Portal
    path: Mapping[str, str]
    query: Mapping[str, str]
    raw: bytes
    now: datetime
    client_id: str | None
    wallet_id: str | None = None
    trace: str | None = None

    def body(self, model: type[B]) -> B:
        """Read the body; an absent one counts as an empty object."""
        try:
            return parse(model, self.raw.strip() or b"{}")
        except BadBodyError:
            raise InvalidError("Can't parse the request body") from None


@dataclass(frozen=True)
class Query:
    """A parameter in a call's query, for the description of the call."""

    name: str
    schema: Mapping[str, Any] = field(hash=False)
    required: bool = False


@dataclass(frozen=True)
class Route:
    """One call: its stable name, where it is, what it does, and what it takes and gives.

    Both surfaces of a custodian's call have one name, so that a fault planned for it meets both.
    """

    call: str
    surface: Surface
    method: str
    path: str
    work: Callable[[Call], Reply]
    takes: type[BaseModel] | None = None
    gives: tuple[type[Answer], ...] = ()
    query: tuple[Query, ...] = ()
    unknown: bool = False
    """Whether what the path names can be a 404."""
    bare_errors: bool = False

    @property
    def operation(self) -> str:
        """Answer a name that no other route has."""
        return f"gateway_{self.call}" if self.surface is Surface.GATEWAY else self.call

    def refusal(self, refused: RefusedError) -> Response:
        """Write a refusal as this call's API documents it."""
        if self.bare_errors:
            return JSONResponse({}, refused.status)
        if self.surface is Surface.GATEWAY:
            return gateway.refusal(refused)
        if self.surface is not Surface.ENCLAVE:
            return JSONResponse({"error": refused.reason}, refused.status)
        if refused.status == 401:
            return PlainTextResponse(refused.reason, refused.status)
        return JSONResponse({"id": refused.error_id, "message": refused.reason}, refused.status)


async def serve(route: Route, portal: Portal, request: Request) -> Response:
    """Answer one call. What it changed is committed, with its line in the journal, before the answer."""
    try:
        raw = await request.body()
    except ClientDisconnect:
        return Response(status_code=400)  # nobody is left to read it
    # At the gateway `Authorization` counts for nothing: it must not even name a client.
    token = request.headers.get(gateway.HEADER) if route.surface is Surface.GATEWAY else _bearer(request)
    path, trace = dict(request.path_params), _trace(request)
    named = path.get("clientId") or credentials.client_of(portal.store, token, portal.clock.now())
    wait = portal.spending.spend(route.surface.budget, portal.clock.now())
    if wait is not None:
        _note(portal, route, 429, named, path.get("walletId"))
        return Response(status_code=429, headers={"Retry-After": str(wait)})
    fault = portal.faults.take(route.call, named)
    if fault is not None and (instead := await fault.before(request)) is not None:
        place = path.get("walletId")
        _note(portal, route, instead.status_code, named, place, fault=fault.kind, trace=trace)
        return instead
    query, now = dict(request.query_params), portal.clock.now()
    call = Call(portal, path, query, raw, now, named, path.get("walletId"), trace)
    has_header = "authorization" in request.headers
    if fault is None:
        return _perform(route, call, token, has_header=has_header, fault=None)
    return fault.after(_perform(route, call, token, has_header=has_header, fault=fault.kind))


def _perform(route: Route, call: Call, token: str | None, *, has_header: bool, fault: str | None) -> Response:
    with call.portal.store.transaction():
        effect = None
        try:
            call.client_id = _authenticate(route, call, token, has_header=has_header)
            reply = route.work(call)
        except RefusedError as refused:  # works refuse before their first change
            response = route.refusal(refused)
        else:
            empty_status = 200 if call.portal.switch("empty_200") else 204
            response, effect = reply.response(empty_status=empty_status), reply.effect
        _note(
            call.portal,
            route,
            response.status_code,
            call.client_id,
            call.wallet_id,
            effect=effect,
            fault=fault,
            trace=call.trace,
        )
    return response


def _authenticate(route: Route, call: Call, token: str | None, *, has_header: bool) -> str | None:
    if route.surface is Surface.GATEWAY:
        gateway.authenticate(call.portal, token)
        return call.client_id
    if route.surface is Surface.CUSTODIAN:
        if not credentials.is_custodian(call.portal.custodian_key, token):
            raise RefusedError("Unauthorized", 401)
        return call.client_id
    client_id = credentials.client_of(call.portal.store, token, call.now)
    if token is None or client_id is None:
        raise RefusedError("Unauthorized" if has_header else "Authorization header is missing", 401)
    credentials.extend(call.portal.store, token, call.now)
    return client_id


def _bearer(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def _trace(request: Request) -> str | None:
    """The caller's trace id where it has the documented form; other text could be anything."""
    given = request.headers.get("x-portal-trace-id", "")
    return given if _UUID4.fullmatch(given) else None


def _note(
    portal: Portal,
    route: Route,
    status: int,
    client_id: str | None,
    wallet_id: str | None,
    *,
    effect: str | None = None,
    fault: str | None = None,
    trace: str | None = None,
) -> None:
    line = journal.Line(route.call, route.surface.via, client_id, wallet_id, status, effect, fault, trace)
    journal.write(portal.store, portal.clock.now(), line)
