"""Whether a host of Portal's answers; nothing changes by it."""

import socket
import ssl
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx

from contracts.failures import Failure, StepError


async def reach(http: httpx.AsyncClient) -> timedelta | None:
    """Have a host answer anything at all; how far its clock is before ours, None where it does not tell.

    `StepError` says why it does not answer. Its clock is read to the second.
    """
    try:
        async with http.stream("GET", "") as response:
            now = datetime.now(UTC)
    except httpx.HTTPError as error:
        raise StepError(Failure.PORTAL_UNAVAILABLE, _why(error)) from None
    if response.status_code >= 500:
        raise StepError(Failure.PORTAL_UNAVAILABLE, f"answers {response.status_code}")
    try:
        theirs = parsedate_to_datetime(response.headers.get("date", ""))
    except (ValueError, OverflowError):
        return None
    return (theirs if theirs.tzinfo else theirs.replace(tzinfo=UTC)) - now


def _why(error: BaseException) -> str:
    """What began it; a certificate's own trouble is in OpenSSL's words, which hold none of ours."""
    timeout = isinstance(error, httpx.TimeoutException)
    while (earlier := error.__cause__ or error.__context__) is not None:
        error = earlier
    match error:
        case ssl.SSLCertVerificationError():
            return f"has a certificate that is not trusted ({error.verify_message})"
        case ssl.SSLError():
            return "speaks no TLS that this machine knows"
        case socket.gaierror():
            return "has a name that nobody knows"
        case ConnectionRefusedError():
            return "is not there: nobody listens"
        case _:
            return "does not answer in time" if timeout else f"does not answer ({type(error).__name__})"
