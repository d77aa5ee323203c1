"""Through whom a custodian reaches Portal, and how a client is marked as ejected there."""

from enum import StrEnum


class Provider(StrEnum):
    """Who answers the custodian's calls; the client's and the enclave's always go to Portal itself."""

    PORTAL = "portal"
    TATUM = "tatum"


class Completion(StrEnum):
    """The irreversible call: once for the client (POST), or once for each of its wallets (PATCH)."""

    CLIENT = "client"
    WALLET = "wallet"
