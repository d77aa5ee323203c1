"""The one place that speaks HTTP to Portal."""

import asyncio
import re
import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from pydantic import SecretStr

from contracts.failures import Failure, StepError
from portal.calls import Call, RawReply, decide
from portal.observer import watcher
from portal.pool import Pool
from portal.profiles import DIRECT, Profile
from portal.replies import Reply

R = TypeVar("R", bound=Reply)

# A reply of Portal's is a few kilobytes; a share with its Paillier numbers some tens.
LARGEST_REPLY = 2_000_000
# Of a refusal only the documented error id is read, which is a few hundred bytes.
_LARGEST_REFUSAL = 64_000
_TIMEOUT = httpx.Timeout(connect=5, write=10, read=30, pool=30)
# The enclave computes while it answers.
_ENCLAVE_TIMEOUT = httpx.Timeout(connect=5, write=10, read=90, pool=30)
_CREDENTIAL = re.compile(r"[!-~]+")


def portal_client(base_url: str, *, enclave: bool = False) -> httpx.AsyncClient:
    """An httpx client as Portal needs it: no proxy from the environment, no redirects, bounded phases."""
    return httpx.AsyncClient(
        base_url=base_url,
        transport=Pool(_trusted()),
        trust_env=False,
        follow_redirects=False,
        timeout=_ENCLAVE_TIMEOUT if enclave else _TIMEOUT,
    )


@cache
def _trusted() -> ssl.SSLContext:
    """The authorities that are trusted; reading them takes longer than all else of opening a client."""
    return httpx.create_ssl_context(trust_env=False)


def whole(timeout: httpx.Timeout) -> float | None:
    """Seconds that one call may take from end to end: each phase once, the wait for a connection within.

    The phases bound the silence between two bytes; without this, a reply that drips would hold an attempt.
    """
    phases = (timeout.connect, timeout.write, timeout.read)
    return None if None in phases else sum(phase or 0 for phase in phases)


async def send(
    http: httpx.AsyncClient,
    call: Call[R],
    credential: SecretStr,
    *,
    ids: dict[str, str] | None = None,
    query: dict[str, str] | None = None,
    body: dict[str, Any] | None = None,
    profile: Profile = DIRECT,
) -> R:
    """Make one call and read its answer; every failure, transport's included, is raised as `StepError`."""
    secret = credential.get_secret_value()
    if not _CREDENTIAL.fullmatch(secret):
        # Sent as it is, it would look like a lost reply for ever, or end in an error that holds it.
        raise StepError(
            Failure.CREDENTIAL_REJECTED, f"The credential for '{call.name}' is not one: copy it again"
        )
    places = {name: quote(value, safe="") for name, value in (ids or {}).items()}
    path = call.path.format_map({"clients": profile.clients} | places)
    with watcher.get()(call.name) as exchange:
        headers = {
            **profile.credential(secret),
            "X-Portal-Trace-Id": exchange.trace,
            # A few compressed bytes could unfold into all of a worker's memory.
            "Accept-Encoding": "identity",
        }
        try:
            async with (
                asyncio.timeout(whole(http.timeout)),
                http.stream(call.method, path, params=query, json=body, headers=headers) as response,
            ):
                exchange.status = response.status_code
                reply = RawReply(
                    response.status_code,
                    {name.lower(): value for name, value in response.headers.items()},
                    await _body(call, response),
                )
            answer = decide(call, reply, _date(reply), profile)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            failed = StepError(
                Failure.PORTAL_UNAVAILABLE,
                f"Portal could not be reached for '{call.name}': {_innermost(error)}",
            )
        except (httpx.HTTPError, TimeoutError) as error:
            # The request may have arrived: nobody knows whether it was done.
            failed = StepError(
                Failure.REPLY_LOST, f"Portal's answer to '{call.name}' was lost: {type(error).__name__}"
            )
        except StepError as known:
            failed = StepError(known.failure, known.sentence, known.retry_after)
        else:
            exchange.answered = True
            return answer
        exchange.failure = failed.failure
    # Not raised up there, where all that it came from would hang on it, a body of Portal's too.
    raise StepError(failed.failure, f"{failed.sentence} (trace {exchange.trace})", failed.retry_after)


def _innermost(error: BaseException) -> str:
    """The type of what began it, which tells an unknown host from a refused connection or certificate."""
    while (earlier := error.__cause__ or error.__context__) is not None:
        error = earlier
    return type(error).__name__


async def _body(call: Call[R], response: httpx.Response) -> bytes:
    """The body as it came; of a refusal no more than could matter, because the status says what it means."""
    compressed = response.headers.get("content-encoding", "identity") != "identity"
    if not response.is_success:
        return b"" if compressed else await _read(response, _LARGEST_REFUSAL)
    if compressed:
        raise StepError(
            Failure.REPLY_UNREADABLE,
            f"Portal's answer to '{call.name}' is compressed, unasked",
        )
    # Only digits ever get here, twenty at most: h11 sees to that.
    announced = int(response.headers.get("content-length", 0))
    body = b"" if announced > LARGEST_REPLY else await _read(response, LARGEST_REPLY + 1)
    if max(announced, len(body)) > LARGEST_REPLY:
        raise StepError(
            Failure.REPLY_UNREADABLE,
            f"Portal's answer to '{call.name}' is larger than {LARGEST_REPLY} bytes",
        )
    return body


async def _read(response: httpx.Response, most: int) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk[: most - len(body)]
        if len(body) == most:
            break
    return bytes(body)


def _date(reply: RawReply) -> datetime:
    """The server's own time, so that a `Retry-After` date is read by the clock that wrote it."""
    try:
        moment = parsedate_to_datetime(reply.headers.get("date", ""))
    except (ValueError, OverflowError):
        return datetime.now(UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
