"""Who needs which setting: what a start refuses and what the docs' table says come from here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pydantic.fields import FieldInfo


class Program(StrEnum):
    """Who reads settings: a worker of one role, or a command."""

    CUSTODIAN = "custodian"
    CLIENT = "client"
    STARTER = "`starter.py`"
    DEPOSIT = "`starter.py deposit`"
    SWEEP = "`starter.py sweep`"
    RESEAL = "`starter.py reseal`"
    RECONCILE = "`starter.py reconcile`"
    MASS_EXIT = "`starter.py mass-exit`"
    CODEC_SERVER = "`codec_server.py`"


class When(StrEnum):
    """When a program does not start without a setting, in the words of the docs."""

    ALWAYS = ""
    PRODUCTION = "in production"
    NOTICES = "with `EJECT_NOTIFY_URL`"
    MINTING = "with `EJECT_CLIENT_CREDENTIAL=simple`"


@dataclass(frozen=True)
class Uses:
    """Stands at a setting in its annotation: who needs it, and who else may have it.

    A secret is refused in production to a worker's role that is neither.
    """

    needed: Mapping[Program, When] = field(default_factory=dict)
    may: frozenset[Program] = frozenset()

    def is_for(self, program: Program, *, mints: bool) -> bool:
        """Whether a program has a use for it; `mints` says acting as clients by the custodian's key."""
        when = self.needed.get(program)
        return program in self.may or (when is not None and (mints or when is not When.MINTING))


ANYBODYS = Uses(may=frozenset(Program))


def uses_of(setting: FieldInfo) -> Uses:
    """What stands at a setting; without a word it is anybody's, and nobody needs it."""
    return next((mark for mark in setting.metadata if isinstance(mark, Uses)), ANYBODYS)


ROLES = (Program.CUSTODIAN, Program.CLIENT)

VAULT = Uses(
    needed=dict.fromkeys(
        (
            Program.CUSTODIAN,
            Program.CLIENT,
            Program.DEPOSIT,
            Program.SWEEP,
            Program.RESEAL,
            Program.RECONCILE,
            Program.MASS_EXIT,
        ),
        When.ALWAYS,
    )
)
CUSTODIANS_KEY = Uses(
    needed={
        Program.CUSTODIAN: When.ALWAYS,
        Program.RECONCILE: When.ALWAYS,
        Program.CLIENT: When.MINTING,
    }
)
RECEIPTS_KEY = Uses(needed={Program.CUSTODIAN: When.PRODUCTION}, may=frozenset((Program.RECONCILE,)))
CLIENTS_IDENTITY = Uses(needed=dict.fromkeys((Program.CLIENT, Program.RESEAL), When.ALWAYS))
DEPOSITS = Uses(
    needed=dict.fromkeys((Program.DEPOSIT, Program.RESEAL), When.ALWAYS), may=frozenset((Program.CLIENT,))
)
NOTICES = Uses(may=frozenset((Program.CUSTODIAN,)))
NOTICES_SECRET = Uses(needed={Program.CUSTODIAN: When.NOTICES})
CODEC = Uses(
    needed={
        Program.CODEC_SERVER: When.ALWAYS,
        **dict.fromkeys((Program.CUSTODIAN, Program.CLIENT, Program.STARTER), When.PRODUCTION),
    }
)
CODEC_SERVERS_TOKEN = Uses(needed={Program.CODEC_SERVER: When.ALWAYS})
CODEC_SERVERS = Uses(may=frozenset((Program.CODEC_SERVER,)))
CUSTODIANS = Uses(may=frozenset((Program.CUSTODIAN,)))
CLIENTS = Uses(may=frozenset((Program.CLIENT,)))
WORKERS = Uses(may=frozenset(ROLES))
