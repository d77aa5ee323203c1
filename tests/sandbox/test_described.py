"""`/openapi.json`: every call is in it, and what is answered is what it says."""

import json
from typing import Any

import pytest

from sandbox.calls import Route
from sandbox.routes import ROUTES
from tests.sandbox.harness import CLIENTS, GATEWAY, ME, Box
from tests.seeds.described import Described, Field


@pytest.fixture
async def described(box: Box) -> Described:
    """Read the description as callers do."""
    return Described((await box.http.get("/openapi.json")).json())


async def test_every_call_is_described(box: Box, described: Described) -> None:
    """Each route and each control call has an operation with a name of its own, a text and its replies."""
    operations = {
        (path, method): each
        for path, methods in described.document["paths"].items()
        for method, each in methods.items()
    }
    assert {(route.path, route.method.lower()) for route in ROUTES} <= set(operations)
    control = {path for path, _method in operations if path.startswith("/_sandbox/")}
    assert {"/_sandbox/seed", "/_sandbox/journal", "/_sandbox/clients/{client_id}/backups"} <= control
    names = [each["operationId"] for each in operations.values()]
    assert len(names) == len(set(names)) == len(ROUTES) + 16
    assert all(each["description"] and each["responses"] for each in operations.values())


async def test_each_surface_names_its_credential(described: Described) -> None:
    """Portal's calls want a bearer, the gateway's want Tatum's header."""
    bearer = {"type": "http", "scheme": "bearer"}
    key = {"type": "apiKey", "in": "header", "name": "x-api-key"}
    for route in ROUTES:
        operation = described.operation(route.method.lower(), route.path)
        assert described.security(operation) == (key if route.path.startswith("/v4/") else bearer)


async def test_requests_and_parameters(described: Described) -> None:
    """Bodies say what they must have, paths and queries what they take, closed words are listed."""
    assert described.fields("EnableEject") == {
        Field("walletId", required=True),
        Field("ejectableUntil", nullable=True),
    }
    assert described.fields("StoreCipherText") == {Field("clientCipherText", required=True)}
    assert described.fields("ConfirmBackup") == {
        Field("backupSharePairIds", "array", required=True),
        Field("status", required=True),
    }
    status = described.document["components"]["schemas"]["ConfirmBackup"]["properties"]["status"]
    assert status["enum"] == ["STORED_CLIENT_BACKUP_SHARE", "STORED_CLIENT_BACKUP_SHARE_KEY"]
    fetch = described.operation("get", ME + "/wallets/{walletId}/ejectable-backup-shares")
    assert described.parameters(fetch, "path") == {Field("walletId", required=True)}
    assert described.parameters(fetch, "query") == {Field("backupMethod", required=True)}
    (query,) = (each for each in fetch["parameters"] if each["in"] == "query")
    assert set(query["schema"]["enum"]) == {"GDRIVE", "ICLOUD", "PASSWORD", "PASSKEY"}
    listing = described.operation("get", GATEWAY)
    assert described.parameters(listing, "query") == {Field("cursor"), Field("take", "integer")}


def _schema(described: Described, route: Route, status: int, content: str) -> Any:
    replies = described.operation(route.method.lower(), route.path)["responses"]
    return replies[str(status)].get("content", {}).get(content, {}).get("schema")


async def _made(box: Box) -> dict[str, str]:
    """Make a client that is ready for every call, and answer what fills paths."""
    owner = await box.seed()
    share = (await box.back_up(owner))["SECP256K1"]
    path = f"{ME}/backup-share-pairs/{share['id']}"
    await box.call("PATCH", path, owner.client_api_key, json={"clientCipherText": "sealed"})
    await box.confirm(owner, share["id"])
    wallet = (await box.wallet(owner))["id"]
    await box.enable(owner, wallet)
    return {
        "clientId": owner.client_id,
        "walletId": wallet,
        "backupSharePairId": share["id"],
        "key": owner.client_api_key,
        "generateResponse": owner.generate_response,
    }


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.operation)
async def test_replies_are_as_described(box: Box, described: Described, route: Route) -> None:
    """A success, a refusal for want of a credential and one for a wrong body conform to the description."""
    made = await _made(box)
    if route.call == "generate":
        made["key"] = (await box.seed(curves=[])).client_api_key
    bodies: dict[str, Any] = {
        "enable_eject": {"walletId": made["walletId"]},
        "store_cipher_text": {"clientCipherText": "sealed"},
        "confirm_backup": {
            "backupSharePairIds": [made["backupSharePairId"]],
            "status": "STORED_CLIENT_BACKUP_SHARE",
        },
        "back_up": {"generateResponse": made["generateResponse"]},
    }
    path = route.path.format(**made) + "?backupMethod=PASSWORD"
    token = box.custodian_key if route.path.startswith(CLIENTS) else made["key"]
    right = {"Authorization": f"Bearer {token}"}
    if route.path.startswith(GATEWAY):
        right = {"x-api-key": box.gateway_key}
    wrong_body = [(right, {"content": "["})] if route.takes else []
    tries: list[tuple[dict[str, str], Any]] = [({}, None), *wrong_body, (right, None)]
    seen = set()
    for headers, wrong in tries:
        options = wrong or {"json": bodies.get(route.call, {})}
        reply = await box.http.request(route.method, path, headers=headers, **options)
        content = reply.headers.get("content-type", "").partition(";")[0]
        schema = _schema(described, route, reply.status_code, content)
        seen.add(reply.status_code)
        if schema is None:
            assert (reply.status_code, reply.content) == (204, b"")
        else:
            assert described.conforms(reply.json() if "json" in content else reply.text, schema)
    assert 401 in seen
    assert seen & {200, 204}
    assert bool(seen & {400, 422}) == (route.takes is not None)


async def test_conformance_can_fail(described: Described) -> None:
    """What lacks a field, has one too many, or has another type or word does not conform."""
    pair = {"$ref": "#/components/schemas/BackupSharePair"}
    share = {"$ref": "#/components/schemas/MpcShare"}
    good = {"id": "a", "status": "completed"}
    assert described.conforms(good, pair)
    for wrong in (
        good | {"status": "done"},
        good | {"id": 1},
        good | {"more": ""},
        {},
        None,
        json.dumps(good),
    ):
        assert not described.conforms(wrong, pair)
    assert not described.conforms({"id": "a"}, share)
