"""Create, mint, read, list, and who may call what."""

import pytest

from tests.sandbox.harness import CLIENTS, ME, Box

DAY = 86_400


async def test_created_client_has_credentials_and_no_wallets(box: Box) -> None:
    """Create client answers the documented fields, both credentials work, and nothing is generated yet."""
    made = (await box.custodian("POST", CLIENTS, json={"isAccountAbstracted": True})).json()
    assert set(made) == {"id", "clientApiKey", "clientSessionToken", "isAccountAbstracted"}
    assert made["isAccountAbstracted"] is True
    assert made["id"].isalnum() and len(made["id"]) == 25
    for token in (made["clientApiKey"], made["clientSessionToken"]):
        client = (await box.call("GET", ME, token)).json()
        assert (client["id"], client["wallets"], client["ejectedAt"]) == (made["id"], [], None)
        assert client["metadata"] == {"namespaces": {}}


async def test_minted_session_is_the_clients(box: Box) -> None:
    """A minted session token acts as the client that it was minted for, beside the API key."""
    owner = await box.seed()
    reply = await box.custodian("POST", f"{CLIENTS}/{owner.client_id}/sessions", json={})
    assert reply.status_code == 200
    assert set(reply.json()) == {"id", "clientSessionToken", "isAccountAbstracted"}
    client = (await box.call("GET", ME, reply.json()["clientSessionToken"])).json()
    assert client["id"] == owner.client_id


async def test_custodian_and_client_read_the_same(box: Box) -> None:
    """Both reads show one client in the same documented shape."""
    owner = await box.seed()
    own = (await box.call("GET", ME, owner.client_api_key)).json()
    assert own == await box.read(owner.client_id)
    assert set(own["environment"]) == {"id", "name", "backupWithPortalEnabled", "isMultiBackupEnabled"}
    for wallet in own["wallets"]:
        assert set(wallet) == {
            *(
                "id",
                "createdAt",
                "curve",
                "publicKey",
                "ejectableUntil",
                "backupSharePairs",
                "signingSharePairs",
            )
        }


async def test_listing_pages_through_all_clients(box: Box) -> None:
    """Following the cursor sees every client once, and `take` is 100 at most."""
    made = [(await box.custodian("POST", CLIENTS)).json()["id"] for _ in range(5)]
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        reply = await box.custodian("GET", CLIENTS, params={"take": 2, "cursor": cursor})
        page = reply.json()
        assert len(page["results"]) <= 2 and page["metadata"]["total"] == 5
        seen += [client["id"] for client in page["results"]]
        cursor = page["metadata"]["cursor"]
    assert seen == made
    for wrong in ({"take": "101"}, {"take": "0"}, {"take": "x"}, {"cursor": "unknown"}):
        reply = await box.custodian("GET", CLIENTS, params=wrong)
        assert (reply.status_code, list(reply.json())) == (400, ["error"])


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", CLIENTS),
        ("GET", CLIENTS),
        ("GET", CLIENTS + "/{client}"),
        ("POST", CLIENTS + "/{client}/sessions"),
        ("PATCH", CLIENTS + "/{client}/enable-eject"),
        ("GET", CLIENTS + "/{client}/wallets/w/ejectable-backup-shares"),
    ],
)
async def test_custodian_calls_refuse_other_credentials(box: Box, method: str, path: str) -> None:
    """A custodian call without a credential, with a wrong one, or with a client's is a 401 with `{error}`."""
    owner = await box.seed()
    path = path.format(client=owner.client_id)
    replies = [await box.http.request(method, path)]
    replies += [await box.call(method, path, token) for token in ("wrong", owner.client_api_key)]
    for reply in replies:
        assert (reply.status_code, list(reply.json())) == (401, ["error"])


@pytest.mark.parametrize(
    ("method", "path", "fields"),
    [
        ("GET", ME, ["error"]),
        ("PATCH", ME + "/backup-share-pairs/p", ["error"]),
        ("GET", ME + "/backup-share-pairs/p/cipher-text", ["error"]),
        ("PATCH", ME + "/backup-share-pairs", []),
        ("POST", ME + "/eject", ["error"]),
    ],
)
async def test_client_calls_refuse_other_credentials(
    box: Box, method: str, path: str, fields: list[str]
) -> None:
    """A client call without a credential, with a wrong one, or with the custodian's is a 401 in JSON."""
    replies = [await box.http.request(method, path)]
    replies += [await box.call(method, path, token) for token in ("wrong", box.custodian_key)]
    for reply in replies:
        assert (reply.status_code, list(reply.json())) == (401, fields)


@pytest.mark.parametrize("path", ["/v1/generate", "/v1/backup"])
async def test_enclave_calls_refuse_other_credentials_in_plain_text(box: Box, path: str) -> None:
    """The enclave's 401 is plain text, and says so when the header is missing."""
    missing = await box.http.post(path)
    assert (missing.status_code, missing.text) == (401, "Authorization header is missing")
    for token in ("wrong", box.custodian_key):
        reply = await box.call("POST", path, token)
        assert reply.status_code == 401
        assert reply.headers["content-type"].startswith("text/plain")


async def test_session_lapses_after_a_day_without_use(box: Box) -> None:
    """A session that is used each day lives on; a day without use ends it, and the API key goes on."""
    owner = await box.seed()
    session = f"{CLIENTS}/{owner.client_id}/sessions"
    token = (await box.custodian("POST", session)).json()["clientSessionToken"]
    for _ in range(3):
        await box.control("clock", {"advance_seconds": DAY - 60})
        assert (await box.call("GET", ME, token)).status_code == 200
    await box.control("clock", {"advance_seconds": DAY})
    assert (await box.call("GET", ME, token)).status_code == 401
    assert (await box.call("GET", ME, owner.client_api_key)).status_code == 200


async def test_session_ends_after_seven_days_of_use(box: Box) -> None:
    """However often it is used, a session ends after seven days."""
    owner = await box.seed()
    token = (await box.custodian("POST", f"{CLIENTS}/{owner.client_id}/sessions")).json()[
        "clientSessionToken"
    ]
    statuses = []
    for _ in range(15):
        await box.control("clock", {"advance_seconds": DAY / 2})
        statuses.append((await box.call("GET", ME, token)).status_code)
    assert statuses == [200] * 13 + [401, 401]


async def test_unknown_client_is_named_as_such(box: Box) -> None:
    """Reading or minting for an unknown client is a 404 with `{error}`."""
    for method, path in (("GET", f"{CLIENTS}/nobody"), ("POST", f"{CLIENTS}/nobody/sessions")):
        reply = await box.custodian(method, path)
        assert (reply.status_code, reply.json()) == (404, {"error": "Client not found"})


async def test_bad_bodies_answer_the_documented_400(box: Box) -> None:
    """A body that is no JSON, no object or of wrong types is a 400 with `{error}`, never a 422."""
    for content in (b"{", b"[]", b'{"isAccountAbstracted": "yes"}', b"\xff"):
        reply = await box.custodian("POST", CLIENTS, content=content)
        assert (reply.status_code, list(reply.json())) == (400, ["error"])


async def test_unknown_paths_and_methods_answer_json(box: Box) -> None:
    """What Portal does not have is a 404 or 405 with `{error}`."""
    assert (await box.http.get("/api/v3/nothing")).json() == {"error": "Not Found"}
    assert (await box.http.delete(ME)).status_code == 405
