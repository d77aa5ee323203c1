"""What people see in the Temporal UI, read in a real browser: enough to act on, and no secret.

With EJECT_SCREENSHOTS=docs it renews the pictures of the README.
"""

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from urllib.parse import quote

import pytest
import pytest_asyncio
from pydantic import SecretStr

import demo
import starter
from contracts.approvals import Approve
from contracts.names import released_prefix
from contracts.receipt import Status
from contracts.stages import End, Stage
from runtime.development import free_port
from runtime.settings import Settings
from tests.harness.portal import Customer, Sandbox
from tests.harness.secrets import leaks, secrets_of
from tests.harness.world import PATIENCE, Owner, World
from tests.ui.browser import CHROMIUM, Page, browser
from workflows import policies

pytestmark = [
    pytest.mark.ui,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium"),
]

PICTURES = os.environ.get("EJECT_SCREENSHOTS")
UI_PORT = free_port()
WORKFLOWS = f"http://127.0.0.1:{UI_PORT}/namespaces/default/workflows"
COLUMNS = ("Status", "Workflow ID", "EjectStage", "EjectWindowCloses", "Start")
TABS = {
    "timeline": "Timeline",
    "relationships": "Relationships",
    "workers": "Workers",
    "pending-activities": "Pending Activities",
    "call-stack": "Call Stack",
    "query": "Queries",
    "search-attributes": "EjectStage",
    "memo": "Memo",
}


@pytest_asyncio.fixture(loop_scope="session")
async def seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """The demo: server with UI, sandbox and worker, each a process, as `make demo` starts them."""
    key, folder = token_hex(16), tmp_path / "demo"
    await asyncio.to_thread(folder.mkdir)
    monkeypatch.setenv("SANDBOX_CUSTODIAN_API_KEY", key)
    for name in ("TEMPORAL_ADDRESS", "EJECT_VAULT_URL", "EJECT_CLIENT_RECIPIENT"):
        monkeypatch.setenv(name, "")  # the demo sets them, and they are put back afterwards
    monkeypatch.setattr(demo, "free_port", iter([free_port(), UI_PORT]).__next__)
    async with AsyncExitStack() as stack:
        running = await demo.bring_up(stack, folder)
        sandbox = Sandbox(running.sandbox, key)
        stack.callback(sandbox.close)
        settings = Settings(
            vault_url=running.vault.as_uri(),
            portal_url=f"{running.sandbox}/api/v3",
            enclave_url=running.sandbox,
            custodian_api_key=sandbox.custodian_key,
            receipt_key=SecretStr(await asyncio.to_thread((folder / "receipts.pem").read_text)),
            client_identity=SecretStr(await asyncio.to_thread((folder / "client-role.key").read_text)),
            client_recipient=os.environ["EJECT_CLIENT_RECIPIENT"],
        )
        owner = Owner(folder / "owner")
        yield World(running.client, sandbox, settings, running.vault, owner, running.receipt_key)


async def ended(handle: starter.EjectHandle) -> End:
    """How an eject ends; the demo's server skips no time."""
    async with asyncio.timeout(PATIENCE):
        return (await handle.result()).end


@dataclass
class Reader:
    """Somebody before the Temporal UI; `pages` holds all that was on each page, folded parts too."""

    page: Page
    pages: dict[str, list[str]]

    async def see(self, name: str, url: str, *words: str) -> str:
        """Open a page and wait for these words; what a person reads on it."""
        await self.page.open(url, *words)
        text = await self.page.settled()
        self.pages[name] = [text, await self.page.markup()]
        return text

    async def remember(self, key: str, value: object) -> None:
        """Set what the UI remembers of its reader, such as which columns are shown."""
        await self.page.run(f"localStorage.setItem('{key}', {json.dumps(json.dumps(value))})")

    async def picture(self, name: str) -> None:
        """Renew a picture of the README where that was asked for."""
        if PICTURES:
            taken = await self.page.picture()
            await asyncio.to_thread((Path(PICTURES) / f"{name}.png").write_bytes, taken)


async def approved(world: World, customer: Customer) -> starter.EjectHandle:
    """Start an eject and approve it."""
    handle = await world.start(customer, approvals=1)
    await world.reach(handle, Stage.AWAITING_APPROVAL)
    digest = (await world.told(customer)).request_digest
    command = Approve(digest=digest, by="grace", why="I know the owner")
    await starter.approve(world.client, customer.client_id, command)
    return handle


async def parked(world: World, customer: Customer) -> starter.EjectHandle:
    """An eject whose first custodian half cannot be read, inside an open window."""
    wallet = world.sandbox.client(customer.client_id)["wallets"][0]["id"]
    world.sandbox.change(customer.client_id, wallets={wallet: {"next_fetch": "garbage"}})
    handle = await approved(world, customer)
    await world.reach(handle, Stage.PARKED)
    return handle


