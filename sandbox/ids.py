"""Names and secrets that look like Portal's."""

import secrets
import time

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def new_id() -> str:
    """Make an id as Portal's look: a cuid, `c`, the time in base 36, then letters and digits."""
    millis, time_part = time.time_ns() // 1_000_000, ""
    while millis:
        millis, digit = divmod(millis, 36)
        time_part = _DIGITS[digit] + time_part
    return "c" + time_part + "".join(secrets.choice(_DIGITS) for _ in range(24 - len(time_part)))


def new_token() -> str:
    """Make an API key or a session token (their form is not documented: opaque text)."""
    return secrets.token_urlsafe(32)
