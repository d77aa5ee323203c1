"""Whether the settings fit what a worker is to do."""

from collections.abc import Iterator

from pydantic import SecretStr

from runtime.forms import is_file
from runtime.settings import Settings, SettingsError, WorkerRole
from runtime.uses import uses_of


def fit(role: WorkerRole, settings: Settings) -> None:
    """Refuse to serve a role without its settings, or in production with what is for development."""
    if wrong := unfit(role, settings):
        raise SettingsError(*wrong.values())


def unfit(role: WorkerRole, settings: Settings) -> dict[str, str]:
    """All that a worker of this role must mend, a sentence each: what it lacks, what production refuses."""
    mints = settings.mints(role)
    wrong: dict[str, str] = {}
    for program in role.programs:
        wrong |= settings.lacking(program, mints=mints)
    if settings.production:
        wrong |= dict(_refused_in_production(role, settings))
    order = {name: place for place, name in enumerate(Settings.model_fields)}
    return dict(sorted(wrong.items(), key=lambda item: order.get(item[0], -1)))


def _refused_in_production(role: WorkerRole, settings: Settings) -> Iterator[tuple[str, str]]:
    if role is WorkerRole.ALL:
        yield (
            "role",
            "Production refuses --role all, which sees both halves of every key: run one of each role",
        )
    if is_file(str(settings.vault_url)):
        yield (
            "vault_url",
            "EJECT_VAULT_URL: production refuses a file:// vault, one user's on one machine: use s3://",
        )
    if settings.mints(role):
        yield (
            "client_credential",
            "EJECT_CLIENT_CREDENTIAL: production refuses simple, which needs the custodian's key: use strict",
        )
    for name, setting in type(settings).model_fields.items():
        if not isinstance(getattr(settings, name), SecretStr):
            continue
        if not any(uses_of(setting).is_for(program, mints=settings.mints(role)) for program in role.programs):
            yield (
                name,
                f"EJECT_{name.upper()} is not for the {role} role: production refuses it, leave it out",
            )
