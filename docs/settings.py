"""Makes `docs/settings.md` from the settings' model: `make docs`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from pydantic.fields import FieldInfo

from runtime.profile import VARIABLES
from runtime.settings import Settings
from runtime.uses import ANYBODYS, Program, uses_of

PAGE = Path(__file__).with_name("settings.md")

_HEAD = """# Settings

Every setting of ours is an environment variable, or a file in the folder that EJECT_SECRETS_DIR names: the
same name in lower case (`eject_custodian_api_key`), as Docker and Kubernetes mount secrets; a line's end
after the value does no harm. The environment goes before the folder. A program that cannot start with its
settings names all that is missing or wrong, one a line, and ends with the exit code 2; `--check` of a
worker tries out what no setting can tell (`docs/operating.md`).

"Needed by" are those who do not start without it; "for" are those who use it where it is set. A worker that
has a **secret** which is not for its role does not start with EJECT_PRODUCTION.
"""

_TEMPORAL = """
## The connection to Temporal

These are Temporal's own, the same as its CLI reads, for every program here. A file of profiles is read
strictly: an unknown key is refused. Workers and `starter.py` go over to Temporal Cloud, or to any server
with TLS, by these alone:

    export TEMPORAL_ADDRESS=NAMESPACE.ACCOUNT.tmprl.cloud:7233 TEMPORAL_NAMESPACE=NAMESPACE.ACCOUNT
    export TEMPORAL_TLS_CLIENT_CERT_PATH=client.pem TEMPORAL_TLS_CLIENT_KEY_PATH=client.key  # or an API key

An API key, or an `authorization` header, is never sent without TLS to another machine. A connection without
TLS and without either is taken (workers and server may share a private network), and `--check` warns of it
in production. TEMPORAL_TLS_DISABLE_HOST_VERIFICATION has no effect here: name the authority, and the name
in the certificate.

| variable | what it is |
| --- | --- |
"""

_REST = """
Secrets among them can be files: `TEMPORAL_TLS_CLIENT_KEY_PATH`, or a profile file for the API key. The
vault's credentials are those of its store, as obstore reads them (`AWS_ACCESS_KEY_ID` and so on).
"""


def _rows() -> Iterator[str]:
    yield "| setting | what it is | default | needed by | for |"
    yield "| --- | --- | --- | --- | --- |"
    for name, setting in Settings.model_fields.items():
        secret = ". **Secret**" if _is_secret(setting) else ""
        yield (
            f"| `EJECT_{name.upper()}` | {setting.description or name.replace('_', ' ')}{secret} "
            f"| {_default(setting)} | {_needed(setting)} | {_for(setting)} |"
        )
    yield ("| `EJECT_SECRETS_DIR` | the folder that holds any of these as files | unset | - | everybody |")


def _is_secret(setting: FieldInfo) -> bool:
    return "SecretStr" in str(setting.annotation)


def _default(setting: FieldInfo) -> str:
    default = setting.get_default(call_default_factory=True)
    value = TypeAdapter(Any).dump_python(default, mode="json")
    if value in (None, {}, []):
        return "unset"
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _needed(setting: FieldInfo) -> str:
    told = [f"{program} {when}".strip() for program, when in uses_of(setting).needed.items()]
    return ", ".join(told) or "-"


def _for(setting: FieldInfo) -> str:
    uses = uses_of(setting)
    if uses is ANYBODYS:
        return "everybody"
    return ", ".join(program for program in Program if program in uses.may or program in uses.needed)


def page() -> str:
    """The whole page."""
    temporal = "".join(f"| `{name}` | {told} |\n" for name, told in VARIABLES.items())
    return f"{_HEAD}\n" + "\n".join(_rows()) + "\n" + _TEMPORAL + temporal + _REST


if __name__ == "__main__":
    PAGE.write_text(page())
