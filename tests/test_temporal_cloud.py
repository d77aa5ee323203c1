"""Temporal Cloud, or any server with TLS, is a matter of Temporal's own settings; what is wrong is named."""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.client import Client

from runtime.profile import read_profile
from runtime.settings import Settings, SettingsError
from runtime.temporal import TemporalUnreachableError, connect
from tests.harness.temporal import TESTS
from tests.harness.tls import Authority, Certificate, relay

PLANTED = "Zq7planted"


@dataclass(frozen=True)
class Cloud:
    """A server behind TLS, one that wants a client's certificate, and what was made for both."""

    folder: Path
    plain: str
    tls: str
    mtls: str
    elsewhere: str
    expired: str
    ca: Path
    other_ca: Path
    client: Certificate
    stranger: Certificate


@pytest_asyncio.fixture(loop_scope="session")
async def cloud(temporal: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Cloud]:
    """The tests' own server, seen through TLS, from an environment that says nothing yet."""
    for name in [name for name in os.environ if name.startswith("TEMPORAL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TEMPORAL_NAMESPACE", TESTS)
    own, other = Authority(tmp_path / "own"), Authority(tmp_path / "other")
    plain, served = temporal.service_client.config.target_host, own.issue("server")
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        yield Cloud(
            tmp_path,
            plain,
            await enter(relay(plain, served)),
            await enter(relay(plain, served, clients_of=own.ca)),
            await enter(relay(plain, own.issue("elsewhere", "elsewhere.example"))),
            await enter(relay(plain, own.issue("old", days=-1))),
            own.ca,
            other.ca,
            own.issue("client"),
            other.issue("stranger"),
        )


async def arrives() -> None:
    """Connect as every program does, and ask something that only the server can answer."""
    client = await connect(Settings())
    assert client.namespace == TESTS
    await client.count_workflows("WorkflowType = 'Eject'")


def mutual(cloud: Cloud, shown: Certificate) -> dict[str, str]:
    """The environment of a client with a certificate."""
    return {
        "TEMPORAL_ADDRESS": cloud.mtls,
        "TEMPORAL_TLS_SERVER_CA_CERT_PATH": str(cloud.ca),
        "TEMPORAL_TLS_CLIENT_CERT_PATH": str(shown.cert),
        "TEMPORAL_TLS_CLIENT_KEY_PATH": str(shown.key),
    }


async def test_the_environment_alone_connects(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """TLS with an authority's file or text, an API key over TLS, another name, a client certificate."""
    trust = {"TEMPORAL_TLS_SERVER_CA_CERT_PATH": str(cloud.ca)}
    for variables in (
        {"TEMPORAL_ADDRESS": cloud.tls} | trust,
        {"TEMPORAL_ADDRESS": cloud.tls, "TEMPORAL_TLS_SERVER_CA_CERT_DATA": cloud.ca.read_text()},
        {"TEMPORAL_ADDRESS": cloud.tls, "TEMPORAL_API_KEY": PLANTED} | trust,
        {"TEMPORAL_ADDRESS": cloud.elsewhere, "TEMPORAL_TLS_SERVER_NAME": "elsewhere.example"} | trust,
        mutual(cloud, cloud.client),
    ):
        with monkeypatch.context() as env:
            for name, value in variables.items():
                env.setenv(name, value)
            await arrives()


async def test_a_profile_connects(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same out of a TOML file, where nothing but the profile is named."""
    monkeypatch.delenv("TEMPORAL_NAMESPACE")
    file = cloud.folder / "temporal.toml"
    file.write_text(
        f'[profile.prod]\naddress = "{cloud.mtls}"\nnamespace = "{TESTS}"\n'
        f'[profile.prod.tls]\nserver_ca_cert_path = "{cloud.ca}"\n'
        f'client_cert_path = "{cloud.client.cert}"\nclient_key_path = "{cloud.client.key}"\n'
    )
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(file))
    monkeypatch.setenv("TEMPORAL_PROFILE", "prod")
    await arrives()


async def test_what_is_wrong_is_one_sentence(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each names what to mend, and nothing of a credential."""
    trust = {"TEMPORAL_TLS_SERVER_CA_CERT_PATH": str(cloud.ca)}
    untrusted = "is not trusted: name that authority's file in TEMPORAL_TLS_SERVER_CA_CERT_PATH"
    toml = cloud.folder / "wrong.toml"
    rows: list[tuple[dict[str, str], str, str]] = [
        (
            {"TEMPORAL_ADDRESS": cloud.tls, "TEMPORAL_TLS_SERVER_CA_CERT_PATH": str(cloud.other_ca)},
            "",
            untrusted,
        ),
        ({"TEMPORAL_ADDRESS": cloud.tls, "TEMPORAL_TLS": "true"}, "", untrusted),
        ({"TEMPORAL_ADDRESS": cloud.elsewhere} | trust, "", "for another name: set TEMPORAL_TLS_SERVER_NAME"),
        ({"TEMPORAL_ADDRESS": cloud.expired} | trust, "", "a certificate that has expired"),
        ({"TEMPORAL_ADDRESS": cloud.plain, "TEMPORAL_TLS": "true"}, "", "speaks no TLS on that port"),
        ({"TEMPORAL_ADDRESS": cloud.tls}, "", "hangs up on a call without TLS: set TEMPORAL_TLS=true"),
        (
            {"TEMPORAL_ADDRESS": cloud.mtls} | trust,
            "",
            "hangs up on a client without a certificate: set TEMPORAL_TLS_CLIENT_CERT_PATH",
        ),
        (
            mutual(cloud, cloud.stranger),
            "",
            "does not take this client certificate: mend TEMPORAL_TLS_CLIENT_CERT_PATH",
        ),
        (
            mutual(cloud, Certificate(cloud.client.cert, cloud.stranger.key)),
            "",
            "TEMPORAL_TLS_CLIENT_KEY_PATH is not the key of TEMPORAL_TLS_CLIENT_CERT_PATH",
        ),
        (
            mutual(cloud, Certificate(cloud.client.cert, Path("/nowhere.key"))),
            "",
            "TEMPORAL_TLS_CLIENT_KEY_PATH names a file that cannot be read (No such file or directory)",
        ),
        (
            mutual(cloud, Certificate(cloud.client.key, cloud.client.key)),
            "",
            "TEMPORAL_TLS_CLIENT_CERT_PATH holds no certificate in PEM",
        ),
        (
            {"TEMPORAL_TLS_CLIENT_CERT_PATH": str(cloud.client.cert)},
            "",
            "TEMPORAL_TLS_CLIENT_KEY_PATH is not set: a client certificate and its key go together",
        ),
        (
            {"TEMPORAL_TLS_CLIENT_KEY_DATA": PLANTED, "TEMPORAL_TLS_CLIENT_KEY_PATH": "/nowhere.key"},
            "",
            "TEMPORAL_TLS_CLIENT_KEY_PATH and TEMPORAL_TLS_CLIENT_KEY_DATA are both set",
        ),
        (
            {"TEMPORAL_PROFILE": "prod"},
            '[profile.default]\naddress = "x"\n',
            f"TEMPORAL_PROFILE names a profile that {toml} does not have",
        ),
        (
            {},
            '[profile.default]\nadress = "x"\n',
            f"{toml} has the unknown key adress in line 2: mend its spelling",
        ),
        ({}, f'[profile.default]\napi_key = "{PLANTED}\n', f"{toml} cannot be read as a file of profiles"),
        ({"TEMPORAL_CONFIG_FILE": "/nowhere.toml"}, "", "TEMPORAL_CONFIG_FILE names no file"),
        # What should stand in the file stands in its place.
        ({"TEMPORAL_CONFIG_FILE": PLANTED * 50}, "", "TEMPORAL_CONFIG_FILE names no file"),
        (
            {"TEMPORAL_PROFILE": PLANTED},
            '[profile.default]\naddress = "x"\n',
            "TEMPORAL_PROFILE names a profile",
        ),
        (
            mutual(cloud, Certificate(cloud.client.cert, Path(f"-----BEGIN PRIVATE KEY-----\n{PLANTED}"))),
            "",
            "TEMPORAL_TLS_CLIENT_KEY_PATH names a file that cannot be read",
        ),
        ({"TEMPORAL_ADDRESS": "a b"}, "", "TEMPORAL_ADDRESS is not host:port"),
        ({"TEMPORAL_ADDRESS": "127.0.0.1:1"}, "", "Temporal does not answer at 127.0.0.1:1"),
    ]
    for variables, text, words in rows:
        with monkeypatch.context() as env:
            if text:
                toml.write_text(text)
                env.setenv("TEMPORAL_CONFIG_FILE", str(toml))
            for name, value in variables.items():
                env.setenv(name, value)
            with pytest.raises((SettingsError, TemporalUnreachableError)) as caught:
                await connect(Settings())
        said = str(caught.value)
        assert words in said
        assert "\n" not in said
        assert PLANTED not in f"{said}{caught.value.__cause__!r}"


@pytest.mark.parametrize("credential", ["TEMPORAL_API_KEY", "TEMPORAL_GRPC_META_AUTHORIZATION"])
def test_no_credential_of_temporals_goes_in_the_clear(
    monkeypatch: pytest.MonkeyPatch, credential: str
) -> None:
    """To another machine only over TLS, which an API key turns on; to this one as one likes."""
    for name in [name for name in os.environ if name.startswith("TEMPORAL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv(credential, PLANTED)
    for address in ("temporal.example:7233", "127.0.0.1.example:7233", "10.0.0.1:7233"):
        monkeypatch.setenv("TEMPORAL_ADDRESS", address)
        monkeypatch.setenv("TEMPORAL_TLS", "true")
        assert read_profile()["target_host"] == address
        monkeypatch.setenv("TEMPORAL_TLS", "false")
        with pytest.raises(SettingsError, match=rf"would go to {address} in the clear") as caught:
            read_profile()
        assert PLANTED not in str(caught.value)
    for address in ("127.0.0.1:7233", "localhost:7233", "[::1]:7233"):
        monkeypatch.setenv("TEMPORAL_ADDRESS", address)
        assert not read_profile().get("tls")
