"""One scenario: a client with secrets of its own, what happens to it, and what is remembered of it."""

import asyncio
import shutil
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from temporalio.testing import TimeSkipper

import starter
from contracts.failures import Failure
from contracts.names import held_prefix, released_prefix
from contracts.owner import ClaimAnswer, Prove
from contracts.parks import Park, RetryOutcome
from contracts.receipt import Receipt
from contracts.sealing import Half
from contracts.stages import End, Stage
from ejects.visibility import describe
from tests.harness.portal import Customer
from tests.harness.processes import run
from tests.harness.secrets import ages, outside_sealed, part_of, share_secrets
from tests.harness.temporal import skip_to_the_end
from tests.harness.world import PATIENCE, World
from tests.planted.place import Place, Room

DAY = timedelta(days=1)


@dataclass
class Scene:
    """One client's eject; whatever is done through this is searched later."""

    name: str
    place: Place
    room: Room
    world: World
    folder: Path
    customer: Customer
    secrets: dict[str, str] = field(default_factory=dict)

    @property
    def handle(self) -> starter.EjectHandle:
        """The latest eject of the client."""
        return starter.handle_of(self.world.client, self.customer.client_id)

    @property
    def wallets(self) -> list[str]:
        """The client's wallets, SECP256K1 first."""
        return [wallet["id"] for wallet in self.world.sandbox.client(self.customer.client_id)["wallets"]]

    def keep(self, name: str, secret: str) -> str:
        """Have a secret looked for."""
        self.secrets[f"{self.name}: {name}"] = secret
        return secret

    @cached_property
    def token(self) -> str:
        """A session token of the client."""
        return self.keep("session token", self.world.sandbox.mint_session(self.customer.client_id))

    def echo(self) -> dict[str, Any]:
        """A body that repeats every secret that Portal was or could have been sent, in several places."""
        token = self.token
        custodian = self.world.sandbox.custodian_key.get_secret_value()
        gateway = self.world.sandbox.gateway_key.get_secret_value()
        key, shares = (
            self.customer.api_key.get_secret_value(),
            self.customer.generate_response.get_secret_value(),
        )
        return {
            "error": f"refused: Authorization: Bearer {custodian}",
            "message": f"the client's key is {key}, its token {token}, the gateway's '{gateway}'",
            "id": token,
            "request": {"generateResponse": shares},
            custodian: [key, {token: shares}],
        }

    def fault(self, call: str, status: int, body: Any = None, **more: Any) -> None:
        """Have Portal answer such a call about this client so; by default with an echo of every secret."""
        body = self.echo() if body is None else body
        who = self.customer.client_id
        self.world.sandbox.fault(call, "status", status=status, body=body, client_id=who, **more)

    def drop(self, call: str, times: int = 1) -> None:
        """Have Portal's answers to such calls be lost after they were done."""
        self.world.sandbox.fault(call, "drop", times=times, client_id=self.customer.client_id)

    async def start(self, **changes: Any) -> None:
        """Deposit and start."""
        await self.world.start(self.customer, **changes)

    async def reach(self, stage: Stage, times: int = 1) -> None:
        """Wait for a stage, and remember how everything lies there."""
        await self.world.reach(self.handle, stage, times)
        await self.collect()

    async def claimable(self, **changes: Any) -> None:
        """The first steps, by themselves."""
        await self.start(**changes)
        await self.reach(Stage.AWAITING_CLAIM)

    async def claim(self) -> Prove:
        """The owner claims and rebuilds; the proofs, not handed in yet."""
        answer = await self.world.claim(self.customer)
        await self.collect()
        return self.proofs(answer)

    def proofs(self, answer: ClaimAnswer) -> Prove:
        """The owner's device rebuilds and signs."""
        return self.world.proofs(answer)

    async def leave(self) -> None:
        """From a claimable bundle to the end `ejected`."""
        await self.world.prove(self.customer, await self.claim())
        await self.ends(End.EJECTED)

    async def forward(self, by: timedelta) -> None:
        """Skip time for this eject only; the sandbox's clock is everybody's, and no rule here minds."""
        assert await TimeSkipper(self.world.client).fast_forward(self.handle, by)

    async def parked(self, failure: Failure, times: int = 1) -> Park:
        """Wait for a park of this failure."""
        await self.reach(Stage.PARKED, times)
        park = (await self.world.told(self.customer)).park
        assert park is not None
        assert park.failure is failure, park
        return park

    async def retried(self, park: Park) -> None:
        """Retry what was mended."""
        answer = await self.world.retry(self.customer, park.number)
        assert answer.outcome is RetryOutcome.DONE, answer

    async def retried_in_vain(self, park: Park, failure: Failure) -> Park:
        """Retry, and park again of this failure."""
        answer = await self.world.retry(self.customer, park.number)
        assert (answer.outcome, answer.park and answer.park.failure) == (RetryOutcome.PARKED, failure), answer
        await self.collect()
        assert answer.park is not None
        return answer.park

    async def cancelled(self) -> None:
        """An operator cancels, and the eject ends so."""
        await self.world.cancel(self.customer)
        await self.ends(End.CANCELLED)

    async def ends(self, end: End) -> Receipt:
        """Wait for an end."""
        handle = self.handle
        async with asyncio.timeout(PATIENCE):
            await skip_to_the_end(self.world.client, handle)
            receipt = await handle.result()
        assert receipt.end is end, receipt
        await self.collect()
        return receipt

    async def troubled(self, step: str) -> None:
        """Wait until a step is being tried again, and remember how Temporal shows it."""
        async with asyncio.timeout(PATIENCE):
            while True:
                answer = await describe(self.world.client, self.handle.id)
                if any(p.activity_type.name == step and p.attempt > 1 for p in answer.pending_activities):
                    break
                assert answer.workflow_execution_info.close_time.seconds == 0, "it ended instead"
        await self.collect()

    async def cli(
        self, *arguments: str, stdin: str = "", program: str = "starter.py", **env: str
    ) -> tuple[int, str]:
        """A command line with a worker's whole environment: its exit code and standard output."""
        words = ("-m", "device") if program == "device" else (program,)
        code, out, error = await run(*words, *arguments, env=self.room.env | env, stdin=stdin)
        self.place.told.append(f"{out}\n{error}".encode())
        return code, out

    async def done(self, *arguments: str, **more: Any) -> str:
        """A command line that must succeed; its standard output."""
        code, out = await self.cli(*arguments, **more)
        assert code == 0, (arguments[0], code)
        return out

    def bundle(self, claim: str) -> list[str]:
        """What the device is given for a claim's answer, as files."""
        answer = ClaimAnswer.model_validate_json(claim)
        owner, told, files = (self.folder / name for name in ("owner.key", "claim.json", "files"))
        if not owner.exists():
            self.world.owner.identity.save(owner)
        told.write_text(claim)
        shutil.copytree(self.world.vault_folder / released_prefix(answer.eject_id), files, dirs_exist_ok=True)
        return ["--identity", str(owner), "--claim", str(told), "--files", str(files)]

    async def collect(self) -> None:
        """Open whatever halves of this eject lie in the vault, and remember the vault and the description."""
        answer = await describe(self.world.client, self.handle.id)
        self.place.workflows.add((self.world.client.namespace, self.handle.id))
        self.place.described.append(answer.SerializeToString())
        self.place.described.append(str(answer).encode())
        eject = answer.workflow_execution_info.first_run_id
        vault = self.world.vault_folder
        for prefix in (held_prefix(eject), released_prefix(eject), f"deposits/{self.customer.client_id}"):
            self.place.lying += [text.encode() for text in outside_sealed(vault / prefix)]
            self.place.lying += [str(path).encode() for path in (vault / prefix).rglob("*")]
        for prefix in (held_prefix(eject), released_prefix(eject)):
            for age in ages(vault / prefix):
                self._opened(age)

    def _opened(self, age: str) -> None:
        plain = self.world.owner.identity.open(age)
        if plain is None:
            return  # a scenario put it there
        half = Half.model_validate_json(plain)
        name = f"{half.role} half {half.pair}"
        if half.encrypted:
            self.keep(f"{name} (what it seals)", part_of(half.share))
        else:
            for part, secret in share_secrets(name, half.share).items():
                self.keep(part, secret)
        self.keep(f"{name} (nonce)", half.nonce)
        self.keep(f"{name} (cipher text)", age.splitlines()[4])
