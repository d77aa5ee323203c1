"""Where Temporal is, from its own environment and profiles, and why it could not be reached."""

import os
import re
from pathlib import Path
from typing import Any

from temporalio.envconfig import ClientConfigProfile, ClientConfigTLS, ClientConnectConfig
from temporalio.service import TLSConfig

from runtime.forms import is_loopback
from runtime.settings import SettingsError

LOCAL = "localhost:7233"

VARIABLES = {
    "TEMPORAL_ADDRESS": f"`host:port`; `{LOCAL}` unless set",
    "TEMPORAL_NAMESPACE": "the namespace; `default` unless set",
    "TEMPORAL_API_KEY": "an API key; turns TLS on. Secret",
    "TEMPORAL_TLS": "`true` for TLS by the authorities that this machine trusts",
    "TEMPORAL_TLS_SERVER_CA_CERT_PATH": "the authority that the server's certificate must come from, PEM",
    "TEMPORAL_TLS_SERVER_NAME": "the name in the server's certificate, where the address has another",
    "TEMPORAL_TLS_CLIENT_CERT_PATH": "the certificate that this client shows (mTLS), PEM",
    "TEMPORAL_TLS_CLIENT_KEY_PATH": "its key, PEM; a file that only this user reads",
    "TEMPORAL_TLS_SERVER_CA_CERT_DATA": "in place of `..._PATH`, the PEM itself",
    "TEMPORAL_TLS_CLIENT_CERT_DATA": "in place of `..._PATH`, the PEM itself",
    "TEMPORAL_TLS_CLIENT_KEY_DATA": "in place of `..._PATH`, the PEM itself. Secret",
    "TEMPORAL_GRPC_META_*": "a header of every call: `TEMPORAL_GRPC_META_X_TEAM` is `x-team`",
    "TEMPORAL_CONFIG_FILE": "a TOML file of profiles; `~/.config/temporalio/temporal.toml` unless set",
    "TEMPORAL_PROFILE": "which of its profiles; `default` unless set. The variables above go before it",
}
"""What the SDK reads, with what each is."""

_UNKNOWN_KEY = re.compile(r"unknown field `(\w{1,31})`")
_LINE = re.compile(r"\bline (\d+)")
_BOTH = re.compile(r"Cannot specify both (TEMPORAL_\w+) and (TEMPORAL_\w+)")

# What the SDK's core says, and what mends it; the first that fits counts.
_UNTRUSTED = (
    "has a certificate of an authority that is not trusted: "
    "name that authority's file in TEMPORAL_TLS_SERVER_CA_CERT_PATH"
)
_CAUSES = {
    "UnknownIssuer": _UNTRUSTED,
    "InvalidCertificate(BadSignature": _UNTRUSTED,  # another authority of the same name
    "NotValidForName": "has a certificate for another name: set TEMPORAL_TLS_SERVER_NAME to it, "
    "or mend TEMPORAL_ADDRESS",
    "InvalidCertificate(Expired": "has a certificate that has expired: renew it there",
    "InvalidCertificate": "has a certificate that is not valid: mend it there",
    "KeyMismatch": "was not called: TEMPORAL_TLS_CLIENT_KEY_PATH is not the key of "
    "TEMPORAL_TLS_CLIENT_CERT_PATH",
    "InvalidMessage": "speaks no TLS on that port: name its TLS port in TEMPORAL_ADDRESS, "
    "or leave TEMPORAL_TLS_* out",
    "Unauthenticated": "refuses these credentials: mend TEMPORAL_API_KEY or the client certificate",
    "PermissionDenied": "refuses these credentials: mend TEMPORAL_API_KEY or the client certificate",
}
_HANGS_UP = ("AlertReceived", "call error after connection", "UnexpectedEof")


