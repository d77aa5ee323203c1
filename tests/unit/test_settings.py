"""The settings: what is wrong is named at once, and no value is ever repeated."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from runtime.fitting import fit
from runtime.settings import ClientCredential, Settings, SettingsError, WorkerRole, load_settings
from runtime.temporal import connect
from runtime.uses import Program
from tests.harness.codecs import as_setting, new_key

SECRET = "Zq7planted"  # noqa: S105 (planted to be looked for)


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without settings."""
    for name in list(os.environ):
        if name.upper().startswith("EJECT_"):
            monkeypatch.delenv(name)


def wrong() -> str:
    """What loading says; nothing of the planted secret is in it."""
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert SECRET not in f"{caught.value} {caught.value!r}"
    assert caught.value.__cause__ is None
    return str(caught.value)


def unset(error: SettingsError) -> list[str]:
    """What it says to be missing."""
    return [line.partition(" is not set: ")[0] for line in str(error).split("\n") if " is not set: " in line]


def test_without_settings_portal_is_the_real_one() -> None:
    """Nothing is required to load, and the hosts are those that Portal documents."""
    settings = load_settings()
    assert settings.portal_url == "https://api.portalhq.io/api/v3"
    assert settings.enclave_url == "https://mpc-client.portalhq.io"
    assert (settings.minimum_approvals, settings.minimum_cooling_off) == (0, timedelta(0))
    assert settings.custodian_api_key is None


@pytest.mark.parametrize("name", ["EJECT_PORTAL_URL", "EJECT_ENCLAVE_URL"])
@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("https://portal.example/api/v3", "https://portal.example/api/v3"),
        ("https://portal.example/api/v3/", "https://portal.example/api/v3"),
        ("HTTPS://portal.example", "HTTPS://portal.example"),
        ("http://127.0.0.1:8080/api", "http://127.0.0.1:8080/api"),
        ("http://localhost", "http://localhost"),
        ("http://LOCALHOST:1", "http://LOCALHOST:1"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_a_good_address_is_taken(monkeypatch: pytest.MonkeyPatch, name: str, url: str, read: str) -> None:
    """TLS everywhere, and none needed on this machine; a slash at the end makes no double one."""
    monkeypatch.setenv(name, url)
    assert getattr(load_settings(), name.removeprefix("EJECT_").lower()) == read


@pytest.mark.parametrize("name", ["portal_url", "enclave_url"])
@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://portal.example/" + SECRET, "must begin with https:// (http:// only on this machine)"),
        ("http://127.0.0.1.example/", "must begin with https:// (http:// only on this machine)"),
        ("http://localhost.example/", "must begin with https:// (http:// only on this machine)"),
        ("http://127.0.0.1@portal.example/", "must begin with https:// (http:// only on this machine)"),
        ("http://0.0.0.0/", "must begin with https:// (http:// only on this machine)"),
        ("http://10.0.0.1/", "must begin with https:// (http:// only on this machine)"),
        ("ftp://portal.example/" + SECRET, "must be an address like https://host/path"),
        ("portal.example", "must be an address like https://host/path"),
        (SECRET, "must be an address like https://host/path"),
        ("", "must be an address like https://host/path"),
        ("https://", "must be an address like https://host/path"),
        ("https:///" + SECRET, "must be an address like https://host/path"),
        (f"https://{SECRET}@portal.example/", "must hold no user, query or fragment"),
        (f"https://user:{SECRET}@portal.example/", "must hold no user, query or fragment"),
        (f"https://portal.example/?key={SECRET}", "must hold no user, query or fragment"),
        (f"https://portal.example/#{SECRET}", "must hold no user, query or fragment"),
        (f"https://[{SECRET}/", ""),
    ],
)
def test_a_bad_address_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, url: str, words: str) -> None:
    """A credential must never go in the clear, nor to a host that only looks like this machine."""
    monkeypatch.setenv(f"EJECT_{name.upper()}", url)
    said = wrong()
    assert said.startswith(f"EJECT_{name.upper()}: {words}")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("minimum_approvals", "10", "Input should be less than or equal to 9"),
        ("minimum_approvals", "-1", "Input should be greater than or equal to 0"),
        ("minimum_approvals", SECRET, "Input should be a valid integer"),
        ("minimum_cooling_off", "P91D", "Input should be less than or equal to 90 days"),
        ("minimum_cooling_off", SECRET, "Input should be a valid timedelta"),
        ("log_level", SECRET, "String should match pattern"),
        ("log_level", "debug", "String should match pattern"),
        ("metrics_address", SECRET, "String should match pattern"),
        ("metrics_address", "localhost:9464", "String should match pattern"),
    ],
)
def test_a_wrong_setting_is_named_without_its_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    """A guard beyond its bounds is refused, as is what does not parse."""
    monkeypatch.setenv(f"EJECT_{name.upper()}", value)
    assert wrong().startswith(f"EJECT_{name.upper()}: {words}")


