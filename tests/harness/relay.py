"""A relay before an S3 server: it notes what goes over the wire, answers in its place, or loses a reply."""

import http.client
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Request:
    """What was asked; header names in small letters."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def call(self) -> str:
        """The S3 call: get, put, list, delete."""
        return "list" if "list-type=" in self.path else self.method.lower()


@dataclass(frozen=True)
class Reply:
    """What is answered; `lost` ends the connection instead, after the server did what was asked."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    lost: bool = False


LOST = Reply(lost=True)
Answer = Callable[[Request], Reply | None]


class Relay:
    """One running relay; where `answer` returns None, the server behind it answers."""

    def __init__(self, behind: str | None = None) -> None:
        self.behind = behind
        self.requests: list[Request] = []
        self.answer: Answer = lambda _: None
        self.endpoint = ""

    def reply(self, request: Request) -> Reply:
        """Note it, and answer it here or there."""
        self.requests.append(request)
        reply = self.answer(request)
        if reply is None:
            return self._forward(request)
        if reply.lost and self.behind:
            self._forward(request)
        return reply

    def _forward(self, request: Request) -> Reply:
        assert self.behind, f"nobody answers {request.method} {request.path}"
        connection = http.client.HTTPConnection(urlsplit(self.behind).netloc, timeout=30)
        try:
            # With the caller's own Host, which is signed.
            connection.request(request.method, request.path, request.body, request.headers)
            answer = connection.getresponse()
            body = answer.read()
            kept = {k: v for k, v in answer.getheaders() if k.lower() not in _OF_THE_CONNECTION}
            return Reply(answer.status, body, kept)
        finally:
            connection.close()


_OF_THE_CONNECTION = ("content-length", "transfer-encoding", "connection")


def error(status: int, code: str) -> Reply:
    """An error as S3 writes it; form: Amazon S3 API reference, "Error responses"."""
    text = f"<Error><Code>{code}</Code><Message>no</Message><RequestId>1</RequestId></Error>"
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'
    return Reply(status, body.encode(), {"content-type": "application/xml"})


@contextmanager
def relaying(behind: str | None = None, tls: ssl.SSLContext | None = None) -> Iterator[Relay]:
    """A relay on a free port of this machine, for as long as the block."""
    relay = Relay(behind)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = relay.reply(Request(self.command, self.path, headers, body))
            if reply.lost:
                self.close_connection = True
                return
            self.send_response_only(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        do_GET = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815 (http.server's names)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    # A caller that has gone away is nothing to tell of.
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    relay.endpoint = f"http{'s' if tls else ''}://localhost:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield relay
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
