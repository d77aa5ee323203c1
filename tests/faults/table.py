"""The committed table: every fault that a call of Portal's can meet, and what comes of it at each call."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from contracts.failures import Failure
from portal import calls
from portal.calls import Call
from portal.replies import Nothing

CALLS: dict[str, Call[Any]] = {call.name: call for call in vars(calls).values() if isinstance(call, Call)}
# Of these only the success counts, whatever stands in it.
WITHOUT_ANSWER = tuple(name for name, call in CALLS.items() if call.answer is Nothing)
# What passes by itself; all else waits for a person.
RETRIED = frozenset((Failure.PORTAL_UNAVAILABLE, Failure.PORTAL_THROTTLED, Failure.REPLY_LOST))
_TAKEN: Mapping[str, Failure | None] = dict.fromkeys(WITHOUT_ANSWER)


@dataclass(frozen=True)
class Fault:
    """One fault: how people call it, and what a call that meets it reports; None where it does not notice.

    `but` holds the calls that report something else, `then` what a step makes of an answer that its call
    took. `notice_sent` says whether a notice's receiver that fails so has still said that it took it.
    """

    words: str
    means: Failure | None
    but: Mapping[str, Failure | None] = field(default_factory=dict)
    then: Mapping[str, Failure] = field(default_factory=dict)
    notice_sent: bool = False

    def reported(self, call: str) -> Failure | None:
        """What a call reports, by its name."""
        return self.but.get(call, self.means)

    def parked(self, call: str) -> Failure | None:
        """As what an eject parks when the call meets this once; None where it goes on by itself."""
        failure = self.reported(call) or self.then.get(call)
        return None if failure in RETRIED else failure


UNAVAILABLE, LOST, UNREADABLE = (
    Failure.PORTAL_UNAVAILABLE,
    Failure.REPLY_LOST,
    Failure.REPLY_UNREADABLE,
)

FAULTS: dict[str, Fault] = {
    # Nobody was reached: surely nothing was done.
    "refused": Fault("the connection is refused", UNAVAILABLE),
    "unknown host": Fault("the host's name is unknown", UNAVAILABLE),
    "plain": Fault("no TLS is spoken where it should be", UNAVAILABLE),
    "untrusted": Fault("the certificate is not trusted", UNAVAILABLE),
    "connect timeout": Fault("time-out while connecting (the TLS handshake stalls)", UNAVAILABLE),
    "pool timeout": Fault("time-out while waiting for a connection of ours to be free", UNAVAILABLE),
    # Nobody knows whether it was done.
    "write timeout": Fault("time-out while the request is written", LOST),
    "read timeout": Fault("done, and no reply comes: time-out while reading", LOST),
    "dropped": Fault("done, and the connection is closed without a reply", LOST),
    "reset": Fault("done, and the connection is reset without a reply", LOST),
    "cut": Fault("done, and half of the announced reply comes", LOST, notice_sent=True),
    "cut chunks": Fault("done, and a reply in chunks ends early", LOST, notice_sent=True),
    "cut JSON": Fault("done, and the reply's JSON ends in the middle", LOST, but=_TAKEN, notice_sent=True),
    "page": Fault("a page of HTML with a success, from what stands between", LOST, notice_sent=True),
    "drip": Fault("done, and the reply comes byte by byte", LOST, notice_sent=True),
    "head drip": Fault("done, and the reply's head comes byte by byte", LOST),
    "head flood": Fault("headers without end", LOST),
    "1xx drip": Fault("informational replies one after another", LOST),
    "no HTTP": Fault("what comes is not HTTP", LOST),
    "switch": Fault("101, another protocol", LOST),
    # A refusal, or trouble that Portal tells of.
    "500": Fault("5xx", UNAVAILABLE),
    "503 huge": Fault("5xx with a body of 100 MB", UNAVAILABLE),
    "503 compressed": Fault("5xx with a compressed body", UNAVAILABLE),
    "429 seconds": Fault("429 with `Retry-After` in seconds", Failure.PORTAL_THROTTLED),
    "429 date": Fault("429 with `Retry-After` as a date", Failure.PORTAL_THROTTLED),
    "redirect": Fault("3xx, a redirect (never followed)", Failure.PORTAL_REFUSED),
    # A success of another form.
    "huge": Fault("done, and 100 MB are announced", UNREADABLE, notice_sent=True),
    "huge chunks": Fault("done, and 100 MB come unannounced", UNREADABLE, notice_sent=True),
    "compressed": Fault("done, and the reply is compressed, unasked", UNREADABLE, notice_sent=True),
    "wrong types": Fault("done, and every field has another type", UNREADABLE, but=_TAKEN, notice_sent=True),
    "missing fields": Fault(
        "done, and every field is missing",
        UNREADABLE,
        but={**_TAKEN, calls.BACK_UP.name: None},  # it may hold a share of either curve, or of both
        then={calls.BACK_UP.name: Failure.SHARE_UNREADABLE},
        notice_sent=True,
    ),
    "204": Fault("done, and a success without a body", UNREADABLE, but=_TAKEN, notice_sent=True),
    # No trouble.
    "extra fields": Fault("fields that nobody knows", None, notice_sent=True),
    "hints": Fault("an informational reply before the reply", None, notice_sent=True),
}


def _outcome(failure: Failure | None) -> str:
    if failure is None:
        return "goes on"
    return f"retried (`{failure}`)" if failure in RETRIED else f"**parks** as `{failure}`"


def markdown() -> str:
    """The table for people: each fault, what comes of it, and at which calls something else does."""
    lines = ["| a call meets | what happens | but |", "| --- | --- | --- |"]
    for fault in FAULTS.values():
        others: dict[str, list[str]] = {}
        for call in CALLS:
            failure = fault.reported(call) or fault.then.get(call)
            if failure is not fault.means:
                others.setdefault(_outcome(failure), []).append(f"`{call}`")
        but = "; ".join(f"{', '.join(names)}: {outcome}" for outcome, names in others.items())
        lines.append(f"| {fault.words} | {_outcome(fault.means)} | {but} |")
    return "\n".join(lines) + "\n"
