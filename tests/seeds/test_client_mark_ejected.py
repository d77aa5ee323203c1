"""Mark client as ejected: POST /clients/me/eject on the Client API."""

from datetime import datetime
from typing import Any

import pytest

from tests.seeds.described import Field
from tests.seeds.service import API, Service
from tests.seeds.wire import CLIENTS_TOKEN, sent

PATH = "/clients/me/eject"


def test_description_is_the_documented_one(service: Service) -> None:
    """Bearer, an optional body of two optional words, 204 without content, 400 and 401 with an error."""
    described = service.described()
    call = described.operation("post", API + PATH)
    assert described.security(call) == {"type": "http", "scheme": "bearer"}
    assert call["parameters"] == []
    assert call["requestBody"]["required"] is False
    body = described.body(call)
    assert described.fields(body) == {Field("clientPlatform"), Field("clientPlatformVersion")}
    assert set(call["responses"]) == {"204", "400", "401"}
    assert "content" not in call["responses"]["204"]
    for status in ("400", "401"):
        assert described.body(call, status) == "ErrorResponse"
    assert described.fields("ErrorResponse") == {Field("error")}


@pytest.mark.parametrize("credential", ["api_key", "session"])
@pytest.mark.parametrize(
    "body",
    [None, {}, {"clientPlatform": "iOS"}, {"clientPlatform": "iOS", "clientPlatformVersion": "17.0"}],
)
def test_marks_the_client(service: Service, credential: str, body: Any) -> None:
    """With an API key or a session token, with any part of the body, it answers 204 and sets `ejectedAt`."""
    user = service.new_user(backed_up=False)
    assert service.read(user.id)["ejectedAt"] is None
    reply = service.portal("POST", PATH, getattr(user, credential), json=body)
    assert (reply.status_code, reply.content) == (204, b"")
    assert datetime.fromisoformat(service.read(user.id)["ejectedAt"]).tzinfo is not None


def test_marks_the_wallets_too(service: Service) -> None:
    """The wallets are marked with the client: completing one of them afterwards is a repeat."""
    user = service.new_user(backed_up=False)
    service.portal("POST", PATH, user.api_key)
    for wallet in user.wallets.values():
        reply = service.portal("PATCH", f"/clients/me/wallets/{wallet}/complete-eject", user.api_key)
        assert reply.status_code == 400


def test_is_irreversible(service: Service) -> None:
    """No later call takes the mark away or moves it."""
    user = service.new_user()
    service.portal("POST", PATH, user.api_key)
    marked = service.read(user.id)["ejectedAt"]
    service.sandbox.switch(repeat_completion_ok=True)
    enable = {"walletId": user.wallets["SECP256K1"]}
    service.portal("POST", PATH, user.api_key)
    service.portal(
        "PATCH", f"/custodians/me/clients/{user.id}/enable-eject", service.custodian_key, json=enable
    )
    service.portal("GET", "/clients/me", user.session)
    assert service.read(user.id)["ejectedAt"] == marked


@pytest.mark.parametrize(
    "body", [{"clientPlatform": 1}, {"clientPlatformVersion": ["17"]}, {"clientPlatform": None}, []]
)
def test_bad_request(service: Service, body: Any) -> None:
    """A body of another form is a 400 with an error text, and marks nothing."""
    user = service.new_user(backed_up=False)
    reply = service.portal("POST", PATH, user.api_key, json=body)
    assert reply.status_code == 400
    assert isinstance(reply.json()["error"], str)
    assert service.read(user.id)["ejectedAt"] is None


def test_unauthorized(service: Service) -> None:
    """Without a credential, with a wrong one or the custodian's key it is a 401 with an error text."""
    user = service.new_user(backed_up=False)
    for token in (None, "nobody", service.custodian_key):
        reply = service.portal("POST", PATH, token)
        assert reply.status_code == 401
        assert isinstance(reply.json()["error"], str)
    assert service.read(user.id)["ejectedAt"] is None


async def test_our_client_sends_it() -> None:
    """POST to Portal's host with the client's bearer, and a JSON object."""
    request = await sent(lambda _, client: client.complete(), None)
    assert (request.method, str(request.url)) == ("POST", "https://api.portalhq.io/api/v3/clients/me/eject")
    assert request.headers["Authorization"] == f"Bearer {CLIENTS_TOKEN}"
    assert request.content == b"{}"
