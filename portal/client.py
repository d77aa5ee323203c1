"""Portal's Client API and its Enclave MPC API, as far as an eject calls them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import httpx
from pydantic import SecretStr

from portal import calls
from portal.http import send
from portal.replies import ClientReply, MpcSharesReply, SharesReply

Credential = Callable[[str], Awaitable[SecretStr]]
"""Gives the credential of one client: an API key or a session token, asked for in each attempt."""


@dataclass(frozen=True)
class ClientApi:
    """The calls that a client makes for itself, as one client."""

    http: httpx.AsyncClient
    enclave: httpx.AsyncClient
    credential: SecretStr

    async def read(self) -> ClientReply:
        """The client as itself."""
        return await send(self.http, calls.READ_CLIENT_AS_ITSELF, self.credential)

    async def back_up(self, generate_response: SecretStr) -> MpcSharesReply:
        """New backup share pairs and their client shares. Not idempotent: each call makes new pairs."""
        return await send(
            self.enclave,
            calls.BACK_UP,
            self.credential,
            body={"generateResponse": generate_response.get_secret_value()},
        )

    async def store_cipher_text(self, pair_id: str, cipher_text: str) -> None:
        """Have Portal keep the sealed client share of one pair; repeating it is safe."""
        await send(
            self.http,
            calls.STORE_CIPHER_TEXT,
            self.credential,
            ids={"pair_id": pair_id},
            body={"clientCipherText": cipher_text},
        )

    async def read_cipher_text(self, pair_id: str) -> str:
        """The sealed client share of one pair, as it was stored."""
        reply = await send(self.http, calls.READ_CIPHER_TEXT, self.credential, ids={"pair_id": pair_id})
        return reply.cipher_text

    async def confirm_backup(self, pair_ids: Sequence[str]) -> None:
        """Tell Portal that the client shares of these pairs are stored."""
        await send(
            self.http,
            calls.CONFIRM_BACKUP,
            self.credential,
            body={"backupSharePairIds": list(pair_ids), "status": "STORED_CLIENT_BACKUP_SHARE"},
        )

    async def fetch_shares(self, wallet_id: str, backup_method: str) -> SharesReply:
        """The custodian half of one wallet; a success closes the wallet's window, so it works once."""
        return await send(
            self.http,
            calls.FETCH_SHARES_AS_CLIENT,
            self.credential,
            ids={"wallet_id": wallet_id},
            query={"backupMethod": backup_method},
        )

    async def complete_wallet(self, wallet_id: str) -> None:
        """Mark one wallet as ejected; by Tatum's guide that marks the client. This cannot be undone."""
        await send(self.http, calls.COMPLETE_WALLET, self.credential, ids={"wallet_id": wallet_id})

    async def complete(self) -> None:
        """Mark the client and all its wallets as ejected. This cannot be undone."""
        await send(self.http, calls.COMPLETE, self.credential, body={})


@dataclass(frozen=True)
class Clients:
    """Opens the Client API as any client, with a fresh credential for each use."""

    http: httpx.AsyncClient
    enclave: httpx.AsyncClient
    credential: Credential

    async def as_client(self, client_id: str) -> ClientApi:
        """The calls of one client."""
        return ClientApi(self.http, self.enclave, await self.credential(client_id))
