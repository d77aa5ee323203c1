"""What a reply means: one table per call, decided without I/O.

The paths are those of Portal's Custodian, Client and Enclave MPC APIs; `{clients}` is where a provider keeps
its clients (see `portal.profiles`). A status means what the call's own
table says, otherwise what it means for every call; an error id, where the enclave names one, goes first.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Generic, TypeVar

from pydantic import ValidationError

from contracts.failures import Failure, StepError
from portal.profiles import DIRECT, Profile
from portal.replies import (
    CipherTextReply,
    ClientReply,
    ClientsReply,
    EjectableReply,
    MpcSharesReply,
    Nothing,
    Reply,
    SessionReply,
    SharesReply,
)

R = TypeVar("R", bound=Reply)

# Longer than Portal could mean; without a bound, one wrong header would stop an eject for good.
_LONGEST_RETRY_AFTER = timedelta(hours=1)

_EVERY_CALL: Mapping[int, Failure] = {
    401: Failure.CREDENTIAL_REJECTED,
    403: Failure.CREDENTIAL_REJECTED,
    404: Failure.NOT_FOUND,
    408: Failure.PORTAL_UNAVAILABLE,
    425: Failure.PORTAL_UNAVAILABLE,
    429: Failure.PORTAL_THROTTLED,
}

# Nothing is missing from such a reply: it would come again and again, and a back up make pairs each time.
_WITHOUT_A_BODY = (204, 205)

# Error ids of the enclave that pass by themselves, whatever status carries them.
_PASSING_IDS = (
    "ERROR",
    "INTERNAL_ERROR",
    "OPERATION_IN_PROGRESS",
    "WEBHOOK_FAILED",
    "WS_NETWORK_ERROR",
    "WS_CLOSED",
    "WS_READ_FAILED",
    "WS_WRITE_FAILED",
    "DKG_FAILED",
    "DKG_REFRESH_FAILED",
    "ENCRYPT_FAILED",
    "SAVE_BACKUP_SHARE_FAILED",
)
_ENCLAVE_IDS: Mapping[str, Failure] = {
    **dict.fromkeys(_PASSING_IDS, Failure.PORTAL_UNAVAILABLE),
    "AUTH_FAILED": Failure.CREDENTIAL_REJECTED,
    "SHARE_PARSING_FAILED": Failure.DEPOSIT_UNREADABLE,
    "DECRYPT_FAILED": Failure.DEPOSIT_UNREADABLE,
}
# Documented ids whose status says enough. No other id is repeated: it could be any text.
_OTHER_IDS = (
    "BAD_REQUEST",
    "NOT_FOUND",
    "STATE_INVALID",
    "MPC_PROTOCOL_UNSUPPORTED",
    "DKG_REFRESH_MISMATCH",
    "METADATA_INVALID",
)
_DOCUMENTED_IDS = frozenset((*_ENCLAVE_IDS, *_OTHER_IDS))


@dataclass(frozen=True)
class Call(Generic[R]):
    """One call: its name for people, its place, the shape of its answer, and what its failures mean."""

    name: str
    method: str
    path: str
    answer: type[R]
    statuses: Mapping[int, Failure] = field(default_factory=dict)
    ids: Mapping[str, Failure] = field(default_factory=dict)


READ_CLIENT = Call("read client", "GET", "{clients}/{client_id}", ClientReply)
LIST_CLIENTS = Call("list clients", "GET", "{clients}", ClientsReply)
MINT_SESSION = Call("mint session token", "POST", "{clients}/{client_id}/sessions", SessionReply)
ENABLE_EJECT = Call("enable eject", "PATCH", "{clients}/{client_id}/enable-eject", EjectableReply)
FETCH_SHARES = Call(
    "fetch shares",
    "GET",
    "{clients}/{client_id}/wallets/{wallet_id}/ejectable-backup-shares",
    SharesReply,
)
READ_CLIENT_AS_ITSELF = Call("read client as itself", "GET", "/clients/me", ClientReply)
STORE_CIPHER_TEXT = Call("store cipher text", "PATCH", "/clients/me/backup-share-pairs/{pair_id}", Nothing)
READ_CIPHER_TEXT = Call(
    "read cipher text", "GET", "/clients/me/backup-share-pairs/{pair_id}/cipher-text", CipherTextReply
)
CONFIRM_BACKUP = Call("confirm backup status", "PATCH", "/clients/me/backup-share-pairs", Nothing)
FETCH_SHARES_AS_CLIENT = Call(
    "fetch shares as client", "GET", "/clients/me/wallets/{wallet_id}/ejectable-backup-shares", SharesReply
)
COMPLETE = Call("complete eject", "POST", "/clients/me/eject", Nothing)
COMPLETE_WALLET = Call(
    "complete eject of a wallet", "PATCH", "/clients/me/wallets/{wallet_id}/complete-eject", Nothing
)
BACK_UP = Call("back up", "POST", "/v1/backup", MpcSharesReply, ids=_ENCLAVE_IDS)

CALLS = tuple(value for value in list(globals().values()) if isinstance(value, Call))


@dataclass(frozen=True)
class RawReply:
    """A reply off the wire: status, headers with lower-case names, and the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def decide(call: Call[R], reply: RawReply, now: datetime, profile: Profile = DIRECT) -> R:
    """Read a reply as the call's answer, or raise `StepError` with what it means. `now` dates `Retry-After`.

    The text of a refusal is Portal's and could repeat what was sent, so only the status and a documented
    error id are told.
    """
    if 200 <= reply.status < 300:
        return _answer(call, reply)
    error_id = _error_id(reply.body) if call.ids else None
    failure = (
        call.ids.get(error_id or "")
        or call.statuses.get(reply.status)
        or profile.meaning(reply.status, reply.body)
        or _meaning(reply.status)
    )
    said = f"{reply.status} {error_id}" if error_id else str(reply.status)
    raise StepError(failure, f"Portal answered {said} to '{call.name}'", retry_after(reply, now))