def read_profile() -> ClientConnectConfig:
    """How to connect, from Temporal's own environment and file; `SettingsError` says what to mend."""
    named, chosen = os.environ.get("TEMPORAL_CONFIG_FILE"), os.environ.get("TEMPORAL_PROFILE")
    # The SDK takes a file that is not there for an empty one. What stands there instead may be a secret.
    if named and not _is_file(Path(named)):
        raise SettingsError("TEMPORAL_CONFIG_FILE names no file: mend the path")
    try:
        profile = ClientConfigProfile.load(config_file_strict=True)
    except (RuntimeError, ValueError, TypeError, OSError) as error:
        raise SettingsError(_unreadable(str(error), named, chosen)) from None
    if profile.tls is not None and not profile.tls.disabled:
        _require_pem(profile.tls)
    config = profile.to_client_connect_config()
    config.setdefault("target_host", LOCAL)
    credential = profile.api_key is not None or "authorization" in {
        name.lower() for name in profile.grpc_meta
    }
    if credential and is_plain(config):
        raise SettingsError(
            f"Temporal's credential would go to {config['target_host']} in the clear: set TEMPORAL_TLS=true"
        )
    return config


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # no name that a file could have
        return False


def is_plain(config: ClientConnectConfig) -> bool:
    """Whether what is sent can be read on its way: no TLS, and not to this machine."""
    host = config["target_host"].rpartition(":")[0].strip("[]")
    return not config.get("tls") and not is_loopback(host)


def _unreadable(text: str, named: str | None, chosen: str | None) -> str:
    """The SDK's text repeats the line that it stumbled over, which may hold an API key."""
    if both := _BOTH.search(text):
        return f"{both[1]} and {both[2]} are both set: keep one of them"
    file = named or "Temporal's default profile file (TEMPORAL_CONFIG_FILE)"
    if chosen and "not found" in text:
        return f"TEMPORAL_PROFILE names a profile that {file} does not have: mend one of them"
    line = f" in line {found[1]}" if (found := _LINE.search(text)) else ""
    if unknown := _UNKNOWN_KEY.search(text):
        return f"{file} has the unknown key {unknown[1]}{line}: mend its spelling"
    return f"{file} cannot be read as a file of profiles: mend it{line}"


def _require_pem(tls: ClientConfigTLS) -> None:
    sources: dict[str, tuple[Any, bytes]] = {
        "TEMPORAL_TLS_SERVER_CA_CERT": (tls.server_root_ca_cert, b"-----BEGIN CERTIFICATE-----"),
        "TEMPORAL_TLS_CLIENT_CERT": (tls.client_cert, b"-----BEGIN CERTIFICATE-----"),
        "TEMPORAL_TLS_CLIENT_KEY": (tls.client_private_key, b" KEY-----"),
    }
    wrong = []
    for variable, (source, mark) in sources.items():
        name = f"{variable}_{'PATH' if isinstance(source, Path) else 'DATA'}"
        try:
            pem = source.read_bytes() if isinstance(source, Path) else source
        except OSError as error:
            wrong.append(f"{name} names a file that cannot be read ({error.strerror}): mend the path")
            continue
        pem = pem.encode() if isinstance(pem, str) else pem
        if pem is not None and mark not in pem:
            wrong.append(f"{name} holds no {'key' if b'KEY' in mark else 'certificate'} in PEM: mend it")
    if (tls.client_cert is None) != (tls.client_private_key is None):
        lacks = "CLIENT_CERT" if tls.client_cert is None else "CLIENT_KEY"
        wrong.append(f"TEMPORAL_TLS_{lacks}_PATH is not set: a client certificate and its key go together")
    if wrong:
        raise SettingsError(*wrong)


def unreachable(error: Exception, config: ClientConnectConfig) -> str:
    """Why Temporal could not be connected to, as one sentence; the core's own text is not repeated."""
    text, tls = str(error), config.get("tls")
    at = f"Temporal at {config['target_host']}"
    for cause, told in _CAUSES.items():
        if cause in text:
            return f"{at} {told}"
    if "invalid target URL" in text:
        return "TEMPORAL_ADDRESS is not host:port: mend it"
    if any(sign in text for sign in _HANGS_UP):
        if not tls:
            return f"{at} hangs up on a call without TLS: set TEMPORAL_TLS=true where it wants that"
        if isinstance(tls, TLSConfig) and tls.client_cert:
            return f"{at} does not take this client certificate: mend TEMPORAL_TLS_CLIENT_CERT_PATH"
        return (
            f"{at} hangs up on a client without a certificate: set TEMPORAL_TLS_CLIENT_CERT_PATH and "
            "TEMPORAL_TLS_CLIENT_KEY_PATH"
        )
    return (
        f"Temporal does not answer at {config['target_host']}, or not with these credentials: "
        "start it, or set TEMPORAL_ADDRESS"
    )