@pytest.mark.parametrize("name", ["approvers", "requesters"])
def test_a_setting_that_is_not_json_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """As a sentence about its field, and without what stands there."""
    monkeypatch.setenv(f"EJECT_{name.upper()}", SECRET)
    assert wrong() == f"EJECT_{name.upper()}: is not JSON"


def test_not_even_the_error_behind_the_sentence_holds_a_value() -> None:
    """Who builds settings without `load_settings`, as a test or a script does, prints no value either."""
    with pytest.raises(ValidationError) as caught:
        Settings(log_level=SECRET, portal_url=f"http://{SECRET}")
    assert SECRET not in f"{caught.value} {caught.value!r}"


def test_all_wrong_settings_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One a line, so that nobody mends them one by one; what is missing for a command along with them."""
    monkeypatch.setenv("EJECT_PORTAL_URL", f"http://{SECRET}")
    monkeypatch.setenv("EJECT_LOG_LEVEL", SECRET)
    monkeypatch.setenv("EJECT_MINIMUM_APPROVALS", "20")
    monkeypatch.setenv("EJECT_REQUESTERS", SECRET)
    four = ["EJECT_PORTAL_URL", "EJECT_MINIMUM_APPROVALS", "EJECT_REQUESTERS", "EJECT_LOG_LEVEL"]
    assert [line.partition(":")[0] for line in wrong().split("\n")] == four
    with pytest.raises(SettingsError) as caught:
        load_settings(Program.DEPOSIT)
    lines = [line.partition(":")[0] for line in str(caught.value).split("\n")]
    assert lines == ["EJECT_VAULT_URL is not set", "EJECT_CLIENT_RECIPIENT is not set", *four]


@pytest.mark.parametrize("value", ["0", "PT0S"])
def test_a_minimum_of_nothing_is_taken(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """Saying that there is no guard is saying what this version does."""
    name = "EJECT_MINIMUM_APPROVALS" if value == "0" else "EJECT_MINIMUM_COOLING_OFF"
    monkeypatch.setenv(name, value)
    load_settings()


def test_what_is_missing_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each program says what it needs, by the names that one sets."""
    monkeypatch.setenv("EJECT_CUSTODIAN_API_KEY", SECRET)
    settings = load_settings()
    settings.require()
    settings.require("custodian_api_key", "portal_url")
    with pytest.raises(SettingsError) as caught:
        settings.require("vault_url", "custodian_api_key", "client_identity")
    assert unset(caught.value) == ["EJECT_VAULT_URL", "EJECT_CLIENT_IDENTITY"]


