"""Portal's Custodian API, as far as an eject calls it."""

from dataclasses import dataclass
from datetime import datetime

import httpx
from pydantic import SecretStr

from portal import calls
from portal.http import send
from portal.replies import ClientReply, SharesReply


@dataclass(frozen=True)
class CustodianApi:
    """The calls that take the custodian's API key."""

    http: httpx.AsyncClient
    api_key: SecretStr

    async def read_client(self, client_id: str) -> ClientReply:
        """The client with its wallets, pairs and published addresses."""
        return await send(self.http, calls.READ_CLIENT, self.api_key, ids={"client_id": client_id})

    async def mint_session(self, client_id: str) -> SecretStr:
        """A client session token: valid for 24 h without use, so made where it is needed and never stored."""
        reply = await send(self.http, calls.MINT_SESSION, self.api_key, ids={"client_id": client_id}, body={})
        return reply.client_session_token

    async def enable_eject(self, client_id: str, wallet_id: str, until: datetime) -> datetime:
        """Open one wallet's window; Portal refuses less than a minute ahead. Returns what it confirmed."""
        reply = await send(
            self.http,
            calls.ENABLE_EJECT,
            self.api_key,
            ids={"client_id": client_id},
            body={"walletId": wallet_id, "ejectableUntil": until.isoformat().replace("+00:00", "Z")},
        )
        return reply.ejectable_until

    async def fetch_shares(self, client_id: str, wallet_id: str) -> SharesReply:
        """The custodian half of one wallet, in the clear."""
        return await send(
            self.http,
            calls.FETCH_SHARES,
            self.api_key,
            ids={"client_id": client_id, "wallet_id": wallet_id},
        )
