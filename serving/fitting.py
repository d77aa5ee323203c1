"""What a worker makes of its settings before it serves, every one that is wrong named at once."""

from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import SecretStr
from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook

from custody.keys import read_key
from custody.sealing import recipients_of
from custody.vault import Vault
from runtime.fitting import unfit
from runtime.profile import read_profile
from runtime.settings import Settings, SettingsError, WorkerRole, read_settings
from runtime.uses import uses_of


def settings_of(role: WorkerRole) -> Settings:
    """The settings of a worker of this role; `SettingsError` has a line for each that is wrong or missing."""
    settings, wrong = read_wrong(role)
    if wrong:
        raise SettingsError(*wrong.values())
    return settings


def read_wrong(role: WorkerRole) -> tuple[Settings, dict[str, str]]:
    """The settings, and a sentence for each that is wrong for this role, by its name in lower case."""
    settings, wrong = read_settings()
    wrong |= {name: told for name, told in unfit(role, settings).items() if name not in wrong}
    for name, read in _READ.items():
        if name in wrong or not _is_for(role, settings, name):
            continue
        try:
            read(settings)
        except SettingsError as error:
            wrong[name] = str(error)
    try:
        read_profile()
    except SettingsError as error:
        wrong["temporal"] = str(error)
    return settings, wrong


def _is_for(role: WorkerRole, settings: Settings, name: str) -> bool:
    uses = uses_of(Settings.model_fields[name])
    return any(uses.is_for(program, mints=settings.mints(role)) for program in role.programs)


def vault_of(settings: Settings) -> Vault:
    """The vault; `SettingsError` where it cannot be opened."""
    try:
        return Vault(str(settings.vault_url))
    except ValueError as error:
        raise SettingsError(f"EJECT_VAULT_URL {error}") from None


def identities_of(settings: Settings) -> SecretStr:
    """The client role's age identities; `SettingsError` where one is none."""
    identities = settings.client_identity or SecretStr("")
    try:
        recipients_of(identities)
    except ValueError as error:
        raise SettingsError(f"EJECT_CLIENT_IDENTITY {error}") from None
    return identities


def receipt_key_of(settings: Settings) -> Ed25519PrivateKey | None:
    """The key that signs receipts, None where none is set; `SettingsError` where it is no such key."""
    if settings.receipt_key is None:
        return None
    try:
        return read_key(settings.receipt_key.get_secret_value().encode())
    except ValueError as error:
        raise SettingsError(f"EJECT_RECEIPT_KEY {error}") from None


def webhooks_of(settings: Settings) -> tuple[Webhook, ...]:
    """What signs notices, nothing where nobody receives them; `SettingsError` where a secret is none."""
    if settings.notify_url is None:
        return ()
    # One at least, so that an empty setting is refused like any other that is none.
    secrets = (settings.notify_secret or SecretStr("")).get_secret_value().split() or [""]
    try:
        return tuple(map(Webhook, secrets))
    except (ValueError, RuntimeError, EmptyWebhookSecretError):
        raise SettingsError(
            "EJECT_NOTIFY_SECRET is not a Standard Webhooks secret (whsec_...), or several with blanks"
        ) from None


_READ: dict[str, Callable[[Settings], Any]] = {
    "vault_url": vault_of,
    "client_identity": identities_of,
    "receipt_key": receipt_key_of,
    "notify_secret": webhooks_of,
}
