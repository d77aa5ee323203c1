"""Faults on demand: the next n times a call is made, something goes wrong. One table of kinds."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from sandbox.broken import Cut, Dripping, Stalled, huge, pause
from sandbox.store import Store


class FaultSpec(BaseModel):
    """A fault as it is asked for and listed; the fields after `client_id` belong to some kinds only.

    Instead of the call: `status` answers this status, headers and body; `delay` answers normally, but begins
    `seconds` late. After the call, which has taken effect: `drop` loses the reply, `stall` sends it `seconds`
    late, `cut` sends half of it, `drip` sends it byte by byte, `seconds` after each, `huge` fills it up to so
    many `bytes`; with a `status`, `huge` is a refusal of that size instead of the call.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    call: str
    times: int = Field(default=1, ge=1)
    kind: Literal["status", "delay", "drop", "stall", "cut", "drip", "huge"]
    client_id: str | None = None
    status: int | None = Field(default=None, ge=200, le=599)
    headers: dict[str, str] = {}
    body: Any = None
    content_type: str | None = None
    seconds: float | None = Field(default=None, ge=0, le=3600)
    bytes: int | None = Field(default=None, ge=0, le=1_000_000_000)

    @model_validator(mode="after")
    def _complete(self) -> "FaultSpec":
        for name in KINDS[self.kind].needs:
            if getattr(self, name) is None:
                raise ValueError(f"a fault of kind {self.kind} needs {name}")
        return self


class Dropped(Response):
    """A reply that never arrives: the connection is closed without one byte of it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Close the connection through the handle that the sandbox's own server gives."""
        abort: Callable[[], None] | None = scope.get("state", {}).get("abort")
        if abort is None:
            raise ConnectionResetError("reply dropped")  # served in process, there is no connection
        abort()
        await receive()  # returns once the server knows that the connection is gone


async def _nothing(_spec: FaultSpec, _request: Request) -> Response | None:
    return None


async def _answer(spec: FaultSpec, _request: Request) -> Response | None:
    if isinstance(spec.body, str) or spec.body is None:
        return Response(spec.body, spec.status or 500, spec.headers, spec.content_type or "text/plain")
    return JSONResponse(spec.body, spec.status or 500, spec.headers, spec.content_type)


async def _wait(spec: FaultSpec, request: Request) -> Response | None:
    await pause(request.scope, spec.seconds or 0)
    return None


async def _huge_refusal(spec: FaultSpec, request: Request) -> Response | None:
    refusal = await _answer(spec, request) if spec.status else None
    return refusal and huge(refusal, spec.bytes or 0)


@dataclass(frozen=True)
class Kind:
    """What a kind does before the call (answering here means that nothing is done) and to its reply."""

    needs: tuple[str, ...] = ()
    before: Callable[[FaultSpec, Request], Awaitable[Response | None]] = _nothing
    after: Callable[[FaultSpec, Response], Response] = lambda _spec, response: response


KINDS = {
    "status": Kind(needs=("status",), before=_answer),
    "delay": Kind(needs=("seconds",), before=_wait),
    "drop": Kind(after=lambda _spec, _response: Dropped()),
    "stall": Kind(needs=("seconds",), after=lambda spec, response: Stalled(response, spec.seconds or 0)),
    "cut": Kind(after=lambda _spec, response: Cut(response)),
    "drip": Kind(needs=("seconds",), after=lambda spec, response: Dripping(response, spec.seconds or 0)),
    "huge": Kind(
        needs=("bytes",),
        before=_huge_refusal,
        after=lambda spec, response: huge(response, spec.bytes or 0),
    ),
}


@dataclass(frozen=True)
class Fault:
    """A fault that met a call."""

    spec: FaultSpec

    @property
    def kind(self) -> str:
        """Its kind, for the journal."""
        return self.spec.kind

    async def before(self, request: Request) -> Response | None:
        """Do what comes before the call; a reply stands in for the call."""
        return await KINDS[self.kind].before(self.spec, request)

    def after(self, response: Response) -> Response:
        """Turn the call's reply into what arrives."""
        return KINDS[self.kind].after(self.spec, response)


class Faults:
    """The faults still to come, kept in the state."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, spec: FaultSpec) -> None:
        """Plan a fault after those already planned."""
        sql = "INSERT INTO faults (call, client_id, times, spec) VALUES (?, ?, ?, ?)"
        self._store.run(sql, spec.call, spec.client_id, spec.times, spec.model_dump_json(exclude_unset=True))

    def left(self) -> list[FaultSpec]:
        """Answer what is still to come, with the times left."""
        rows = self._store.all("SELECT spec, times FROM faults ORDER BY seq")
        return [_read(row["spec"], row["times"]) for row in rows]

    def clear(self) -> int:
        """Forget all of them and answer how many there were."""
        return self._store.run("DELETE FROM faults")

    def take(self, call: str, client_id: str | None) -> Fault | None:
        """Use up one time of the first fault planned for this call, if there is one."""
        row = self._store.one(
            "SELECT * FROM faults WHERE call = ? AND (client_id IS NULL OR client_id = ?)"
            " ORDER BY seq LIMIT 1",
            *(call, client_id),
        )
        if row is None:
            return None
        with self._store.transaction():
            self._store.run("UPDATE faults SET times = times - 1 WHERE seq = ?", row["seq"])
            self._store.run("DELETE FROM faults WHERE seq = ? AND times < 1", row["seq"])
        return Fault(_read(row["spec"], row["times"]))


def _read(spec: str, times: int) -> FaultSpec:
    return FaultSpec.model_validate_json(spec).model_copy(update={"times": times})
