"""The names by which the parts of an eject find each other."""

from enum import StrEnum

WORKFLOW = "Eject"

# The Worker Deployment of both roles, whose versions Temporal tells apart by their build id.
DEPLOYMENT = "eject"


class TaskQueue(StrEnum):
    """Who works on what; a step that calls Portal is on a queue whose rate keeps Portal's budgets.

    `EJECT` has the workflows, and the custodian role's steps that need only the vault: no rate, so that they
    begin at once. `DEPOSITS` has the client role's. `SESSION` has the client's own fetch, which the custodian
    role makes with a session token: it spends two budgets. Other namespaces ask at `NEXUS`, through a Nexus
    endpoint.
    """

    EJECT = "eject"
    CUSTODIAN = "eject-custodian"
    SESSION = "eject-session"
    CLIENT = "eject-client"
    ENCLAVE = "eject-enclave"
    DEPOSITS = "eject-deposits"
    NEXUS = "eject-nexus"


class Attribute(StrEnum):
    """The search attributes that an eject writes. Never encrypted, so ids and times only."""

    STAGE = "EjectStage"
    STAGE_SINCE = "EjectStageSince"
    CLIENT = "EjectClient"
    WINDOW_CLOSES = "EjectWindowCloses"


class Role(StrEnum):
    """Which half of a key: the client's or the custodian's."""

    CLIENT = "client"
    CUSTODIAN = "custodian"


def workflow_id(client_id: str) -> str:
    """One eject per client: the id is the client's, so that a second start meets the first."""
    return f"eject-{client_id}"


def mass_exit_id(name: str) -> str:
    """The workflow of a mass exit; no eject's id, which all begin with `eject-`."""
    return f"mass-exit-{name}"


def mass_list_name(name: str) -> str:
    """How many requests the list of a mass exit has, and the digests of its pages."""
    return f"mass-exits/{name}/list.json"


def mass_page_name(name: str, number: int) -> str:
    """One page of that list, from 0."""
    return f"mass-exits/{name}/page-{number:06d}.json"


def held_prefix(eject_id: str) -> str:
    """Where sealed files wait for the claim."""
    return f"held/{eject_id}/"


def released_prefix(eject_id: str) -> str:
    """Where the owner reads the sealed files after the claim."""
    return f"released/{eject_id}/"


def backup_name(eject_id: str) -> str:
    """The one file that holds every sealed half of a backup: one enclave call made them all."""
    return f"{held_prefix(eject_id)}{Role.CLIENT}/backup.json"


def custodian_half_name(eject_id: str, wallet_id: str) -> str:
    """The sealed custodian half of one wallet, before the claim."""
    return f"{held_prefix(eject_id)}{Role.CUSTODIAN}/{wallet_id}.json"


def released_name(eject_id: str, role: Role, wallet_id: str) -> str:
    """One sealed half as the owner reads it."""
    return f"{released_prefix(eject_id)}{role}/{wallet_id}.json"


def deposit_name(client_id: str) -> str:
    """The client's signing shares, sealed to the client role."""
    return f"deposits/{client_id}/signing-shares.json"


def api_key_name(client_id: str) -> str:
    """The client's own API key, sealed to the client role."""
    return f"deposits/{client_id}/api-key.json"


def chain_name(number: int) -> str:
    """One entry of the receipts' chain, from 1; not in `receipts/`, where `chain` may be a client's id."""
    return f"chain/{number:012d}.json"


def receipt_name(client_id: str, eject_id: str, reset_run: str | None = None) -> str:
    """What remains of an eject; a run that was reset after its end has a receipt of its own."""
    return f"receipts/{client_id}/{eject_id}{f'-{reset_run}' if reset_run else ''}.json"