def test_secrets_are_read_from_a_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As container platforms mount them, a newline at the end or not; the environment goes first."""
    (tmp_path / "eject_custodian_api_key").write_text(f"{SECRET}\n")
    (tmp_path / "eject_client_identity").write_text("from the folder")
    (tmp_path / "unknown").write_text("nobody's")
    monkeypatch.setenv("EJECT_SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("EJECT_CLIENT_IDENTITY", "from the environment")
    settings = load_settings()
    assert settings.custodian_api_key is not None
    assert settings.custodian_api_key.get_secret_value() == SECRET
    assert settings.client_identity is not None
    assert settings.client_identity.get_secret_value() == "from the environment"


def test_a_wrong_setting_of_the_folder_is_named_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A mounted file is a setting like any other."""
    (tmp_path / "eject_log_level").write_text(SECRET)
    monkeypatch.setenv("EJECT_SECRETS_DIR", str(tmp_path))
    assert wrong().startswith("EJECT_LOG_LEVEL: ")


@pytest.mark.parametrize("made", [True, False])
def test_a_secrets_folder_that_is_none_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, made: bool
) -> None:
    """A file, or nothing at all: without this, every secret would only seem to be missing."""
    place = tmp_path / SECRET
    if made:
        place.write_text("x")
    monkeypatch.setenv("EJECT_SECRETS_DIR", str(place))
    assert wrong().startswith("EJECT_SECRETS_DIR is not a folder")


def test_a_secret_shows_in_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings may be printed by accident."""
    monkeypatch.setenv("EJECT_CUSTODIAN_API_KEY", SECRET)
    monkeypatch.setenv("EJECT_CLIENT_IDENTITY", SECRET)
    settings = load_settings()
    assert SECRET not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"


def test_other_variables_of_the_environment_are_nobodys_business(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only our prefix is read, and an unknown name under it breaks nothing of a newer version."""
    monkeypatch.setenv("PORTAL_URL", "http://elsewhere")
    monkeypatch.setenv("EJECT_SOMETHING_NEW", "x")
    assert load_settings() == Settings()


SIMPLE, STRICT = ClientCredential.SIMPLE, ClientCredential.STRICT


@pytest.mark.parametrize(
    ("role", "given", "used"),
    [
        (WorkerRole.ALL, None, SIMPLE),
        (WorkerRole.CLIENT, None, STRICT),
        (WorkerRole.CUSTODIAN, None, STRICT),
        (WorkerRole.ALL, "strict", STRICT),
        (WorkerRole.CLIENT, "simple", SIMPLE),
    ],
)
def test_a_role_has_its_credential(
    monkeypatch: pytest.MonkeyPatch, role: WorkerRole, given: str | None, used: ClientCredential
) -> None:
    """Strict where roles are split, simple where one worker has both; what is set goes first."""
    if given:
        monkeypatch.setenv("EJECT_CLIENT_CREDENTIAL", given)
    assert load_settings().credential(role) is used


CODEC = as_setting({"a": new_key()})
VAULT, KEY, IDENTITY = "EJECT_VAULT_URL", "EJECT_CUSTODIAN_API_KEY", "EJECT_CLIENT_IDENTITY"
RECEIPTS = "EJECT_RECEIPT_KEY"


@pytest.mark.parametrize(
    ("role", "credential", "needed"),
    [
        (WorkerRole.CUSTODIAN, None, [VAULT, KEY]),
        (WorkerRole.CUSTODIAN, "simple", [VAULT, KEY]),
        (WorkerRole.CLIENT, None, [VAULT, IDENTITY]),
        (WorkerRole.CLIENT, "simple", [VAULT, KEY, IDENTITY]),
        (WorkerRole.ALL, "strict", [VAULT, KEY, IDENTITY]),
    ],
)
@pytest.mark.parametrize("production", ["true", "false"])
def test_a_role_needs_what_it_uses(
    monkeypatch: pytest.MonkeyPatch,
    role: WorkerRole,
    credential: str | None,
    needed: list[str],
    production: str,
) -> None:
    """All that is missing at once, and no key that the role never uses; in development that is enough."""
    monkeypatch.setenv("EJECT_PRODUCTION", production)
    if credential:
        monkeypatch.setenv("EJECT_CLIENT_CREDENTIAL", credential)
    if production == "true" and role is WorkerRole.CUSTODIAN:
        needed = [*needed, RECEIPTS]
    with pytest.raises(SettingsError) as caught:
        fit(role, load_settings())
    if production == "false":
        assert unset(caught.value) == needed
    assert set(unset(caught.value)) >= set(needed)
    for name in needed:
        monkeypatch.setenv(name, "")
    with pytest.raises(SettingsError) as caught:
        fit(role, load_settings())
    assert set(unset(caught.value)) >= set(needed), "set to nothing is not set"
    for name in needed:
        monkeypatch.setenv(name, "file:///vault")
    if production == "false":
        fit(role, load_settings())


