"""The works behind the custodian's calls, in the order in which an eject meets them."""

from datetime import timedelta

from sandbox import credentials
from sandbox.bodies import EnableEject, NewClient
from sandbox.calls import Call, Reply
from sandbox.clients import find_client, make_client
from sandbox.clock import stamp
from sandbox.errors import InvalidError, RefusedError
from sandbox.named import client_of, wallet_of
from sandbox.replies import ClientsResponse, EnableEjectResponse, PageMetadata, SessionResponse
from sandbox.showing import show

_FLOOR = timedelta(minutes=1)
_DEFAULT_WINDOW = timedelta(minutes=5)
_MOST_PER_PAGE = 100


def create_client(call: Call) -> Reply:
    """Make a client with its two credentials; it has no wallets until generate."""
    body = call.body(NewClient)
    made = make_client(call.portal.store, call.now, is_account_abstracted=bool(body.is_account_abstracted))
    call.client_id = made.id
    return Reply(made, "client_made")


def mint_session(call: Call) -> Reply:
    """Mint a client session token."""
    body = call.body(NewClient)
    client = client_of(call, unknown=404)
    wanted = body.is_account_abstracted
    session = SessionResponse(
        id=client["id"],
        client_session_token=credentials.issue(call.portal.store, client["id"], "session", call.now),
        is_account_abstracted=bool(client["is_account_abstracted"]) if wanted is None else wanted,
    )
    return Reply(session, "session_made")


def read_client(call: Call) -> Reply:
    """Read a client. That an unknown one is a 404 is inferred: the documents name no status for it."""
    return Reply(show(call.portal, client_of(call, unknown=404)))


def list_clients(call: Call) -> Reply:
    """List clients, oldest first, `take` (100 at most) after the client that `cursor` names."""
    store, cursor = call.portal.store, call.query.get("cursor")
    take = _take(call.query.get("take"))
    after = 0
    if cursor:
        last = find_client(store, cursor)
        if last is None:
            raise InvalidError("Invalid cursor")
        after = last["seq"]
    # One more than asked for tells whether another page follows.
    found = store.all("SELECT * FROM clients WHERE seq > ? ORDER BY seq LIMIT ?", after, take + 1)
    page = found[:take]
    following = page[-1]["id"] if len(found) > take else None
    total = store.value("SELECT count(*) FROM clients")
    return Reply(
        ClientsResponse(
            results=[show(call.portal, client) for client in page],
            metadata=PageMetadata(cursor=following, take=take, total=total),
        )
    )


def enable_eject(call: Call) -> Reply:
    """Open or move a wallet's ejectable window; without a time it is 5 minutes."""
    body = call.body(EnableEject)
    call.wallet_id = body.wallet_id
    client_of(call)
    wallet = wallet_of(call)
    until = body.ejectable_until or call.now + _DEFAULT_WINDOW
    if until < call.now + _FLOOR:
        raise RefusedError("ejectableUntil must be at least 1 minute in the future")
    call.portal.store.run("UPDATE wallets SET ejectable_until = ? WHERE id = ?", stamp(until), wallet["id"])
    return Reply(EnableEjectResponse(ejectable_until=stamp(until)), "window_set")


def _take(text: str | None) -> int:
    try:
        take = int(text or _MOST_PER_PAGE)
    except ValueError:
        take = 0
    if not 1 <= take <= _MOST_PER_PAGE:
        raise InvalidError("take must be between 1 and 100")
    return take
