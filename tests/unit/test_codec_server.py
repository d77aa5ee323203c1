"""The codec server's answers: to whom it shows payloads, to which pages, and what it refuses."""

import base64
import logging
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from google.protobuf.json_format import MessageToJson, Parse
from pydantic import SecretStr
from temporalio.api.common.v1 import Payload, Payloads

import codec_server
from codec_server import LARGEST_BODY, make_app
from runtime.codec import EjectCodec
from tests.harness.codecs import TOKEN, UI, new_key

CODEC = EjectCodec({"a": new_key()})
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'"PLANTED words"')
BEARER = {"Authorization": f"Bearer {TOKEN}"}
ELSEWHERE = "https://ui.example"


@pytest_asyncio.fixture(loop_scope="session")
async def server() -> AsyncIterator[httpx.AsyncClient]:
    """The server without a socket."""
    transport = httpx.ASGITransport(make_app(CODEC, SecretStr(TOKEN), [UI]))
    async with httpx.AsyncClient(transport=transport, base_url="http://codec", trust_env=False) as client:
        yield client


def body_of(*payloads: Payload) -> str:
    """As the UI and the CLI send them."""
    return MessageToJson(Payloads(payloads=payloads))


def basic(password: str, user: str = "anybody") -> dict[str, str]:
    """As a browser sends what a person typed."""
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


@pytest.mark.parametrize("auth", [BEARER, basic(TOKEN), basic(TOKEN, "")], ids=["bearer", "basic", "no user"])
async def test_payloads_go_there_and_back(server: httpx.AsyncClient, auth: dict[str, str]) -> None:
    """What it encodes our workers read, and what they encoded it shows."""
    encoded = await server.post("/encode", content=body_of(PLAIN, PLAIN), headers=auth)
    assert encoded.status_code == 200
    assert "PLANTED" not in encoded.text
    sealed = Parse(encoded.text, Payloads()).payloads
    assert [CODEC.open(payload) for payload in sealed] == [PLAIN, PLAIN]
    shown = await server.post(
        "/decode?preserveStorageRefs=true", content=body_of(*sealed, PLAIN), headers=auth
    )
    assert shown.status_code == 200
    assert list(Parse(shown.text, Payloads()).payloads) == [PLAIN] * 3
    assert {reply.headers["cache-control"] for reply in (encoded, shown)} == {"no-store"}
    empty = await server.post("/decode", content="{}", headers=auth)
    assert (empty.status_code, empty.json()) == (200, {})


@pytest.mark.parametrize(
    "auth",
    [
        {},
        {"Authorization": ""},
        {"Authorization": TOKEN},
        {"Authorization": f"Digest {TOKEN}"},
        {"Authorization": "Bearer "},
        {"Authorization": f"Bearer {TOKEN[:-1]}"},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Bearer {TOKEN.upper()}é".encode("latin-1")},
        {"Authorization": "Basic !"},
        {"Authorization": "Basic " + base64.b64encode(b"\xff:\xff").decode()},
        basic(""),
        basic("another"),
        {"Authorization": "Basic " + base64.b64encode(TOKEN.encode()).decode()},
    ],
    ids=range(13),
)
@pytest.mark.parametrize("path", ["/encode", "/decode", "/"])
async def test_nobody_is_served_without_the_token(
    server: httpx.AsyncClient, path: str, auth: dict[str, str]
) -> None:
    """One sentence, before the body is looked at."""
    method = "GET" if path == "/" else "POST"
    reply = await server.request(method, path, content="no payloads" * (path != "/"), headers=auth)
    assert reply.status_code == 401
    assert reply.headers["www-authenticate"].startswith("Basic realm=")
    assert reply.text.startswith("Give the codec server's token")


async def test_its_health_is_anybodys(server: httpx.AsyncClient) -> None:
    """A probe has no token; a browser that signed in is told so."""
    assert (await server.get("/health")).text == "serving"
    assert (await server.get("/", headers=basic(TOKEN))).status_code == 200


@pytest.mark.parametrize(("origin", "allowed"), [(UI, True), (ELSEWHERE, False), ("null", False)])
async def test_only_pages_of_the_ui_may_read(server: httpx.AsyncClient, origin: str, allowed: bool) -> None:
    """A browser asks first, without a token; another page gets no permission, at the call itself neither."""
    asking = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,x-namespace,authorization",
    }
    preflight = await server.options("/decode", headers=asking)
    assert preflight.is_success is allowed
    content = body_of(*await CODEC.encode([PLAIN]))
    call = await server.post("/decode", content=content, headers=BEARER | {"Origin": origin})
    refused = await server.post("/decode", content=content, headers={"Origin": origin})
    assert refused.status_code == 401
    for reply in (preflight, call, refused):
        assert reply.headers.get("access-control-allow-origin") == (origin if allowed else None)
    if allowed:
        assert preflight.headers["access-control-allow-credentials"] == "true"
        assert "authorization" in preflight.headers["access-control-allow-headers"].lower()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "PLANTED",
        '["PLANTED"]',
        '{"PLANTED": []}',
        '{"payloads": [{"metadata": "PLANTED"}]}',
        "[" * 50000,
        b"\xff\xfe",
    ],
    ids=range(7),
)
@pytest.mark.parametrize("path", ["/encode", "/decode"])
async def test_what_is_no_payloads_is_refused(
    server: httpx.AsyncClient, path: str, content: str | bytes
) -> None:
    """In a sentence that does not repeat it."""
    reply = await server.post(path, content=content, headers=BEARER)
    assert reply.status_code == 400
    assert reply.text == "Send payloads as Temporal does: a JSON object with the list `payloads`"


async def test_what_does_not_open_is_refused(server: httpx.AsyncClient) -> None:
    """In the codec's words."""
    (payload,) = await EjectCodec({"b": new_key()}).encode([PLAIN])
    reply = await server.post("/decode", content=body_of(payload), headers=BEARER)
    assert reply.status_code == 400
    assert reply.text == "A payload is encrypted with the key b: add that key to EJECT_CODEC_KEYS"


async def test_a_large_body_is_not_read_to_its_end(server: httpx.AsyncClient) -> None:
    """Also where nobody said how long it would be."""
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 10 * LARGEST_BODY:
            sent += 1 << 20
            yield b"x" * (1 << 20)

    reply = await server.post("/decode", content=endless(), headers=BEARER)
    assert reply.status_code == 413
    assert reply.text.startswith("The payloads are larger than")
    whole = await server.post("/decode", content=b" " * (LARGEST_BODY + 1), headers=BEARER)
    assert whole.status_code == 413


async def test_a_defect_shows_no_payload(
    server: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The error's text stays inside."""

    def broken(*_: object, **__: object) -> None:
        raise LookupError("PLANTED")

    monkeypatch.setattr(codec_server, "MessageToJson", broken)
    with caplog.at_level(logging.DEBUG):
        reply = await server.post("/encode", content=body_of(PLAIN), headers=BEARER)
    assert (reply.status_code, reply.text) == (500, "The codec server met an unexpected LookupError")
    assert "PLANTED" not in caplog.text
