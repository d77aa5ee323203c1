"""Everything that one eject needs, for one test: Temporal, Portal, vault, and the owner with a device."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from temporalio.client import Client, WorkflowHistory
from temporalio.testing import TimeSkipper

import starter
from contracts.commands import Cancel, Extend, Extended, Resolve, Taken
from contracts.names import released_prefix
from contracts.owner import Claim, ClaimAnswer, Prove
from contracts.parks import Retry, RetryAnswer
from contracts.receipt import Receipt, Status
from contracts.request import EjectRequest
from contracts.stages import Stage
from custody.audit import Audit
from custody.keys import make_key
from custody.signing import Trust
from custody.vault import Vault
from device.backups import OwnersBackup
from device.identity import Identity
from device.opening import OpenedWallet, open_bundle
from device.proving import prove
from runtime.settings import Settings, WorkerRole
from serving.budgets import rates_of
from serving.steps import activities_of, hosts_of
from serving.workers import make_worker
from tests.harness.portal import Customer, Sandbox
from tests.harness.temporal import skip_to_the_end
from workflows.eject import Eject
from workflows.starting import options_of

# Calls a minute; the sandbox has no budgets unless told.
PLENTY = 1_000_000

# How long anything may take that needs no time to pass; only a hang ever reaches it.
PATIENCE = 60


class Owner:
    """The owner of the wallets, with a device of their own."""

    def __init__(self, folder: Path) -> None:
        self.identity = Identity.generate()
        self.folder = folder

    def open(
        self, answer: ClaimAnswer, vault: Path, backup: OwnersBackup | None = None
    ) -> tuple[OpenedWallet, ...]:
        """Fetch the released files as they are named, and rebuild the keys."""
        copy = self.folder / answer.eject_id
        shutil.copytree(vault / released_prefix(answer.eject_id), copy, dirs_exist_ok=True)
        return open_bundle(self.identity, answer, copy, backup or OwnersBackup())


@dataclass
class World:
    """One test's world; `client` speaks to the namespace whose worker serves it."""

    client: Client
    sandbox: Sandbox
    settings: Settings
    vault_folder: Path
    owner: Owner
    receipt_key: str

    @property
    def vault(self) -> Vault:
        """The vault as the worker opens it."""
        return Vault(str(self.settings.vault_url))

    def environment(self) -> dict[str, str]:
        """The settings as a process of its own reads them."""
        settings = self.settings
        assert settings.custodian_api_key
        assert settings.client_identity
        assert settings.receipt_key
        return {
            "TEMPORAL_ADDRESS": self.client.service_client.config.target_host,
            "TEMPORAL_NAMESPACE": self.client.namespace,
            "EJECT_VAULT_URL": str(settings.vault_url),
            "EJECT_PORTAL_URL": settings.portal_url,
            "EJECT_ENCLAVE_URL": settings.enclave_url,
            "EJECT_CUSTODIAN_API_KEY": settings.custodian_api_key.get_secret_value(),
            "EJECT_RECEIPT_KEY": settings.receipt_key.get_secret_value(),
            "EJECT_CLIENT_IDENTITY": settings.client_identity.get_secret_value(),
            "EJECT_CLIENT_RECIPIENT": str(settings.client_recipient),
            "EJECT_BUDGET_CUSTODIAN": str(settings.budget_custodian),
            "EJECT_BUDGET_CLIENT": str(settings.budget_client),
            "EJECT_BUDGET_ENCLAVE": str(settings.budget_enclave),
            "EJECT_STAGE_SHOWN_AFTER": f"PT{settings.stage_shown_after.total_seconds()}S",
        } | ({"EJECT_CODEC_KEYS": settings.codec_keys.get_secret_value()} if settings.codec_keys else {})

    async def deposit(self, customer: Customer) -> None:
        """Put the signing shares where the client role finds them."""
        recipient = str(self.settings.client_recipient)
        await starter.deposit(self.vault, customer.client_id, customer.generate_response, recipient)

    async def deposit_api_key(self, customer: Customer) -> None:
        """Put the client's own API key where a strict client role finds it."""
        recipient = str(self.settings.client_recipient)
        await starter.deposit_api_key(self.vault, customer.client_id, customer.api_key, recipient)

    def request(self, customer: Customer, **changes: Any) -> EjectRequest:
        """An eject of this customer to this owner, a day long."""
        fields = {
            "client_id": customer.client_id,
            "recipient": self.owner.identity.recipient,
            "window": timedelta(days=1),
            "requested_by": "ada",
            "reason": "moves to self custody",
        }
        return EjectRequest.model_validate(fields | changes)

    async def start(self, customer: Customer, **changes: Any) -> starter.EjectHandle:
        """Deposit and start."""
        await self.deposit(customer)
        return await starter.start(self.client, self.request(customer, **changes))

    async def start_with_short_tasks(self, customer: Customer, seconds: int) -> starter.EjectHandle:
        """Deposit and start, with a task timeout after which a worker that says nothing has failed."""
        await self.deposit(customer)
        request = self.request(customer)
        timeout = timedelta(seconds=seconds)
        return await self.client.start_workflow(
            Eject.run, request, task_timeout=timeout, **options_of(request)
        )

    async def reach(self, handle: starter.EjectHandle, stage: Stage, times: int = 1) -> None:
        """Follow the history until the eject has entered a stage so often; an error when it ends without."""
        seen = []
        async with asyncio.timeout(PATIENCE):
            async for entered in starter.stages(handle):
                seen.append(entered)
                if seen.count(stage) == times:
                    return
        raise AssertionError(f"never reached {stage}: {seen}")

    async def forward(self, handle: starter.EjectHandle, by: timedelta) -> bool:
        """Move Temporal's clock for this eject and the sandbox's with it; False where it has ended."""
        self.sandbox.advance(by)
        return await TimeSkipper(self.client).fast_forward(handle, by)

    async def until_close(self, customer: Customer, handle: starter.EjectHandle, left: timedelta) -> None:
        """Move the clocks until so much is left of the window."""
        closes = (await self.told(customer)).window_closes
        assert closes is not None, "the window is not open"
        assert await self.forward(handle, closes - self.sandbox.now() - left)

    async def end(self, handle: starter.EjectHandle) -> Receipt:
        """Skip whatever time an eject still waits for, and answer its receipt."""
        async with asyncio.timeout(PATIENCE):
            await skip_to_the_end(self.client, handle)
            return await handle.result()

    async def claim(self, customer: Customer) -> ClaimAnswer:
        """The owner asks for the bundle."""
        return await starter.claim(self.client, customer.client_id, Claim(claimed_by="ada"))

    def rebuild(self, answer: ClaimAnswer, backup: OwnersBackup | None = None) -> tuple[OpenedWallet, ...]:
        """The owner's device rebuilds the keys."""
        return self.owner.open(answer, self.vault_folder, backup)

    def proofs(self, answer: ClaimAnswer, backup: OwnersBackup | None = None) -> Prove:
        """The owner's device signs the challenge of every wallet."""
        return prove(answer, self.rebuild(answer, backup))

    async def prove(self, customer: Customer, proofs: Prove) -> Any:
        """Hand the proofs in."""
        return await starter.prove(self.client, customer.client_id, proofs)

    async def leave(self, customer: Customer, **changes: Any) -> tuple[starter.EjectHandle, Receipt]:
        """A whole eject without trouble."""
        handle = await self.start(customer, **changes)
        await self.reach(handle, Stage.AWAITING_CLAIM)
        await self.prove(customer, self.proofs(await self.claim(customer)))
        return handle, await self.end(handle)

    async def told(self, customer: Customer) -> Status:
        """What `status` says of a running eject."""
        told = await starter.status(self.client, customer.client_id)
        assert isinstance(told, Status), f"the eject has ended: {told.end}"
        return told

    async def retry(self, customer: Customer, park: int) -> RetryAnswer:
        """An operator retries a park."""
        return await starter.retry(self.client, customer.client_id, Retry(park=park, by="ops", why="mended"))

    async def cancel(self, customer: Customer) -> Taken:
        """An operator cancels."""
        return await starter.cancel(self.client, customer.client_id, Cancel(by="ops", why="asked to"))

    async def resolve(self, customer: Customer) -> Taken:
        """An operator closes an eject that was claimed."""
        return await starter.resolve(self.client, customer.client_id, Resolve(by="ops", why="no proof comes"))

    async def extend(self, customer: Customer, window: timedelta) -> Extended:
        """An operator extends."""
        command = Extend(window=window, by="ops", why="the owner travels")
        return await starter.extend(self.client, customer.client_id, command)

    def portal_closes(self, customer: Customer) -> list[datetime]:
        """When Portal's window closes, for each wallet that has or had one."""
        wallets = self.sandbox.client(customer.client_id)["wallets"]
        return [datetime.fromisoformat(w["ejectableUntil"]) for w in wallets if w["ejectableUntil"]]

    def completions(self, customer: Customer) -> int:
        """How many completions took effect."""
        return len(self.sandbox.journal(client_id=customer.client_id, effect="completed"))

    def left_in_vault(self) -> list[str]:
        """Every file in the vault, by its name, but for the receipts' chain, which only grows."""
        return sorted(
            name
            for path in self.vault_folder.rglob("*")
            if path.is_file() and not (name := str(path.relative_to(self.vault_folder))).startswith("chain/")
        )

    def audit(self) -> list[str]:
        """What is wrong with the receipts and their chain; each is signed and proves what it says."""
        audit = Audit(self.vault_folder, Trust({self.receipt_key}))
        return [*audit.problems(), *(["no entry"] if audit.head is None else [])]

    async def history(self, handle: starter.EjectHandle) -> WorkflowHistory:
        """The history of an eject."""
        return await handle.fetch_history()


