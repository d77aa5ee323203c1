"""A sandbox in this process, and one in a process of its own, with the calls that most tests begin with."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from sandbox.app import make_app

ROOT = Path(__file__).parents[2]
ME = "/api/v3/clients/me"
CLIENTS = "/api/v3/custodians/me/clients"
GATEWAY = "/v4/wallets/clients"


@dataclass(frozen=True)
class Owner:
    """A client that has generated, as `POST /_sandbox/seed` answers it."""

    client_id: str
    client_api_key: str
    generate_response: str


@dataclass(frozen=True)
class Box:
    """A sandbox as its callers see it."""

    http: httpx.AsyncClient
    custodian_key: str
    gateway_key: str

    async def gateway(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Call Tatum's gateway with the custodian's Tatum key."""
        return await self.http.request(method, path, headers={"x-api-key": self.gateway_key}, **options)

    async def custodian(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Call with the custodian's credential."""
        return await self.call(method, path, self.custodian_key, **options)

    async def call(self, method: str, path: str, token: str, **options: Any) -> httpx.Response:
        """Call with a credential."""
        return await self.http.request(method, path, headers={"Authorization": f"Bearer {token}"}, **options)

    async def control(self, path: str, body: Any = None) -> Any:
        """Steer the sandbox: a body is posted, without one the answer is read."""
        method = "GET" if body is None else "POST"
        reply = await self.http.request(method, f"/_sandbox/{path}", json=body)
        assert reply.status_code == 200, reply.text
        return reply.json()

    async def seed(self, **shape: Any) -> Owner:
        """Make a client that has generated, with both wallets or of another shape."""
        return Owner(**await self.control("seed", shape))

    async def read(self, client_id: str) -> Any:
        """Read a client as the custodian."""
        reply = await self.custodian("GET", f"{CLIENTS}/{client_id}")
        assert reply.status_code == 200
        return reply.json()

    async def back_up(self, owner: Owner) -> dict[str, dict[str, str]]:
        """Back up and answer the client's backup shares."""
        body = {"generateResponse": owner.generate_response}
        reply = await self.call("POST", "/v1/backup", owner.client_api_key, json=body)
        assert reply.status_code == 200
        shares: dict[str, dict[str, str]] = reply.json()
        return shares

    async def confirm(self, owner: Owner, *pair_ids: str) -> httpx.Response:
        """Confirm pairs."""
        body = {"backupSharePairIds": list(pair_ids), "status": "STORED_CLIENT_BACKUP_SHARE"}
        return await self.call("PATCH", f"{ME}/backup-share-pairs", owner.client_api_key, json=body)

    async def wallet(self, owner: Owner, curve: str = "SECP256K1") -> Any:
        """Answer the client's wallet of a curve, as read client shows it."""
        client = await self.read(owner.client_id)
        return next(wallet for wallet in client["wallets"] if wallet["curve"] == curve)

    async def fetch(self, owner: Owner, wallet_id: str) -> httpx.Response:
        """Fetch a wallet's ejectable shares as the custodian."""
        path = f"{CLIENTS}/{owner.client_id}/wallets/{wallet_id}/ejectable-backup-shares"
        return await self.custodian("GET", path)

    async def enable(self, owner: Owner, wallet_id: str) -> httpx.Response:
        """Open a wallet's window for as long as an omitted time means."""
        path = f"{CLIENTS}/{owner.client_id}/enable-eject"
        return await self.custodian("PATCH", path, json={"walletId": wallet_id})

    async def fetch_as_client(
        self, owner: Owner, wallet_id: str, method: str | None = "PASSWORD"
    ) -> httpx.Response:
        """Fetch a wallet's ejectable shares as the client."""
        path = f"{ME}/wallets/{wallet_id}/ejectable-backup-shares"
        params = {} if method is None else {"backupMethod": method}
        return await self.call("GET", path, owner.client_api_key, params=params)

    async def complete(self, owner: Owner, wallet_id: str) -> httpx.Response:
        """Complete one wallet."""
        return await self.call("PATCH", f"{ME}/wallets/{wallet_id}/complete-eject", owner.client_api_key)

    async def effects(self, **filters: str) -> list[str | None]:
        """Answer the effects in the journal."""
        reply = await self.http.get("/_sandbox/journal", params=filters)
        return [entry["effect"] for entry in reply.json()["entries"]]


@asynccontextmanager
async def in_process() -> AsyncIterator[Box]:
    """Serve a sandbox in memory, without a socket."""
    app = make_app()
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as http:
        yield Box(http, app.state.portal.custodian_key, app.state.portal.gateway_key)
    app.state.portal.store.close()


@contextmanager
def process(
    *arguments: str, env: dict[str, str] | None = None
) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """Run `python -m sandbox` and end exactly that process, whatever happens."""
    command = [sys.executable, "-m", "sandbox", "--port", "0", *arguments]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SANDBOX_")}
    with subprocess.Popen(
        command,
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment | (env or {}),
    ) as running:
        try:
            assert running.stdout is not None
            yield running, json.loads(running.stdout.readline())
        finally:
            if running.poll() is None:
                running.send_signal(signal.SIGKILL)


@asynccontextmanager
async def connected(ready: dict[str, str]) -> AsyncIterator[Box]:
    """Talk to a sandbox in a process of its own."""
    async with httpx.AsyncClient(base_url=ready["url"], trust_env=False) as http:
        yield Box(http, ready["custodian_api_key"], ready["gateway_api_key"])


async def backed_up(box: Box) -> tuple[Owner, str, dict[str, str]]:
    """Make a client with a completed pair and cipher text; answer its EVM wallet and share."""
    owner = await box.seed()
    share = (await box.back_up(owner))["SECP256K1"]
    path = f"{ME}/backup-share-pairs/{share['id']}"
    await box.call("PATCH", path, owner.client_api_key, json={"clientCipherText": "sealed"})
    await box.confirm(owner, share["id"])
    return owner, (await box.wallet(owner))["id"], share
