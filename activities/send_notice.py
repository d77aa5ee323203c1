"""Send notice: tell a service's own address, signed as Standard Webhooks."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx
from standardwebhooks.webhooks import Webhook
from temporalio import activity

from contracts.failures import Failure, StepError
from contracts.notices import Notice, NoticeSent

WITHIN = 10
"""Seconds that a receiver has. Nothing cancels an attempt that its time-out has ended, because it does not
heartbeat: headers that drip would hold the slots of this role until no eject goes on."""


@dataclass(frozen=True)
class SendNoticeStep:
    """Custodian role; knows no share. Whatever the receiver answers but 2xx is tried again.

    With several secrets a notice has a signature by each, as Standard Webhooks says for their rotation.
    """

    http: httpx.AsyncClient
    url: str
    webhooks: tuple[Webhook, ...]
    within: float = WITHIN

    @activity.defn(name="send_notice")
    async def send_notice(self, what: Notice) -> NoticeSent:
        """POST the notice with its id, the time of this attempt, and a signature by each secret."""
        body = what.body()
        sent_at = datetime.now(UTC)  # receivers compare it with their own clocks
        headers = {
            "webhook-id": what.id,
            "webhook-timestamp": str(int(sent_at.timestamp())),
            "webhook-signature": " ".join(one.sign(what.id, sent_at, body) for one in self.webhooks),
            "content-type": "application/json",
        }
        try:
            # Only the status matters: the body is never read, however long it is.
            async with (
                asyncio.timeout(self.within),
                self.http.stream("POST", self.url, content=body, headers=headers) as response,
            ):
                status = response.status_code
        except (httpx.HTTPError, TimeoutError) as error:
            status, kind = 0, type(error).__name__
        if not status:  # not raised up there, where the receiver's words would hang on it
            raise StepError(Failure.RECEIVER_UNAVAILABLE, f"The receiver of notices was not reached: {kind}")
        if not 200 <= status < 300:
            raise StepError(Failure.RECEIVER_UNAVAILABLE, f"The receiver answered {status}")
        return NoticeSent(status=status)
