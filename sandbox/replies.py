"""What the calls answer, one model for each: handlers fill them, and `/openapi.json` is made from them.

Fields with a default may be absent. What is not set is not written.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, WithJsonSchema
from pydantic.alias_generators import to_camel

from sandbox.bodies import MpcShare

Stamp = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
"""A time as Portal writes it."""

PairStatus = Literal[
    "completed",
    "incomplete",
    "STORED_CUSTODIAN_BACKUP_SHARE",
    "STORED_CLIENT_BACKUP_SHARE",
    "STORED_CLIENT_BACKUP_SHARE_KEY",
]
"""Read back as one of the first two; the raw ones occur too, and the last two of them mean completed."""


class Answer(BaseModel):
    """What every answer has in common: camelCase names on the wire."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, serialize_by_alias=True)


class ErrorResponse(Answer):
    """A refusal by the Custodian or the Client API."""

    error: str = ""


class BareErrorResponse(Answer):
    """A refusal that says nothing, as Portal's reference shows it for confirm backup status."""


class MpcErrorResponse(Answer):
    """A refusal by the enclave: branch on `id`, never on `message`."""

    id: str
    message: str = ""


class GatewayErrorResponse(Answer):
    """A refusal by Tatum's gateway."""

    status_code: int
    error_code: str
    message: str


class NewClientResponse(Answer):
    """A client that was just made, with its two credentials."""

    id: str
    client_api_key: str
    client_session_token: str
    is_account_abstracted: bool


class SessionResponse(Answer):
    """A client session token that was just minted."""

    id: str
    client_session_token: str
    is_account_abstracted: bool


class BackupSharePair(Answer):
    """A backup share pair as clients show it; methods are an open set of words."""

    id: str
    created_at: Stamp = ""
    backup_method: str = ""
    status: PairStatus = "incomplete"


class SigningSharePair(Answer):
    """A signing share pair as clients show it."""

    id: str
    created_at: Stamp = ""
    status: Literal["completed", "incomplete"] = "incomplete"


class WalletResponse(Answer):
    """A wallet; `publicKey` is a JSON string of decimal coordinates."""

    id: str
    created_at: Stamp = ""
    curve: Literal["SECP256K1", "ED25519"] = "SECP256K1"
    public_key: str | None = None
    ejectable_until: Stamp | None = None
    backup_share_pairs: list[BackupSharePair] = []
    signing_share_pairs: list[SigningSharePair] = []


class CustodianName(Answer):
    """Whose client it is."""

    id: str
    name: str


class Environment(Answer):
    """The environment that a client lives in."""

    id: str
    name: str
    backup_with_portal_enabled: bool = True
    is_multi_backup_enabled: bool = True


class Metadata(Answer):
    """The addresses, by namespace: `eip155`, `solana`, `bip122`, `stellar`, `tron`."""

    namespaces: dict[str, dict[str, Any]] = {}


class ClientResponse(Answer):
    """A client with its wallets, as the custodian and as the client itself reads it."""

    id: str
    created_at: Stamp = ""
    ejected_at: Stamp | None = None
    custodian: CustodianName | None = None
    environment: Environment | None = None
    is_account_abstracted: bool = False
    metadata: Metadata | None = None
    wallets: list[WalletResponse] = []


class PageMetadata(Answer):
    """Where the next page begins: null after the last one."""

    cursor: str | None
    take: int
    total: int


class ClientsResponse(Answer):
    """One page of clients."""

    results: list[ClientResponse]
    metadata: PageMetadata


class MpcShareResponse(Answer):
    """The client's new shares, one for each curve."""

    model_config = ConfigDict(alias_generator=None)

    SECP256K1: MpcShare
    ED25519: MpcShare


class CipherTextResponse(Answer):
    """The encrypted client share that was stored."""

    cipher_text: str


class EnableEjectResponse(Answer):
    """The window as it is set now."""

    ejectable_until: Stamp


class EjectableBackupSharesResponse(Answer):
    """Both backup shares of one pair: the client's as it was encrypted, the custodian's as a JSON string."""

    encrypted_client_backup_share: str | None = None
    custodian_backup_share: str = ""


class WrappedEjectableBackupSharesResponse(Answer):
    """The same, one level down: the client's fetch may answer either."""

    data: EjectableBackupSharesResponse
