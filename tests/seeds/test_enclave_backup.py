"""Back up the client's wallet: POST /v1/backup on the Enclave MPC API."""

import base64
import json
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from tests.seeds.described import Field
from tests.seeds.service import Service, User
from tests.seeds.wire import CLIENTS_TOKEN, sent

PATH = "/v1/backup"


def generated(service: Service) -> tuple[User, dict[str, str]]:
    """Make a client without a backup, and the body that backs it up."""
    customer = service.sandbox.seed()
    user = User(customer.client_id, customer.api_key.get_secret_value(), "", {}, {})
    return user, {"generateResponse": customer.generate_response.get_secret_value()}


def back_up(service: Service, token: str | None, **options: Any) -> httpx.Response:
    """Call it."""
    return service.enclave("POST", PATH, token, **options)


def pairs(service: Service, user: User) -> dict[str, list[tuple[str, str]]]:
    """Answer each curve's backup share pairs: id and status."""
    return {
        wallet["curve"]: [(pair["id"], pair["status"]) for pair in wallet["backupSharePairs"]]
        for wallet in service.read(user.id)["wallets"]
    }


def test_description_is_the_documented_one(service: Service) -> None:
    """Bearer, one required text in a required body; a share per curve, an error with an id, a plain 401."""
    described = service.described()
    call = described.operation("post", PATH)
    assert described.security(call) == {"type": "http", "scheme": "bearer"}
    assert call["parameters"] == []
    assert call["requestBody"]["required"] is True
    assert described.body(call) == "BackupRequest"
    assert described.fields("BackupRequest") == {Field("generateResponse", required=True)}
    assert set(call["responses"]) == {"200", "400", "401"}
    assert described.body(call, "200") == "MpcShareResponse"
    assert described.fields("MpcShareResponse") == {
        Field("SECP256K1", "MpcShare", required=True),
        Field("ED25519", "MpcShare", required=True),
    }
    assert described.fields("MpcShare") == {Field("share", required=True), Field("id", required=True)}
    assert described.body(call, "400") == "MpcErrorResponse"
    assert described.fields("MpcErrorResponse") == {Field("id", required=True), Field("message")}
    assert described.body(call, "401", "text/plain") == "string"


def test_makes_a_share_for_each_curve(service: Service) -> None:
    """The answer has both curves, each with base64 of a share's JSON and an id that the wallet shows."""
    user, body = generated(service)
    reply = back_up(service, user.api_key, json=body)
    assert reply.status_code == 200
    shares = reply.json()
    assert set(shares) == {"SECP256K1", "ED25519"}
    for curve, share in shares.items():
        assert set(share) == {"share", "id"}
        text = share["share"] + "=" * (-len(share["share"]) % 4)
        content = json.loads(base64.b64decode(text, validate=True))
        assert share["share"].startswith("eyJjbGl")
        assert content["backupSharePairId"] == share["id"]
        assert [pair_id for pair_id, _ in pairs(service, user)[curve]] == [share["id"]]


def test_takes_a_session_token_too(service: Service) -> None:
    """A client session token does what the client's API key does."""
    user, body = generated(service)
    path = f"/custodians/me/clients/{user.id}/sessions"
    minted = service.portal("POST", path, service.custodian_key, json={}).json()
    assert back_up(service, minted["clientSessionToken"], json=body).status_code == 200


def test_counts_once_storage_is_confirmed(service: Service) -> None:
    """The pairs are incomplete until the Client API is told that their shares are stored."""
    user, body = generated(service)
    shares = back_up(service, user.api_key, json=body).json()
    assert {status for held in pairs(service, user).values() for _, status in held} == {"incomplete"}
    confirm = {
        "backupSharePairIds": [share["id"] for share in shares.values()],
        "status": "STORED_CLIENT_BACKUP_SHARE",
    }
    reply = service.portal("PATCH", "/clients/me/backup-share-pairs", user.api_key, json=confirm)
    assert reply.status_code == 204
    assert {status for held in pairs(service, user).values() for _, status in held} == {"completed"}


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"generateResponse": 1}', b'{"generate_response": "{}"}', b"null"]
)
def test_bad_request(service: Service, content: bytes) -> None:
    """A body of another form is a 400 with the documented id and message, and makes no pair."""
    user, _body = generated(service)
    reply = back_up(service, user.api_key, content=content)
    assert (reply.status_code, reply.headers["content-type"]) == (400, "application/json")
    assert reply.json() == {"id": "BAD_REQUEST", "message": "Can't parse the request body"}
    assert pairs(service, user) == {"SECP256K1": [], "ED25519": []}


def test_refuses_what_generate_did_not_answer(service: Service) -> None:
    """Another client's response, half of one and nonsense are a 400 with an id; nothing is made."""
    user, body = generated(service)
    _other, foreign = generated(service)
    half = json.loads(body["generateResponse"])
    half.pop("ED25519")
    nonsense = {curve: {"share": "share", "id": "shareId"} for curve in ("SECP256K1", "ED25519")}
    for wrong in (foreign["generateResponse"], json.dumps(half), json.dumps(nonsense), "no JSON"):
        reply = back_up(service, user.api_key, json={"generateResponse": wrong})
        assert reply.status_code == 400
        assert isinstance(reply.json()["id"], str) and isinstance(reply.json()["message"], str)
    assert pairs(service, user) == {"SECP256K1": [], "ED25519": []}


def test_unauthorized(service: Service) -> None:
    """Without the header the answer is the documented plain text; with a wrong credential a plain 401."""
    user, body = generated(service)
    reply = back_up(service, None, json=body)
    assert reply.status_code == 401
    assert reply.headers["content-type"].startswith("text/plain")
    assert reply.text == "Authorization header is missing"
    for token in ("nobody", service.custodian_key):
        reply = back_up(service, token, json=body)
        assert reply.status_code == 401
        assert reply.headers["content-type"].startswith("text/plain")
    assert pairs(service, user) == {"SECP256K1": [], "ED25519": []}


async def test_our_client_sends_it() -> None:
    """POST at the enclave's host with the client's bearer, the generate reply as text in a JSON field."""
    generated = json.dumps({"SECP256K1": {"share": "s", "id": "i"}})
    reply = {"SECP256K1": {"share": "s", "id": "i"}, "ED25519": {"share": "s", "id": "j"}}
    request = await sent(lambda _, client: client.back_up(SecretStr(generated)), reply)
    assert (request.method, str(request.url)) == ("POST", "https://mpc-client.portalhq.io/v1/backup")
    assert request.headers["Authorization"] == f"Bearer {CLIENTS_TOKEN}"
    assert json.loads(request.content) == {"generateResponse": generated}
