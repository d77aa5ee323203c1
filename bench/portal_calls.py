"""Portal's calls as a team would make them without Eject: httpx, one function for each, nothing sealed.

Every engine but ours makes these same calls. Shares stay in files of the worker's machine, so that no engine
carries them: an eject passes on ids, like ours.
"""

import asyncio
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

# httpx's pool walks over all its connections and waiting requests at each call, which at 50 flows costs more
# than the call. Measured: these few with one connection each, the last used first, take half its time.
CONNECTIONS = 10
_WINDOW = timedelta(days=1)


class PortalCalls:
    """The calls of one eject with a fresh backup; those of clients with the client's own API key."""

    def __init__(self, url: str, custodian_key: str, folder: Path) -> None:
        self._folder = folder
        self._custodian = {"Authorization": f"Bearer {custodian_key}"}
        trusted = httpx.create_ssl_context(trust_env=False)
        self._free = asyncio.LifoQueue[httpx.AsyncClient]()
        for _ in range(CONNECTIONS):
            http = httpx.AsyncClient(
                base_url=url,
                verify=trusted,
                trust_env=False,
                timeout=30,
                limits=httpx.Limits(max_connections=1, max_keepalive_connections=1),
            )
            self._free.put_nowait(http)

    async def read_client(self, client_id: str) -> list[str]:
        """The client's wallets."""
        shown = await self._call("GET", _client(client_id), self._custodian)
        return [wallet["id"] for wallet in shown["wallets"]]

    async def back_up(self, client_id: str) -> list[str]:
        """Make a backup and keep its shares; the pairs."""
        body = {"generateResponse": self._deposit(client_id)["generate_response"]}
        made = await self._call("POST", "/v1/backup", self._client(client_id), body)
        for share in made.values():
            self._file(share["id"]).write_text(share["share"])
        return [share["id"] for share in made.values()]

    async def store_cipher_text(self, client_id: str, pair: str) -> None:
        """Have Portal keep a pair's share, which a team would have encrypted."""
        body = {"clientCipherText": self._file(pair).read_text()}
        await self._call("PATCH", f"{_ME}/backup-share-pairs/{pair}", self._client(client_id), body)

    async def mark_stored(self, client_id: str, pairs: list[str]) -> None:
        """Mark the pairs as stored."""
        body = {"backupSharePairIds": pairs, "status": "STORED_CLIENT_BACKUP_SHARE"}
        await self._call("PATCH", f"{_ME}/backup-share-pairs", self._client(client_id), body)

    async def enable_eject(self, client_id: str, wallet: str) -> str:
        """Open a wallet's window; when it closes."""
        body = {"walletId": wallet, "ejectableUntil": (datetime.now(UTC) + _WINDOW).isoformat()}
        opened = await self._call("PATCH", f"{_client(client_id)}/enable-eject", self._custodian, body)
        return str(opened["ejectableUntil"])

    async def fetch_share(self, client_id: str, wallet: str) -> None:
        """Fetch a wallet's shares and keep them."""
        path = f"{_client(client_id)}/wallets/{wallet}/ejectable-backup-shares"
        self._file(wallet).write_text(json.dumps(await self._call("GET", path, self._custodian)))

    async def complete(self, client_id: str) -> None:
        """Mark the client as ejected."""
        await self._call("POST", f"{_ME}/eject", self._client(client_id), {})

    async def _call(self, method: str, path: str, headers: dict[str, str], body: Any = None) -> Any:
        http = await self._free.get()
        try:
            reply = await http.request(method, path, headers=headers, json=body)
        finally:
            self._free.put_nowait(http)
        reply.raise_for_status()
        return reply.json() if reply.content else None

    def _client(self, client_id: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._deposit(client_id)['client_api_key']}"}

    def _deposit(self, client_id: str) -> dict[str, str]:
        deposit: dict[str, str] = json.loads(deposit_file(self._folder, client_id).read_text())
        return deposit

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.share"


_ME = "/api/v3/clients/me"


def _client(client_id: str) -> str:
    return f"/api/v3/custodians/me/clients/{client_id}"


def deposit_file(folder: Path, client_id: str) -> Path:
    """Where a client's signing shares and API key lie."""
    return folder / f"{client_id}.json"


def calls_of_environment() -> PortalCalls:
    """The calls as the bench's environment says."""
    return PortalCalls(
        os.environ["BENCH_PORTAL_URL"], os.environ["BENCH_CUSTODIAN_KEY"], Path(os.environ["BENCH_FOLDER"])
    )
