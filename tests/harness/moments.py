"""The moments of a step at which a process may die, and a watch that meets each of them as it comes."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from unittest.mock import patch

import httpx
from temporalio import activity
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

from activities.errors import ActivityBoundary
from contracts.names import workflow_id
from contracts.notices import Notice, NoticeData
from custody.vault import Vault
from portal import calls
from portal.profiles import DIRECT
from serving import workers

# What a step reaches for beside Portal's calls, which have the sandbox's names.
VAULT, NOTICE, ITSELF = "vault", "notice", "itself"


class Moment(StrEnum):
    """Where in its work a step is."""

    BEFORE = "before the call"
    ACTED = "after Portal acted"
    REPLIED = "after the reply"
    WRITTEN = "after the vault write"


@dataclass(frozen=True)
class Point:
    """One moment of one access of a step: a call, the vault, or the step itself where it has neither."""

    step: str
    access: str
    moment: Moment

    def __str__(self) -> str:
        return f"{self.step}/{self.access}/{self.moment.name}"

    @classmethod
    def read(cls, text: str) -> "Point":
        """A point from its text."""
        step, access, moment = text.split("/")
        return cls(step, access, Moment[moment])


Meet = Callable[[str, Point], Awaitable[None]]
"""Called with the client's id and the point; the step goes on when it returns."""

# By our own names: whoever imports the sandbox has words of shares in its memory, which a test looks for.
_CALLS = {name.lower(): call for name, call in vars(calls).items() if isinstance(call, calls.Call)}
_CALLS["complete_client"] = _CALLS.pop("complete")
_PATHS = [
    (
        name,
        call.method,
        re.compile(re.sub(r"{\w+}", "[^/]+", call.path.replace("{clients}", DIRECT.clients))),
    )
    for name, call in _CALLS.items()
]
_PREFIX = "/api/v3"
_attempt: ContextVar[tuple[str, str]] = ContextVar("_attempt")


@contextmanager
def watching(meet: Meet, round_workflows: type[WorkflowInboundInterceptor] | None = None) -> Iterator[None]:
    """Have every worker that is made in this block, in this process, meet the moments of its steps."""

    async def at(access: str, moment: Moment) -> None:
        client, step = _attempt.get(("", ""))
        if step:
            await meet(client, Point(step, access, moment))

    class Watched(ActivityInboundInterceptor):
        async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
            _attempt.set((_client_of(input), activity.info().activity_type))
            await at(ITSELF, Moment.BEFORE)
            return await super().execute_activity(input)

    class Watching(ActivityBoundary):
        def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
            return super().intercept_activity(Watched(next))

        def workflow_interceptor_class(
            self,
            input: WorkflowInterceptorClassInput,  # noqa: A002
        ) -> type[WorkflowInboundInterceptor] | None:
            return round_workflows

    send = httpx.AsyncHTTPTransport.handle_async_request

    async def sending(transport: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        access = _call(request)
        await at(access, Moment.BEFORE)
        response = await send(transport, request)
        await at(access, Moment.ACTED)
        assert isinstance(response.stream, httpx.AsyncByteStream)
        response.stream = _Reply(response.stream, lambda: at(access, Moment.REPLIED))
        return response

    def writing(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def patched(*given: Any) -> Any:
            await at(VAULT, Moment.BEFORE)
            written = await method(*given)
            await at(VAULT, Moment.WRITTEN)
            return written

        return patched

    with (
        patch.object(workers, "ActivityBoundary", Watching),
        patch.object(httpx.AsyncHTTPTransport, "handle_async_request", sending),
        patch.object(Vault, "create", writing(Vault.create)),
        patch.object(Vault, "replace", writing(Vault.replace)),
        patch.object(Vault, "remove_all", writing(Vault.remove_all)),
    ):
        yield


class _Reply(httpx.AsyncByteStream):
    """A reply that tells when it has been read, or as much of it as anybody wants."""

    def __init__(self, reply: httpx.AsyncByteStream, read: Callable[[], Awaitable[None]]) -> None:
        self._reply, self._read = reply, read

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._reply:
            yield part

    async def aclose(self) -> None:
        await self._reply.aclose()
        await self._read()


def _client_of(given: ExecuteActivityInput) -> str:
    what = given.args[0]
    if isinstance(what, Notice) and isinstance(what.data, NoticeData):
        return what.data.client_id
    return str(activity.info().workflow_id).removeprefix(workflow_id(""))


def _call(request: httpx.Request) -> str:
    for call, method, path in _PATHS:
        if request.method == method and path.fullmatch(request.url.path.removeprefix(_PREFIX)):
            return call
    return NOTICE
