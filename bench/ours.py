"""Eject itself: a worker of both roles as it is, and a driver that plays service, owner and device."""

import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from pydantic import SecretStr
from temporalio.client import Client

import starter
from bench.engines import Engine, connected, described
from bench.stack import Portal, Seeded, environment, temporal
from contracts.names import released_prefix
from contracts.owner import Claim, ClaimAnswer, Prove
from contracts.request import EjectRequest
from contracts.stages import End, Stage
from custody.keys import make_key
from custody.vault import Vault
from device.identity import Identity
from device.opening import open_bundle
from device.proving import prove
from runtime.development import process


class Ours(Engine):
    """One eject as a service and its owner see it."""

    def __init__(self, client: Client, recipient: str, portal: Portal, folder: Path, worker: Process) -> None:
        super().__init__(portal, folder, worker)
        self.client, self._recipient = client, recipient
        self._vault = Vault((folder / "vault").as_uri())
        self._owner = Identity.generate()
        self._handles: dict[str, starter.EjectHandle] = {}
        self._claims: dict[str, ClaimAnswer] = {}
        self._proofs: dict[str, Prove] = {}

    async def deposit(self, clients: list[Seeded]) -> None:
        """The signing shares and the API key, sealed into the vault."""
        for one in clients:
            shares, key = SecretStr(one.generate_response), SecretStr(one.api_key)
            await starter.deposit(self._vault, one.client_id, shares, self._recipient)
            await starter.deposit_api_key(self._vault, one.client_id, key, self._recipient)

    async def begin(self, client: Seeded) -> None:
        """Followed by the events of its history, as they come."""
        await self.start(client)
        await self.until(client, Stage.AWAITING_CLAIM)

    async def start(self, client: Seeded) -> None:
        """Ask for it."""
        request = EjectRequest(
            client_id=client.client_id,
            recipient=self._owner.recipient,
            window=timedelta(days=1),
            requested_by="bench",
            reason="is measured",
        )
        self._handles[client.client_id] = await starter.start(self.client, request)

    async def until(self, client: Seeded, reached: Stage) -> None:
        """Follow it until it comes to a stage."""
        async for stage in starter.stages(self._handles[client.client_id]):
            if stage is reached:
                return
        raise RuntimeError("it ended before the owner's part")

    async def claim(self, client: Seeded) -> None:
        """The files are released."""
        claim = Claim(claimed_by="bench")
        self._claims[client.client_id] = await starter.claim(self.client, client.client_id, claim)

    async def prove(self, client: Seeded) -> None:
        """The device opens the copy of the released files, rebuilds the keys, signs the challenges."""
        answer = self._claims.pop(client.client_id)
        released = self.folder / "vault" / released_prefix(answer.eject_id)
        self._proofs[client.client_id] = prove(answer, open_bundle(self._owner, answer, released))

    async def finish(self, client: Seeded) -> None:
        """Hand the proofs in, wait for the receipt."""
        proofs = self._proofs.pop(client.client_id)
        await starter.prove(self.client, client.client_id, proofs)
        receipt = await self._handles[client.client_id].result()
        if receipt.end is not End.EJECTED:
            raise RuntimeError(f"it ended {receipt.end}")

    async def history(self, client: Seeded) -> tuple[int | None, int | None]:
        """As Temporal counts them."""
        return await described(self._handles[client.client_id])


@asynccontextmanager
async def ours(portal: Portal, folder: Path) -> AsyncIterator[Engine]:
    """A worker of both roles, with the client's own credential as in production, and no codec."""
    identity = Identity.generate()
    identity.save(folder / "client-role.key")
    make_key(folder / "receipts.pem")
    async with temporal(folder, tuned=True) as (server, address):
        client = await connected(address)
        env = environment(
            TEMPORAL_ADDRESS=address,
            EJECT_VAULT_URL=(folder / "vault").as_uri(),
            EJECT_PORTAL_URL=f"{portal.url}/api/v3",
            EJECT_ENCLAVE_URL=portal.url,
            EJECT_CUSTODIAN_API_KEY=portal.custodian_key,
            EJECT_RECEIPT_KEY=(folder / "receipts.pem").read_text(),
            EJECT_CLIENT_IDENTITY=(folder / "client-role.key").read_text(),
            EJECT_CLIENT_RECIPIENT=identity.recipient,
            EJECT_CLIENT_CREDENTIAL="strict",
            EJECT_LOG_LEVEL="WARNING",
            # Of the sandbox, which has none.
            **{f"EJECT_BUDGET_{name}": "1000000" for name in ("CUSTODIAN", "CLIENT", "ENCLAVE")},
        )
        command = (sys.executable, "worker.py", "--role", "all")
        async with process(*command, env=env, log=folder / "worker.log") as worker:
            engine = Ours(client, identity.recipient, portal, folder, worker)
            engine.processes["server"] = server.pid
            yield engine
