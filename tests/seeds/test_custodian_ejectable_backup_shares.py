"""Get ejectable backup shares: GET .../ejectable-backup-shares on the Custodian API."""

import json
from urllib.parse import quote

import httpx

from tests.sandbox.curves import rebuild
from tests.seeds.described import Field
from tests.seeds.service import API, Service
from tests.seeds.wire import CUSTODIANS_KEY, sent

PATH = "/custodians/me/clients/{clientId}/wallets/{walletId}/ejectable-backup-shares"


def fetch(service: Service, client_id: str, wallet_id: str) -> httpx.Response:
    """Call it with the custodian's key."""
    path = PATH.format(clientId=quote(client_id, safe=""), walletId=quote(wallet_id, safe=""))
    return service.portal("GET", path, service.custodian_key)


def test_description_is_the_documented_one(service: Service) -> None:
    """Bearer, two ids in the path, no body; both shares with 200, an error with 400 and 401."""
    described = service.described()
    call = described.operation("get", API + PATH)
    assert described.security(call) == {"type": "http", "scheme": "bearer"}
    wanted = {Field("clientId", required=True), Field("walletId", required=True)}
    assert described.parameters(call, "path") == wanted
    assert described.parameters(call, "query") == set()
    assert "requestBody" not in call
    assert set(call["responses"]) == {"200", "400", "401"}
    assert described.body(call, "200") == "EjectableBackupSharesResponse"
    assert described.fields("EjectableBackupSharesResponse") == {
        Field("encryptedClientBackupShare", nullable=True),
        Field("custodianBackupShare"),
    }
    for status in ("400", "401"):
        assert described.body(call, status) == "ErrorResponse"
    assert described.fields("ErrorResponse") == {Field("error")}


def test_answers_both_shares_of_each_wallet(service: Service) -> None:
    """The client's share comes as it was sent, the custodian's as a JSON string; both are the key."""
    user = service.new_user()
    for curve, wallet in user.wallets.items():
        reply = fetch(service, user.id, wallet)
        assert reply.status_code == 200
        shares = reply.json()
        assert shares["encryptedClientBackupShare"] == f"encrypted {user.shares[curve]['id']}"
        custodian = json.loads(shares["custodianBackupShare"])
        assert custodian["backupSharePairId"] == user.shares[curve]["id"]
        assert {"share", "ssid"} <= set(custodian)
        assert rebuild(curve, user.shares[curve]["share"], shares["custodianBackupShare"])


def test_client_share_is_null_if_it_was_never_sent(service: Service) -> None:
    """A share that Portal does not hold is null; the custodian's is there all the same."""
    user = service.new_user(stored=False)
    shares = fetch(service, user.id, user.wallets["ED25519"]).json()
    assert shares["encryptedClientBackupShare"] is None
    assert json.loads(shares["custodianBackupShare"])["share"]


def test_needs_portal_managed_backups(service: Service) -> None:
    """A custodian without Portal-Managed Backups gets a 400 with an error text."""
    user = service.new_user()
    service.sandbox.change(user.id, backup_with_portal_enabled=False)
    reply = fetch(service, user.id, user.wallets["SECP256K1"])
    assert reply.status_code == 400
    assert isinstance(reply.json()["error"], str)


def test_bad_request(service: Service) -> None:
    """An unknown client or wallet, or another client's wallet, is a 400 with an error text."""
    user, other = service.new_user(), service.new_user(backed_up=False)
    for client_id, wallet_id in (
        (user.id, "unknown"),
        ("unknown", user.wallets["SECP256K1"]),
        (user.id, other.wallets["SECP256K1"]),
        (user.id, "a wallet"),
    ):
        reply = fetch(service, client_id, wallet_id)
        assert reply.status_code == 400
        assert isinstance(reply.json()["error"], str)


def test_unauthorized(service: Service) -> None:
    """No credential, a wrong one, and the client's own are a 401 with an error text."""
    user = service.new_user()
    path = PATH.format(clientId=user.id, walletId=user.wallets["SECP256K1"])
    for token in (None, "nobody", user.api_key, user.session):
        reply = service.portal("GET", path, token)
        assert reply.status_code == 401
        assert isinstance(reply.json()["error"], str)
    assert service.sandbox.journal(client_id=user.id, effect="shares_released") == []


async def test_our_client_sends_it() -> None:
    """GET at Portal's host with the custodian's bearer, both ids in the path, no body."""
    reply = {"encryptedClientBackupShare": None, "custodianBackupShare": "{}"}
    request = await sent(lambda custodian, _: custodian.fetch_shares("client-1", "wallet-1"), reply)
    place = "/custodians/me/clients/client-1/wallets/wallet-1/ejectable-backup-shares"
    assert (request.method, str(request.url)) == ("GET", f"https://api.portalhq.io/api/v3{place}")
    assert request.headers["Authorization"] == f"Bearer {CUSTODIANS_KEY}"
    assert request.content == b""
