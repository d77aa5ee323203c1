"""What Portal answers, as far as an eject reads it.

Portal's documents call few fields required and its SDKs show more variants than they do, so every field
but an id is optional here unless nothing can be done without it. Shares and tokens are `SecretStr`: they
show in no repr and no error.
"""

import json
from datetime import datetime
from typing import Annotated, Any

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    model_validator,
)
from pydantic.alias_generators import to_camel

from contracts.base import Id, Moment
from contracts.wallets import Curve, PublicKey


class Reply(BaseModel):
    """A body of Portal's: camel case, unknown fields ignored, silent about its input when it is wrong."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=to_camel,
        populate_by_name=True,
        hide_input_in_errors=True,
    )


def _coordinates(value: Any) -> Any:
    """`publicKey` is a JSON string of decimal coordinates, x and y in either case, or null."""
    if not isinstance(value, str):
        return value
    try:
        point = json.loads(value)
        lower = {str(key).lower(): str(number) for key, number in point.items()}
    except (ValueError, AttributeError, RecursionError):
        raise ValueError("is not a JSON object of coordinates") from None
    return {"x": lower.get("x"), "y": lower.get("y")}


class PairReply(Reply):
    """A backup share pair; `status` reads back as `completed`, `incomplete` or one of the raw statuses."""

    id: Id
    status: str = ""

    @property
    def completed(self) -> bool:
        """Whether the client's share of this pair is stored, in whichever of its forms the status is told."""
        return self.status in ("completed", "STORED_CLIENT_BACKUP_SHARE", "STORED_CLIENT_BACKUP_SHARE_KEY")


class WalletReply(Reply):
    """A wallet as `read client` shows it."""

    id: Id
    curve: Curve
    public_key: Annotated[PublicKey | None, BeforeValidator(_coordinates)] = None
    ejectable_until: Moment | None = None
    backup_share_pairs: tuple[PairReply, ...] = ()


class EnvironmentReply(Reply):
    """The settings of the custodian's environment that decide whether an eject can work."""

    backup_with_portal_enabled: bool | None = None
    is_multi_backup_enabled: bool | None = None


class MetadataReply(Reply):
    """`metadata`: its namespaces hold the published addresses in several forms."""

    # Not typed any deeper: an error would name Portal's keys, which could be any text.
    namespaces: dict[str, Any] = Field(default_factory=dict)


class ClientReply(Reply):
    """A client, as the custodian or the client itself reads it."""

    id: Id
    ejected_at: Moment | None = None
    environment: EnvironmentReply = EnvironmentReply()
    metadata: MetadataReply = MetadataReply()
    wallets: tuple[WalletReply, ...] = ()

    @property
    def open_until(self) -> datetime | None:
        """When the last of the wallets' windows closes or has closed; None where none is shown."""
        return max((w.ejectable_until for w in self.wallets if w.ejectable_until is not None), default=None)

    def addresses(self, curve: Curve) -> dict[str, str]:
        """The published addresses of one curve by namespace; Bitcoin's as `bip122.mainnet` and `.testnet`."""
        found: dict[str, str] = {}
        for namespace, entry in self.metadata.namespaces.items():
            if not isinstance(entry, dict) or str(entry.get("curve", "")).upper() != curve:
                continue
            if isinstance(entry.get("address"), str) and entry["address"]:
                found[namespace] = entry["address"]
            bitcoin = entry.get("bitcoin")
            p2wpkh = bitcoin.get("p2wpkh") if isinstance(bitcoin, dict) else None
            if isinstance(p2wpkh, dict):
                nets = {net: text for net, text in p2wpkh.items() if isinstance(text, str) and text}
                found |= {f"{namespace}.{net}": text for net, text in nets.items()}
        return found


class PageReply(Reply):
    """Where the next page of a listing begins: documented as an id, the last client's, absent after the last.

    That the last page has none, or an empty one, is inferred.
    """

    cursor: Annotated[Id | None, BeforeValidator(lambda text: text or None)] = None


class ClientsReply(Reply):
    """One page of the custodian's clients; a page that does not say whether it is the last is no answer."""

    results: tuple[ClientReply, ...]
    metadata: PageReply


class SessionReply(Reply):
    """A client session token."""

    client_session_token: SecretStr


class MpcShareReply(Reply):
    """One share of generate or backup; `share` is unpadded base64, `id` the share pair's."""

    share: SecretStr
    id: Id


class MpcSharesReply(Reply):
    """The shares of both curves, as the Enclave MPC API answers and as `generateResponse` repeats them."""

    secp256k1: Annotated[
        MpcShareReply | None, Field(validation_alias=AliasChoices("SECP256K1", "secp256k1"))
    ] = None
    ed25519: Annotated[MpcShareReply | None, Field(validation_alias=AliasChoices("ED25519", "ed25519"))] = (
        None
    )

    def of(self, curve: Curve) -> MpcShareReply | None:
        """The share of one curve, or None where there is none."""
        return self.secp256k1 if curve is Curve.SECP256K1 else self.ed25519


class EjectableReply(Reply):
    """Until when a wallet may be ejected."""

    ejectable_until: Moment


def _unwrapped(body: Any) -> Any:
    """The client's fetch answers flat, or wrapped in `data`."""
    return body["data"] if isinstance(body, dict) and isinstance(body.get("data"), dict) else body


class SharesReply(Reply):
    """The fetch of either side: the cipher text that the client stored, or null, and the custodian half."""

    _flat = model_validator(mode="before")(_unwrapped)

    encrypted_client_backup_share: Annotated[str, StringConstraints(max_length=1_000_000)] | None = None
    custodian_backup_share: SecretStr


class CipherTextReply(Reply):
    """What the client stored for one pair; the field's name is inferred, so both likely ones are read."""

    cipher_text: Annotated[
        str, Field(max_length=1_000_000, validation_alias=AliasChoices("cipherText", "clientCipherText"))
    ]


class Nothing(Reply):
    """A reply whose body says nothing: any 2xx, with or without one."""