def _meaning(status: int) -> Failure:
    if status >= 500:
        return Failure.PORTAL_UNAVAILABLE
    return _EVERY_CALL.get(status, Failure.PORTAL_REFUSED)


def _answer(call: Call[R], reply: RawReply) -> R:
    if call.answer is Nothing and not reply.body.lstrip().startswith(b"<"):
        return call.answer()
    if reply.status in _WITHOUT_A_BODY and not reply.body:
        raise _unreadable(call, "its body")
    try:
        body = json.loads(reply.body)
    except (ValueError, RecursionError):  # the latter where it is nested too deep
        # Cut short, or a proxy's page: Portal may have done its work, so the next attempt reads first.
        raise StepError(
            Failure.REPLY_LOST, f"Portal's answer to '{call.name}' was cut short or is not JSON"
        ) from None
    try:
        return call.answer.model_validate(body)
    except ValidationError as error:
        fields = ", ".join(sorted({".".join(str(step) for step in e["loc"]) for e in error.errors()}))
        raise _unreadable(call, fields or "its body") from None


def _unreadable(call: Call[R], where: str) -> StepError:
    return StepError(
        Failure.REPLY_UNREADABLE, f"Portal's answer to '{call.name}' has no or another form of: {where}"
    )


def _error_id(body: bytes) -> str | None:
    """The documented error id, flat `{id}` or nested `{error: {id}}`; anything else is nobody's id."""
    try:
        parsed = json.loads(body)
        inner = parsed.get("error")
        found = inner.get("id") if isinstance(inner, dict) else parsed.get("id")
    except (ValueError, AttributeError, RecursionError):
        return None
    return found if isinstance(found, str) and found in _DOCUMENTED_IDS else None


def retry_after(reply: RawReply, now: datetime) -> timedelta | None:
    """`Retry-After` in both its forms, seconds and an HTTP date; None where absent or senseless."""
    value = reply.headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        wait = timedelta(seconds=min(int(value[:9]), _LONGEST_RETRY_AFTER.total_seconds()))
    else:
        try:
            moment = parsedate_to_datetime(value)
        except (ValueError, OverflowError):  # the latter where its zone is
            return None
        wait = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now
    return min(wait, _LONGEST_RETRY_AFTER) if wait > timedelta(0) else None
