"""What the vault's store answers in place of doing what it was asked: whether a person is needed, or time.

obstore tells S3's answer only in its errors' texts, and a listing's by no type of error; so the status and
S3's error code are read there, and nothing else of a text goes on: it may hold addresses and signatures.
Codes: Amazon S3 API reference, "Error responses".
"""

import re

from obstore.exceptions import BaseError, NotFoundError, PermissionDeniedError, UnauthenticatedError

from contracts.failures import Failure, StepError

_CODE = re.compile(r"<Code>([A-Za-z0-9.]+)</Code>|code: \"([A-Za-z0-9.]+)\"")
_STATUS = re.compile(r"status: ([1-5][0-9]{2}),")

_CREDENTIALS = "The vault refuses this worker's credentials"
_REGION = "The vault's bucket is not in the region or at the endpoint that this worker's settings name"
_NO_BUCKET = "The vault's bucket does not exist"
_KEY = "The vault's store cannot use the key that this worker's settings name for encryption"
_UNABLE = "The vault's store refuses what the vault needs of it"
_CLOCK = "The vault finds this worker's clock wrong: set it"
_CERTIFICATE = "The vault could not be used: its certificate is not trusted"

# What a person mends, by S3's code; what is neither here nor below is told by its status.
_REFUSED = {
    "AccessDenied": _CREDENTIALS,
    "AccountProblem": _CREDENTIALS,
    "AllAccessDisabled": _CREDENTIALS,
    "InvalidAccessKeyId": _CREDENTIALS,
    "InvalidToken": _CREDENTIALS,
    "SignatureDoesNotMatch": _CREDENTIALS,
    "ExpiredToken": f"{_CREDENTIALS}: they have expired",
    "TokenRefreshRequired": f"{_CREDENTIALS}: they have expired",
    "NoSuchBucket": _NO_BUCKET,
    "AuthorizationHeaderMalformed": _REGION,
    "PermanentRedirect": _REGION,
    "TemporaryRedirect": _REGION,
}
# With statuses that else are a person's to mend; these pass by themselves.
_PASSING = {
    "RequestTimeTooSkewed": _CLOCK,
    "RequestTimeout": "The vault could not be used: it waited too long for this worker",
    "BadDigest": "The vault could not be used: a file was damaged on its way",
    "IncompleteBody": "The vault could not be used: a file was damaged on its way",
    "XAmzContentSHA256Mismatch": "The vault could not be used: a file was damaged on its way",
}


def is_missing(error: NotFoundError | FileNotFoundError) -> bool:
    """Whether a file is not there; a bucket that is not there says so in the same way."""
    return _code(str(error)) != "NoSuchBucket"


def as_step_error(error: BaseError | OSError) -> StepError:
    """Retried or parked, in a sentence of ours."""
    text = str(error)
    code, status = _code(text), _status(text)
    if code in _PASSING:
        return StepError(Failure.VAULT_UNAVAILABLE, _PASSING[code])
    if (sentence := _refusal(error, text, code, status)) is not None:
        return StepError(Failure.VAULT_REFUSED, sentence)
    if "InvalidCertificate(" in text:
        return StepError(Failure.VAULT_UNAVAILABLE, _CERTIFICATE)
    told = type(error).__name__ if status is None else f"it answered with status {status}"
    return StepError(Failure.VAULT_UNAVAILABLE, f"The vault could not be used: {told}")


def _refusal(error: Exception, text: str, code: str | None, status: int | None) -> str | None:
    if code in _REFUSED:
        return _REFUSED[code]
    if isinstance(error, PermissionDeniedError | UnauthenticatedError | PermissionError) or status in (
        401,
        403,
    ):
        return _CREDENTIALS
    if "Received redirect without LOCATION" in text:
        return _REGION
    if status in (405, 501) or (status == 400 and code):
        return _KEY if code and code.startswith("KMS.") else f"{_UNABLE}, with status {status}"
    return None


def _code(text: str) -> str | None:
    found = _CODE.search(text)
    return found and (found[1] or found[2])


def _status(text: str) -> int | None:
    found = _STATUS.search(text)
    return int(found[1]) if found else None