@pytest.mark.parametrize(
    "url", ["file:///vault", "FILE:///vault", "File:///vault", " file:///vault", "file:/vault"]
)
def test_production_knows_a_folder_however_it_is_written(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """The vault opens each of these as a folder, so each is refused."""
    monkeypatch.setenv("EJECT_CODEC_KEYS", CODEC)
    monkeypatch.setenv("EJECT_PRODUCTION", "true")
    monkeypatch.setenv(VAULT, url)
    monkeypatch.setenv(KEY, SECRET)
    monkeypatch.setenv(RECEIPTS, SECRET)
    with pytest.raises(SettingsError) as caught:
        fit(WorkerRole.CUSTODIAN, load_settings())
    assert str(caught.value) == (
        "EJECT_VAULT_URL: production refuses a file:// vault, one user's on one machine: use s3://"
    )


@pytest.mark.parametrize("url", ["s3://bucket/file:", "https://[" + SECRET])
def test_production_leaves_other_addresses_to_the_vault(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Whether they name a store, the vault says when it is opened."""
    monkeypatch.setenv("EJECT_CODEC_KEYS", CODEC)
    monkeypatch.setenv("EJECT_PRODUCTION", "true")
    monkeypatch.setenv(VAULT, url)
    monkeypatch.setenv(KEY, SECRET)
    monkeypatch.setenv(RECEIPTS, SECRET)
    fit(WorkerRole.CUSTODIAN, load_settings())


@pytest.mark.parametrize(
    ("role", "own", "others"),
    [
        (WorkerRole.CLIENT, [IDENTITY], KEY),
        (WorkerRole.CLIENT, [IDENTITY], RECEIPTS),
        (WorkerRole.CLIENT, [IDENTITY], "EJECT_NOTIFY_SECRET"),
        (WorkerRole.CUSTODIAN, [KEY, RECEIPTS], IDENTITY),
        (WorkerRole.CUSTODIAN, [KEY, RECEIPTS], "EJECT_CODEC_TOKEN"),
    ],
)
def test_production_keeps_the_others_secret_out_of_a_role(
    monkeypatch: pytest.MonkeyPatch, role: WorkerRole, own: list[str], others: str
) -> None:
    """A role that was given it could see both halves; in development nobody minds."""
    monkeypatch.setenv("EJECT_CODEC_KEYS", CODEC)
    monkeypatch.setenv(VAULT, "s3://bucket")
    for name in own:
        monkeypatch.setenv(name, SECRET)
    monkeypatch.setenv("EJECT_PRODUCTION", "true")
    fit(role, load_settings())
    monkeypatch.setenv(others, SECRET * 4)
    with pytest.raises(SettingsError) as caught:
        fit(role, load_settings())
    assert str(caught.value) == f"{others} is not for the {role} role: production refuses it, leave it out"
    monkeypatch.setenv("EJECT_PRODUCTION", "false")
    fit(role, load_settings())


@pytest.mark.parametrize("name", ["client_credential", "production"])
def test_a_wrong_choice_is_named_without_its_value(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A mistyped guard must not pass for none."""
    monkeypatch.setenv(f"EJECT_{name.upper()}", SECRET)
    assert wrong().startswith(f"EJECT_{name.upper()}: Input should be ")


async def test_production_does_not_go_without_encryption(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a worker nor whoever connects, `starter` too; in development nobody minds."""
    monkeypatch.setenv(VAULT, "s3://bucket")
    monkeypatch.setenv(KEY, SECRET)
    monkeypatch.setenv(RECEIPTS, SECRET)
    assert not load_settings().codec().encrypts
    fit(WorkerRole.CUSTODIAN, load_settings())
    monkeypatch.setenv("EJECT_PRODUCTION", "true")
    for refused in (lambda: fit(WorkerRole.CUSTODIAN, load_settings()), lambda: load_settings().codec()):
        with pytest.raises(SettingsError) as caught:
            refused()
        assert unset(caught.value) == ["EJECT_CODEC_KEYS"]
    for given in (None, load_settings()):
        with pytest.raises(SettingsError) as caught:
            await connect(given)
        assert unset(caught.value) == ["EJECT_CODEC_KEYS"]
    monkeypatch.setenv("EJECT_CODEC_KEYS", CODEC)
    fit(WorkerRole.CUSTODIAN, load_settings())
    assert load_settings().codec().encrypts


def test_codec_keys_are_read_from_a_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A secret like the others, which no text of the settings shows."""
    (tmp_path / "eject_codec_keys").write_text(CODEC + "\n")
    monkeypatch.setenv("EJECT_SECRETS_DIR", str(tmp_path))
    settings = load_settings()
    assert settings.codec_keys is not None
    assert settings.codec_keys.get_secret_value() == CODEC
    assert settings.codec().encrypts
    assert CODEC[8:-3] not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("codec_keys", "", "must be {"),
        ("codec_keys", SECRET, "must be {"),
        ("codec_keys", f'{{"a": "{SECRET}"}}', "must be {"),
        ("codec_keys", f'{{"{SECRET}!": {CODEC[6:-1]}}}', "has a key id that is not"),
        ("codec_token", SECRET, "must have at least 32 characters"),
        ("codec_token", "", "must have at least 32 characters"),
        ("codec_origins", f'["https://{SECRET}/path"]', "must be an origin"),
        ("codec_origins", '["*"]', "must be an address"),
        ("codec_origins", '["null"]', "must be an address"),
        ("codec_origins", '["http://ui.example"]', "must begin with https://"),
        ("codec_address", SECRET, "String should match"),
        ("codec_address", "127.0.0.1", "String should match"),
    ],
    ids=range(12),
)
def test_a_codec_setting_that_is_none_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    """Named, and never shown; an empty one does not turn encryption off."""
    monkeypatch.setenv(f"EJECT_{name.upper()}", value)
    said = wrong()
    assert said.startswith(f"EJECT_{name.upper()}: ")
    assert words in said


def test_origins_are_written_as_browsers_write_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """In lower case and without a slash at the end; else none would ever match."""
    monkeypatch.setenv("EJECT_CODEC_ORIGINS", '["https://UI.example/", "http://localhost:8080"]')
    assert load_settings().codec_origins == ("https://ui.example", "http://localhost:8080")


@pytest.mark.parametrize("build", ["1f0e2d3c", "v1.2.3", "2026-01-02_a", "a" * 64])
def test_a_build_id_is_taken(monkeypatch: pytest.MonkeyPatch, build: str) -> None:
    """A commit's hash, a version, a tag; without one a worker has none."""
    assert load_settings().build_id is None
    monkeypatch.setenv("EJECT_BUILD_ID", build)
    assert load_settings().build_id == build


@pytest.mark.parametrize("build", ["", "eject:v1", "a b", "-v1", "v'1", "a" * 65])
def test_a_build_id_that_no_query_could_name_is_refused(monkeypatch: pytest.MonkeyPatch, build: str) -> None:
    """Set to nothing is a mistake too: such a worker would serve as one without a version."""
    monkeypatch.setenv("EJECT_BUILD_ID", build)
    assert wrong().startswith("EJECT_BUILD_ID: ")
