"""The custodian's calls, as far as an eject makes them: Portal's Custodian API, or Tatum's gateway to it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import httpx
from pydantic import SecretStr

from portal import calls
from portal.calls import Call
from portal.http import send
from portal.profiles import DIRECT, Profile
from portal.replies import ClientReply, ClientsReply, Reply, SharesReply

R = TypeVar("R", bound=Reply)

# Half of what Portal allows: a client with dozens of pairs has tens of kilobytes, and a reply is bounded.
PAGE = 50


@dataclass(frozen=True)
class CustodianApi:
    """The calls that take the custodian's API key."""

    http: httpx.AsyncClient
    api_key: SecretStr
    profile: Profile = DIRECT

    async def read_client(self, client_id: str) -> ClientReply:
        """The client with its wallets, pairs and published addresses."""
        return await self._send(calls.READ_CLIENT, client_id=client_id)

    async def list_clients(self, cursor: str | None = None) -> ClientsReply:
        """One page of all clients, after the one that the last page's cursor names."""
        query = {"take": str(PAGE)} | ({"cursor": cursor} if cursor else {})
        return await self._send(calls.LIST_CLIENTS, query=query)

    async def mint_session(self, client_id: str) -> SecretStr:
        """A client session token: valid for 24 h without use, so made where it is needed and never stored."""
        reply = await self._send(calls.MINT_SESSION, body={}, client_id=client_id)
        return reply.client_session_token

    async def enable_eject(self, client_id: str, wallet_id: str, until: datetime) -> datetime:
        """Open one wallet's window; Portal refuses less than a minute ahead. Returns what it confirmed."""
        reply = await self._send(
            calls.ENABLE_EJECT,
            body={"walletId": wallet_id, "ejectableUntil": until.isoformat().replace("+00:00", "Z")},
            client_id=client_id,
        )
        return reply.ejectable_until

    async def fetch_shares(self, client_id: str, wallet_id: str) -> SharesReply:
        """The custodian half of one wallet, in the clear."""
        return await self._send(calls.FETCH_SHARES, client_id=client_id, wallet_id=wallet_id)

    async def _send(
        self,
        call: Call[R],
        *,
        body: dict[str, Any] | None = None,
        query: dict[str, str] | None = None,
        **ids: str,
    ) -> R:
        return await send(
            self.http, call, self.api_key, ids=ids, query=query, body=body, profile=self.profile
        )
