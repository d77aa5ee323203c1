"""Who calls: the custodian's key, the gateway's, clients' API keys and client session tokens.

The state keeps clients' credentials only as digests.
"""

import hashlib
import hmac
from datetime import datetime, timedelta

from sandbox.clock import moment, stamp
from sandbox.ids import new_token
from sandbox.store import Store

# Portal's session tokens: 24 hours without use, each use extends, 7 days at most.
_UNUSED = timedelta(hours=24)
_AT_MOST = timedelta(days=7)
CUSTODIAN_KEY = "custodian_api_key"
GATEWAY_KEY = "gateway_api_key"


def kept_key(store: Store, name: str, given: str | None = None) -> str:
    """Answer a key of the custodian's: the one given, or the one this state has had."""
    if given is None and (kept := store.setting(name)):
        return kept
    return rolled_key(store, name, given)


def rolled_key(store: Store, name: str, given: str | None = None) -> str:
    """Give the custodian another key, the one given or a new one; the one before works no more."""
    key = given or new_token()
    store.set_setting(name, key)
    return key


def rolled_client_key(store: Store, client_id: str, now: datetime) -> str:
    """Give a client another API key; the one before works no more."""
    store.run("DELETE FROM credentials WHERE client_id = ? AND kind = 'key'", client_id)
    return issue(store, client_id, "key", now)


def is_custodian(key: str, token: str | None) -> bool:
    """Say whether this is the custodian, with Portal's key or with the gateway's."""
    return token is not None and hmac.compare_digest(key.encode(), token.encode())


def issue(store: Store, client_id: str, kind: str, now: datetime) -> str:
    """Make a client's `key` or `session` and answer it, for the only time."""
    # Its beginning is ours, not Portal's: a search for leaked tokens finds any of them by it.
    token = f"sandbox-{kind}-{new_token()}"
    store.run(
        "INSERT INTO credentials (digest, client_id, kind, created_at, used_at) VALUES (?, ?, ?, ?, ?)",
        *(_digest(token), client_id, kind, stamp(now), stamp(now)),
    )
    return token


def client_of(store: Store, token: str | None, now: datetime) -> str | None:
    """Answer whose credential this is, if it is one and has not expired."""
    if token is None:
        return None
    row = store.one("SELECT * FROM credentials WHERE digest = ?", _digest(token))
    if row is None:
        return None
    unused, age = now - moment(row["used_at"]), now - moment(row["created_at"])
    if row["kind"] == "session" and (unused >= _UNUSED or age >= _AT_MOST):
        return None
    client_id: str = row["client_id"]
    return client_id


def extend(store: Store, token: str, now: datetime) -> None:
    """Note that a credential was used, which is what keeps a session alive."""
    store.run("UPDATE credentials SET used_at = ? WHERE digest = ?", stamp(now), _digest(token))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