async def ejected(world: World, customer: Customer, files: Path) -> starter.EjectHandle:
    """An eject that has ended well, and a copy of its sealed files."""
    handle = await approved(world, customer)
    await world.reach(handle, Stage.AWAITING_CLAIM)
    answer = await world.claim(customer)
    shutil.copytree(world.vault_folder / released_prefix(answer.eject_id), files)
    await world.prove(customer, world.proofs(answer))
    assert await ended(handle) is End.EJECTED
    return handle


def address(handle: starter.EjectHandle) -> str:
    """Where the UI shows an eject."""
    return f"{WORKFLOWS}/{handle.id}/{handle.first_execution_run_id}"


async def see_the_lists(reader: Reader, status: Status, waits: str, done: str) -> None:
    """Our search attributes find ejects, and are columns."""
    await reader.page.size(1500, 480)
    await reader.page.open(WORKFLOWS, "Workflows")
    columns = [{"label": label} for label in COLUMNS]
    await reader.remember("namespace-workflow-table-columns", {"default": columns})
    both = "?query=" + quote("WorkflowType='Eject' AND EjectStage IN ('parked', 'ejected')")
    told = await reader.see("the list", WORKFLOWS + both, waits, done, *COLUMNS, "parked", "ejected")
    assert f"{status.window_closes:%b %d, %Y}" in told
    await reader.picture("ui-list")
    one = "?query=" + quote("EjectStage='parked'")
    assert done not in await reader.see("the list of the parked", WORKFLOWS + one, waits)


async def see_the_park(reader: Reader, status: Status, url: str) -> None:
    """Stage, reason, who is awaited, the exact command, the window, the recipient, the wallets."""
    park = status.park
    assert park
    await reader.page.size(1440, 1000)
    await reader.see(
        "the parked eject",
        f"{url}/user-metadata",
        f"Client {status.client_id} leaves custody",
        f"Sealed to the recipient with the fingerprint {status.fingerprint}",
        "Awaited: an operator, to mend the cause and retry.",
        f"Park {park.number} at {park.step} since {park.since:%Y-%m-%d %H:%M:%S} UTC: {park.reason}.",
        f"To mend it: {park.mend}.",
        f"python starter.py retry --client {status.client_id} --park {park.number} --by NAME --why WHY",
        f"The window closes at {status.window_closes:%Y-%m-%d %H:%M:%S} UTC.",
        *(place for wallet in status.wallets for place in wallet.addresses.values()),
        "approved by grace (asserted)",
    )
    await reader.picture("ui-parked")


async def see_the_end(reader: Reader, url: str) -> None:
    """The receipt, and the history with a summary on each step."""
    await reader.page.size(1440, 1350)  # what is below the fold of the timeline is not even made
    views = {"json": '"eventId"', "feed": "Workflow Execution Completed", "compact": "complete"}
    for view, words in views.items():
        await reader.remember("eventView", view)
        await reader.see(f"the finished eject as {view}", f"{url}/history", "COMPLETED", '"ejected"', words)
    summaries = [step.summary for step in vars(policies).values() if isinstance(step, policies.Step)]
    shown = await reader.see("its timeline", f"{url}/timeline", policies.BACK_UP.summary)
    assert sum(summary in shown for summary in summaries) > 5
    await reader.picture("ui-ejected")


async def test_people_see_what_to_do_and_no_secret(seen: World, tmp_path: Path) -> None:
    """The list by our search attributes, a parked eject with the command that mends it, a finished one."""
    waits, done = seen.sandbox.seed(), seen.sandbox.seed()
    files = tmp_path / "files"
    waiting, finished = await parked(seen, waits), await ejected(seen, done, files)
    status = await seen.told(waits)
    async with browser(tmp_path / "profile") as page:
        reader = Reader(page, {})
        await see_the_lists(reader, status, waiting.id, finished.id)
        await see_the_park(reader, status, address(waiting))
        await see_the_end(reader, address(finished))
        for which, handle in (("parked", waiting), ("finished", finished)):
            for tab, words in TABS.items():
                await reader.see(f"{tab} of the {which} eject", f"{address(handle)}/{tab}", words)
    await seen.cancel(waits)
    assert await ended(waiting) is End.CANCELLED
    secrets = secrets_of(seen, done, sorted(files.rglob("*.json")))
    secrets |= {f"parked: {name}": secret for name, secret in secrets_of(seen, waits, []).items()}
    assert len(secrets) > 30, "there is something to search for"
    assert "eject.py" in reader.pages["call-stack of the parked eject"][0]
    assert "judge it" in reader.pages["timeline of the parked eject"][0]
    assert leaks(reader.pages, secrets) == []
    # The control: what is public is found by the same search.
    found = leaks(reader.pages, {"recipient": seen.owner.identity.recipient})
    assert "recipient (raw) in the finished eject as feed" in found
