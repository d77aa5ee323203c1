"""Tatum's gateway to the custodian's calls: a key of its own, and Tatum's errors.

Documented by Tatum: a 401 without a key is `ip-address-key.unauthorized`; one with a wrong key is
`subscription.invalid`, and its message quotes that key; a 403 means that the call is authenticated and still
not possible, for want of permission for instance; used-up credits are a 403 too, of which only prose is
published ("reached the limit of ... credits"), without field names; a request of the wrong form is
`validation.failed`. Inferred: every other `errorCode` below, that Portal's 400 comes through as a 400, and
that a wrong form is a 422 here.

So by what is documented only the word "credits" in the text tells the two 403s apart, never the `errorCode`.
"""

import hmac

from starlette.responses import JSONResponse, PlainTextResponse, Response

from sandbox.errors import InvalidError, RefusedError
from sandbox.portal import Portal
from sandbox.replies import GatewayErrorResponse

HEADER = "x-api-key"
_CREDITS = "You have reached the limit of 10000 credits with your free plan. Upgrade your plan."
_AS_TEXT = "credits.as.text"
_CODES = {400: "portal.refused", 404: "not.found", 422: "validation.failed"}


def authenticate(portal: Portal, key: str | None) -> None:
    """Let the custodian's Tatum key pass, unless a switch refuses it."""
    if key is None:
        raise RefusedError("Authentication required.", 401, "ip-address-key.unauthorized")
    if not hmac.compare_digest(portal.gateway_key.encode(), key.encode()):
        raise RefusedError(f"Unable to find valid subscription for '{key}'", 401, "subscription.invalid")
    if portal.switch("gateway_credits_as_text"):
        raise RefusedError(_CREDITS, 403, _AS_TEXT)
    if portal.switch("gateway_credits_used_up"):
        raise RefusedError(_CREDITS, 403, "credits.limit.reached")
    if portal.switch("gateway_permission_missing"):
        raise RefusedError("The API key has no permission for this operation.", 403, "permission.missing")


def refusal(refused: RefusedError) -> Response:
    """Write a refusal as Tatum does."""
    if refused.error_id == _AS_TEXT:
        return PlainTextResponse(f"{{\n{refused.reason}\n}}", refused.status)
    status = 422 if isinstance(refused, InvalidError) else refused.status
    code = _CODES.get(status, refused.error_id)
    body = GatewayErrorResponse(status_code=status, error_code=code, message=refused.reason)
    return JSONResponse(body.model_dump(), status)
