"""The vault is lost, and put back from an older copy by docs/recovery.md, while ejects run."""

import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from temporalio.client import WorkflowUpdateStage

import starter
from contracts.approvals import Approve
from contracts.failures import RULES, Failure
from contracts.owner import Claim
from contracts.stages import End, Stage
from custody.audit import Audit
from custody.chain import Receipts
from custody.keys import read_key
from custody.signing import Trust
from custody.vault import Vault
from ejects.advice import State
from runtime.development import ROOT
from tests.harness.portal import Customer
from tests.harness.processes import environment, run_shell
from tests.harness.reconciling import advised
from tests.harness.world import World, serving
from tests.unit.receipts import ended as made

PAGE = (ROOT / "docs/recovery.md").read_text()
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


async def by_the_page(words: str, vault: Path, copy: Path) -> None:
    """Run the page's commands that have these words, with the two folders filled in."""
    lines = [line for line in re.findall(r"^ {4,}(cp .*)$", PAGE, re.M) if words in line]
    assert lines, words
    for line in lines:
        told = line.replace("VAULT", str(vault)).replace("COPY", str(copy))
        assert await run_shell(told, environment()) == (0, "", ""), line


def lose(vault: Path) -> None:
    """The disk is gone; an empty folder is there instead."""
    shutil.rmtree(vault)
    vault.mkdir(mode=0o700)


async def claimable(world: World, customer: Customer) -> starter.EjectHandle:
    """An eject that waits for its claim."""
    handle = await world.start(customer)
    await world.reach(handle, Stage.AWAITING_CLAIM)
    return handle


@pytest.mark.chaos
async def test_an_older_copy_is_put_back_under_running_ejects(unserved: World, tmp_path: Path) -> None:
    """Who is in it goes on; who is not parks in words, and `extend` fetches anew; nothing else stays."""
    world, vault, copy = unserved, unserved.vault_folder, tmp_path / "copy"
    copy.mkdir()
    left, before, ended, after = (world.sandbox.seed() for _ in range(4))
    async with serving(world):
        await world.leave(left)
        handles = {customer: await claimable(world, customer) for customer in (before, ended)}
        await by_the_page("VAULT/", vault, copy)
        shutil.copytree(vault / "held", copy / "held")  # somebody copies everything
        await world.cancel(ended)
        cancelled = await world.end(handles[ended])
        handles[after] = await claimable(world, after)
    audit = Audit(vault, Trust(frozenset({world.receipt_key})))
    assert list(audit.problems()) == []
    noted = audit.head
    lose(vault)
    await by_the_page("COPY/.", vault, copy)

    async with serving(world):  # the custodian's workers, restarted
        told = await advised(world, world.client)
        states = [told[customer.client_id].state for customer in (left, before, ended, after)]
        assert states == [State.EJECTED, State.RUNNING, State.ENDED, State.RUNNING]
        assert f"{cancelled.eject_id} ended cancelled, and its receipt" in told[ended.client_id].facts

        await world.prove(before, world.proofs(await world.claim(before)))
        assert (await world.end(handles[before])).end is End.EJECTED

        claiming = await world.client.get_workflow_handle(handles[after].id).start_update(
            "claim", Claim(claimed_by="ada"), wait_for_stage=WorkflowUpdateStage.ACCEPTED
        )
        await world.reach(handles[after], Stage.PARKED)
        park = (await world.told(after)).park
        assert park
        assert (park.failure, park.mend) == (Failure.HELD_MISSING, RULES[Failure.HELD_MISSING].mend)
        assert "from a backup" in park.mend
        await world.until_close(after, handles[after], -MINUTE)
        await world.reach(handles[after], Stage.UNRESOLVED)
        with pytest.raises(Exception, match="update failed"):
            await claiming.result()
        await world.deposit(after)
        await world.extend(after, DAY)
        await world.reach(handles[after], Stage.AWAITING_CLAIM, times=2)
        await world.prove(after, world.proofs(await world.claim(after)))
        assert (await world.end(handles[after])).end is End.EJECTED

        later = datetime.now(UTC) + 2 * HOUR
        swept = await starter.sweep(world.client, world.vault, remove=True, now=later)
        assert {name.split("/")[1] for name in swept.left_behind} == {cancelled.eject_id}
        assert [name for name in world.left_in_vault() if name.startswith(("held/", "released/"))] == []
    assert [world.completions(customer) for customer in (left, before, ended, after)] == [1, 1, 0, 1]
    assert world.audit() == []
    (wrong,) = Audit(vault, Trust(frozenset({world.receipt_key})), noted).problems()
    assert "is not the entry that was noted as the head: the chain was rewritten" in wrong


@pytest.mark.parametrize("restarted", [True, False])
async def test_a_worker_that_remembers_the_lost_end_leaves_a_gap(
    unserved: World, tmp_path: Path, restarted: bool
) -> None:
    """Why the custodian's workers are restarted after an older copy was put back; the audit names the gap."""
    world, vault, copy = unserved, unserved.vault_folder, tmp_path / "copy"
    copy.mkdir()
    assert world.settings.receipt_key
    key = read_key(world.settings.receipt_key.get_secret_value().encode())

    def worker() -> Receipts:
        return Receipts(Vault(str(world.settings.vault_url)), key)

    first = worker()
    await world.deposit(world.sandbox.seed())
    await first.write(made("first"), "run-1")
    await by_the_page("VAULT/", vault, copy)
    await first.write(made("second"), "run-2")
    lose(vault)
    await by_the_page("COPY/.", vault, copy)
    await (worker() if restarted else first).write(made("third"), "run-3")
    problems = [wrong for wrong in world.audit() if "missing" in wrong]
    assert problems == ([] if restarted else ["chain/000000000002.json is missing"])


@pytest.mark.chaos
async def test_without_any_copy_a_lost_deposit_is_asked_for(unserved: World) -> None:
    """The vault is empty: a step that needs the deposit parks, and goes on once it is deposited again."""
    world, customer = unserved, unserved.sandbox.seed()
    async with serving(world):
        handle = await world.start(customer, approvals=1)
        await world.reach(handle, Stage.AWAITING_APPROVAL)
        lose(world.vault_folder)
        digest = (await world.told(customer)).request_digest
        command = Approve(by="grace", why="known", digest=digest)
        await starter.approve(world.client, customer.client_id, command)
        await world.reach(handle, Stage.PARKED)
        park = (await world.told(customer)).park
        assert park
        assert park.failure is Failure.DEPOSIT_MISSING
        await world.deposit(customer)
        await world.retry(customer, 1)
        await world.reach(handle, Stage.AWAITING_CLAIM)
        await world.prove(customer, world.proofs(await world.claim(customer)))
        assert (await world.end(handle)).end is End.EJECTED
    assert world.audit() == []
