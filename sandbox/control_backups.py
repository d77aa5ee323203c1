"""The control call that gives a client a backup from before."""

from dataclasses import asdict
from datetime import timedelta
from typing import Literal

from fastapi import APIRouter
from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.backups import BadRecipientError, Sealer, make_backup
from sandbox.clients import find_client, wallets_of
from sandbox.control_common import ControlError, Strict, body_of, portal_of
from sandbox.replies import PairStatus

router = APIRouter(prefix="/_sandbox", tags=["sandbox"])


class Backup(Strict):
    """The backup that is made, and how long ago; without a recipient the answer holds a key that opens it."""

    form: Literal["enclave", "sdk", "own"]
    backup_method: str | None = Field(default=None, max_length=64)
    recipient: str | None = None
    seconds_ago: float = Field(default=86_400, ge=0, le=10 * 365 * 86_400, allow_inf_nan=False)
    status: PairStatus = "completed"


@router.post("/clients/{client_id}/backups")
async def add_backup(request: Request) -> Response:
    """Give every wallet of a client one more pair, and answer its shares and what opens its cipher text."""
    wanted = await body_of(request, Backup)
    portal, client_id = portal_of(request), request.path_params["client_id"]
    if find_client(portal.store, client_id) is None:
        raise ControlError("unknown client", 404)
    if not wallets_of(portal.store, client_id):
        raise ControlError("the client has no wallet", 409)
    try:
        sealer = Sealer(wanted.recipient)
    except BadRecipientError:
        raise ControlError("recipient: not an age public key") from None
    at = portal.clock.now() - timedelta(seconds=wanted.seconds_ago)
    with portal.store.transaction():
        kept = make_backup(
            portal.store,
            client_id,
            wanted.form,
            sealer,
            at,
            method=wanted.backup_method,
            status=wanted.status,
        )
    return JSONResponse({"pairs": [asdict(pair) for pair in kept], "secret_box_key": sealer.key_hex})
