"""The codec server: shows the Temporal UI and the `temporal` CLI what the payload codec encrypted.

It holds the codec's keys, and whoever has its token reads every request and receipt. It serves plain HTTP: on
another address than this machine's, put TLS before it.
"""

import base64
import binascii
import hmac
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence

import structlog
import typer
import uvicorn
from google.protobuf.json_format import MessageToJson, Parse, ParseError
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from temporalio.api.common.v1 import Payload, Payloads

from runtime import logs
from runtime.codec import CodecError, EjectCodec
from runtime.process import run
from runtime.settings import Settings, SettingsError, load_settings
from runtime.uses import Program

# Temporal takes no payload above 2 MiB; the UI asks for those of one page at a time.
LARGEST_BODY = 8 * 1024 * 1024

_PEOPLE_AT_ONCE = 64
_DRAIN_SECONDS = 5

log = structlog.get_logger()

Change = Callable[[Sequence[Payload]], Awaitable[Sequence[Payload]]]
Endpoint = Callable[[Request], Awaitable[Response]]


def make_app(codec: EjectCodec, token: SecretStr, origins: Sequence[str]) -> Starlette:
    """The server's routes; only pages of these origins may read its answers in a browser."""

    async def opened(payloads: Sequence[Payload]) -> Sequence[Payload]:
        return [codec.open(payload) for payload in payloads]

    cors = Middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=["POST"],
        allow_headers=["authorization", "content-type", "x-namespace"],
        allow_credentials=True,
    )
    return Starlette(
        routes=[
            Route("/encode", _guarded(token, _payloads(codec.encode)), methods=["POST"]),
            Route("/decode", _guarded(token, _payloads(opened)), methods=["POST"]),
            Route("/", _guarded(token, _signed_in), methods=["GET"]),
            Route("/health", _health, methods=["GET"]),
        ],
        middleware=[cors],
    )


def _guarded(token: SecretStr, endpoint: Endpoint) -> Endpoint:
    """Ask for the token before a byte of the body is read, and let no error's text out."""

    async def guarded(request: Request) -> Response:
        if not _knows(token, request.headers.get("authorization", "")):
            asked = {"WWW-Authenticate": 'Basic realm="Eject codec server", charset="UTF-8"'}
            return _told(401, "Give the codec server's token, as a bearer token or as the password", asked)
        try:
            return await endpoint(request)
        except CodecError as error:
            return _told(400, str(error))
        except Exception as error:  # its text and traceback may hold payloads
            log.error("codec_server.failed", error=type(error).__name__)
            return _told(500, f"The codec server met an unexpected {type(error).__name__}")

    return guarded


def _knows(token: SecretStr, header: str) -> bool:
    """Whether a request brings the token: as a bearer, or as a browser sends the password of a user."""
    scheme, _, given = header.partition(" ")
    if scheme.lower() == "basic":
        try:
            given = base64.b64decode(given, validate=True).decode().partition(":")[2]
        except (binascii.Error, ValueError):
            return False
    elif scheme.lower() != "bearer":
        return False
    return hmac.compare_digest(given.encode(), token.get_secret_value().encode())


def _payloads(change: Change) -> Endpoint:
    """Payloads in, the same number out, as Temporal's codec servers do: protobuf's JSON both ways."""

    async def payloads(request: Request) -> Response:
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > LARGEST_BODY:
                return _told(413, f"The payloads are larger than {LARGEST_BODY} bytes: ask for fewer at once")
        try:
            given = Parse(bytes(body), Payloads())
        except (ParseError, ValueError, RecursionError):
            return _told(400, "Send payloads as Temporal does: a JSON object with the list `payloads`")
        answer = MessageToJson(Payloads(payloads=await change(given.payloads)), indent=None)
        return Response(answer, media_type="application/json", headers={"Cache-Control": "no-store"})

    return payloads


async def _signed_in(_: Request) -> Response:
    """What a browser opens once, so that it sends the password along with the UI's requests."""
    return _told(200, "This browser now reads payloads in the Temporal UI, until it is closed")


async def _health(_: Request) -> Response:
    return _told(200, "serving")


def _told(status: int, sentence: str, headers: dict[str, str] | None = None) -> Response:
    return PlainTextResponse(sentence, status, headers={"Cache-Control": "no-store"} | (headers or {}))


def listen(address: str) -> socket.socket:
    """Take the address, `host:port`; `SettingsError` where that is not possible."""
    host, _, port = address.rpartition(":")
    try:
        return socket.create_server((host, int(port)))
    except (OSError, OverflowError):
        raise SettingsError(
            f"EJECT_CODEC_ADDRESS: nothing can listen at {address}, or something does"
        ) from None


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    app = make_app(settings.codec(), settings.codec_token or SecretStr(""), settings.codec_origins)
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        proxy_headers=False,
        server_header=False,
        log_config=None,
        access_log=False,
        limit_concurrency=_PEOPLE_AT_ONCE,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
    )
    # uvicorn takes both signals while it serves and raises them again when it has ended.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    with listen(settings.codec_address) as listener:
        log.info("codec_server.serving", address=settings.codec_address, origins=settings.codec_origins)
        uvicorn.Server(config).run(sockets=[listener])


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main() -> None:
    """Serve the Temporal UI and CLI until SIGTERM. Exit code 2 when something must be set first."""
    settings = load_settings(Program.CODEC_SERVER)
    logs.configure(settings.log_level)
    serve(settings)


def _ended(error: Exception) -> tuple[int, str]:
    if isinstance(error, SettingsError):
        return 2, str(error)
    return 1, f"The codec server stopped at an unexpected {type(error).__name__}"


if __name__ == "__main__":
    run(app, _ended)