def make_world(client: Client, sandbox: Sandbox, folder: Path) -> World:
    """A world without a worker."""
    identity = Identity.generate()
    (folder / "identity").mkdir()
    key_file = folder / "identity" / "client-role"
    identity.save(key_file)
    signing_file = folder / "identity" / "receipts.pem"
    receipt_key = make_key(signing_file)
    vault = folder / "vault"
    settings = Settings(
        vault_url=vault.as_uri(),
        portal_url=f"{sandbox.url}/api/v3",
        enclave_url=sandbox.url,
        custodian_api_key=sandbox.custodian_key,
        receipt_key=SecretStr(signing_file.read_text()),
        client_identity=SecretStr(key_file.read_text()),
        client_recipient=identity.recipient,
        budget_custodian=PLENTY,
        budget_client=PLENTY,
        budget_enclave=PLENTY,
        # Tests follow ejects by the stages that are shown.
        stage_shown_after=timedelta(0),
    )
    return World(client, sandbox, settings, vault, Owner(folder / "owner"), receipt_key)


@asynccontextmanager
async def serving(world: World, role: WorkerRole = WorkerRole.ALL) -> AsyncIterator[None]:
    """A worker of both roles, or of one, inside this process."""
    settings = world.settings
    rates = rates_of(role, settings)
    async with AsyncExitStack() as stack:
        hosts = await stack.enter_async_context(hosts_of(settings))
        served = activities_of(role, settings, hosts)
        for queue, activities in served.items():
            worker = make_worker(
                world.client,
                queue,
                activities,
                settings.build_id,
                rate=rates.get(queue),
                cached=settings.cached_ejects,
            )
            await stack.enter_async_context(worker)
        yield
