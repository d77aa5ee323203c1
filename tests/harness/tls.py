"""TLS before a server that speaks plain text, with certificates that are made for the run."""

import asyncio
import ssl
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_YEAR = timedelta(days=365)


@dataclass(frozen=True)
class Certificate:
    """A certificate and its key, each in a PEM file."""

    cert: Path
    key: Path


class Authority:
    """A certificate authority of one test, whose files lie in a folder; `ca` is what is trusted."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name} of a test")])
        own = self._builder(self._name, self._key.public_key()).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        usage = dict.fromkeys(
            ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False
        )
        signs = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
            **usage,
        )
        self._cert = own.add_extension(signs, critical=True).sign(self._key, hashes.SHA256())
        self.ca = folder / f"{name}.pem"
        self.ca.write_bytes(self._cert.public_bytes(Encoding.PEM))

    def issue(self, name: str, *hosts: str, days: int = 1) -> Certificate:
        """A certificate for these hosts, 127.0.0.1 and localhost unless named; negative days: expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        names: list[x509.GeneralName] = [x509.DNSName(host) for host in hosts or ("localhost",)]
        if not hosts:
            names.append(x509.IPAddress(IPv4Address("127.0.0.1")))
        purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        made = (
            self._builder(subject, key.public_key(), days)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        issued = Certificate(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        issued.cert.write_bytes(made.public_bytes(Encoding.PEM))
        issued.key.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        )
        return issued

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, days: int = 365
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _YEAR)
            .not_valid_after(now + timedelta(days=days))
        )


def untrusted(folder: Path) -> ssl.SSLContext:
    """A server's TLS for this machine, of an authority that nobody knows."""
    served = Authority(folder, "nobody").issue("server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(served.cert, served.key)
    return context


@asynccontextmanager
async def relay(upstream: str, served: Certificate, *, clients_of: Path | None = None) -> AsyncIterator[str]:
    """Serve TLS on a free port of 127.0.0.1 and pass the bytes on to `host:port`; yields its own address.

    With `clients_of`, the file of an authority, only clients with a certificate of that authority come in.
    HTTP/2 is agreed on, as gRPC demands, and HTTP/1.1 where a client wants only that.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(served.cert, served.key)
    context.set_alpn_protocols(["h2", "http/1.1"])
    if clients_of is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients_of)
    host, _, port = upstream.rpartition(":")
    open_now: set[asyncio.Task[None]] = set()

    async def call(reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        open_now.add(task)
        try:
            back, forth = await asyncio.open_connection(host, int(port))
            try:
                await asyncio.gather(pour(reader, forth), pour(back, writer))
            finally:
                forth.transport.abort()
        except (OSError, asyncio.CancelledError):  # either end is gone, or the test has ended
            pass
        finally:
            writer.transport.abort()
            open_now.discard(task)

    server = await asyncio.start_server(call, "127.0.0.1", 0, ssl=context)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in list(open_now):
            task.cancel()
        await asyncio.gather(*open_now, return_exceptions=True)


async def pour(reader: StreamReader, writer: StreamWriter) -> None:
    """Pass on whatever comes, until nothing does."""
    try:
        while part := await reader.read(65536):
            writer.write(part)
            await writer.drain()
    finally:
        with suppress(OSError, RuntimeError):
            writer.close()
