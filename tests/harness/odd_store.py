"""A server that answers as S3 does, as far as a vault asks, and does not do all that a store must."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

_DENIED = "<Error><Code>AccessDenied</Code><Message>Zq7planted</Message></Error>"


@dataclass
class OddStore:
    """What it holds by name, and what it refuses; `clock` is what it says the time is, as an HTTP date."""

    url: str = ""
    conditional: bool = True
    deletes: bool = True
    clock: str | None = None
    held: dict[str, bytes] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        """The settings of a vault in it."""
        return {
            "EJECT_VAULT_URL": "s3://bucket",
            "AWS_ENDPOINT": self.url,
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "of-a-test",
            "AWS_SECRET_ACCESS_KEY": "of-a-test",
        }


@contextmanager
def odd_store() -> Iterator[OddStore]:
    """Serve it in a thread, on a free port of 127.0.0.1, until the block ends."""
    store = OddStore()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if store.conditional and self.headers["if-none-match"] == "*" and self._name in store.held:
                return self._answer(412)
            store.held[self._name] = body
            return self._answer(200)

        def do_GET(self) -> None:
            asked = parse_qs(urlsplit(self.path).query)
            if "list-type" in asked:
                names = [name for name in store.held if name.startswith(asked.get("prefix", [""])[0])]
                found = "".join(
                    f"<Contents><Key>{name}</Key><LastModified>2030-01-01T00:00:00.000Z</LastModified>"
                    f"<ETag>e</ETag><Size>{len(store.held[name])}</Size></Contents>"
                    for name in names
                )
                return self._answer(200, f"<ListBucketResult>{found}</ListBucketResult>".encode())
            if self._name in store.held:
                return self._answer(200, store.held[self._name])
            return self._answer(404)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            if not store.deletes:
                return self._answer(403, _DENIED.encode())
            names = [part.partition("</Key>")[0] for part in body.split("<Key>")[1:]]
            deleted = "".join(f"<Deleted><Key>{name}</Key></Deleted>" for name in names)
            for name in names:
                store.held.pop(name, None)
            return self._answer(200, f"<DeleteResult>{deleted}</DeleteResult>".encode())

        def do_DELETE(self) -> None:
            if not store.deletes:
                return self._answer(403, _DENIED.encode())
            store.held.pop(self._name, None)
            return self._answer(204)

        @property
        def _name(self) -> str:
            return unquote(urlsplit(self.path).path).removeprefix("/bucket/")

        def _answer(self, status: int, body: bytes = b"") -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", '"e"')
            self.send_header("Last-Modified", "Tue, 01 Jan 2030 00:00:00 GMT")
            self.end_headers()
            self.wfile.write(body)

        def date_time_string(self, timestamp: float | None = None) -> str:
            return store.clock or super().date_time_string(timestamp)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    store.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield store
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
