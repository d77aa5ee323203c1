"""Deploying a version of the worker under running ejects, with the commands of docs/operating.md."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from temporalio.api.enums.v1 import EventType, RoutingConfigUpdateState, WorkflowTaskFailedCause
from temporalio.api.workflowservice.v1 import DescribeWorkerDeploymentRequest
from temporalio.client import WorkflowExecutionStatus

import starter
from contracts.names import TaskQueue
from contracts.stages import End, Stage
from runtime.development import ROOT, temporal_cli
from serving import workers
from tests.conftest import end_all
from tests.harness.changed import GUARDED, PATCH, UNGUARDED
from tests.harness.commands import commands_of
from tests.harness.portal import Customer, Sandbox
from tests.harness.processes import environment, run_shell
from tests.harness.temporal import VERSIONS, connected
from tests.harness.world import World, make_world, serving
from tests.test_worker_process import said, settings_of
from tests.test_worker_process import worker as worker_process

PAGE = (ROOT / "docs/operating.md").read_text()
SECTION = re.findall(r"^## Deploying a version\n(.*?)^## ", PAGE, re.M | re.S)[0]
COMMANDS = re.findall(r"^ {4}(temporal .*)$", SECTION, re.M)

# The server keeps its versions in workflows of its own, which on a busy machine come late.
_DEPLOYED_WITHIN = 180


class Versions:
    """Versions of the worker in one world, and the operator who deploys them with the page's commands."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world, self.monkeypatch = world, monkeypatch
        self.old, self.new = f"old-{uuid4().hex[:8]}", f"new-{uuid4().hex[:8]}"
        self.ran: set[str] = set()

    def serving(self, build: str, workflows: tuple[type, ...]) -> AbstractAsyncContextManager[None]:
        """A worker of both roles in this process, with this build id and these workflows."""
        self.monkeypatch.setattr(workers, "WORKFLOWS", workflows)
        self.world.settings = self.world.settings.model_copy(update={"build_id": build})
        return serving(self.world)

    async def try_to(self, words: str, build: str = "") -> tuple[int, str, str]:
        """Run the page's one command with these words: exit code, standard output, standard error."""
        (line,) = [command for command in COMMANDS if words in command]
        self.ran.add(line)
        for placeholder, value in {"BUILD": build or self.new, "OLD": self.old, "PATCH": PATCH}.items():
            line = re.sub(rf"\b{placeholder}\b", value, line)
        settings = self.world.environment()
        env = environment(**{name: settings[name] for name in ("TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE")})
        env["PATH"] = f"{Path(temporal_cli()).parent}:{env['PATH']}"
        return await run_shell(line, env=env)

    async def run(self, words: str, *until: str, build: str = "") -> str:
        """Run it until it works and shows this; what it showed.

        Temporal hears of a version's workers when they first poll, and lists lag behind.
        """
        async with asyncio.timeout(_DEPLOYED_WITHIN):
            while True:
                code, out, _ = await self.try_to(words, build)
                if code == 0 and all(word in out for word in until):
                    return out
                await asyncio.sleep(0.2)

    async def deploy(self, words: str) -> None:
        """Make a version the current one once it has all its queues, and wait until every queue knows."""
        if words != "unversioned":
            build = self.old if words.endswith("OLD") else self.new
            await self.run("describe-version", *TaskQueue, build=build)
        await self.run(f"set-current-version --deployment-name eject --{words}")
        client, known = self.world.client, RoutingConfigUpdateState.ROUTING_CONFIG_UPDATE_STATE_COMPLETED
        asked = DescribeWorkerDeploymentRequest(namespace=client.namespace, deployment_name="eject")
        async with asyncio.timeout(_DEPLOYED_WITHIN):
            while True:
                told = await client.workflow_service.describe_worker_deployment(asked)
                if told.worker_deployment_info.routing_config_update_state == known:
                    return
                await asyncio.sleep(0.1)

    async def builds(self, handle: starter.EjectHandle) -> list[str]:
        """Which versions worked on an eject, each once, in their order."""
        found: list[str] = []
        for event in (await self.world.history(handle)).events:
            build = event.workflow_task_completed_event_attributes.deployment_version.build_id
            if build and build not in found:
                found.append(build)
        return found

    async def awaiting_claim(self) -> tuple[Customer, starter.EjectHandle]:
        """An eject whose window is open."""
        customer = self.world.sandbox.seed()
        handle = await self.world.start(customer)
        await self.world.reach(handle, Stage.AWAITING_CLAIM)
        return customer, handle


@pytest_asyncio.fixture(loop_scope="session")
async def versions(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Versions]:
    """A world in the namespace where versions are deployed, without a worker."""
    world = make_world(await connected(VERSIONS), sandbox, tmp_path)
    yield Versions(world, monkeypatch)
    await end_all(world)


async def test_a_guarded_change_is_deployed_under_a_running_eject(versions: Versions) -> None:
    """The eject begins with a worker process, goes over, and ends right; the next one records the patch."""
    world = versions.world
    async with worker_process("all", settings_of(world, EJECT_BUILD_ID=versions.old)) as old:
        await said(old, "worker.serving")
        await versions.deploy("build-id OLD")
        customer, handle = await versions.awaiting_claim()
        async with versions.serving(versions.new, GUARDED):
            await versions.run("describe-version", *TaskQueue)
            await versions.run("set-ramping-version")
            await versions.deploy("build-id BUILD")
            await versions.run("worker deployment describe --name", versions.new)
            listed = await versions.run("TemporalWorkerDeploymentVersion", handle.id)
            assert handle.id in listed
            assert handle.id in await versions.run("TemporalChangeVersion", handle.id)
            await world.prove(customer, world.proofs(await world.claim(customer)))
            assert (await world.end(handle)).end is End.EJECTED
            assert await versions.builds(handle) == [versions.old, versions.new]
            assert f"patch {PATCH}" not in commands_of(await world.history(handle))
            fresh_customer, fresh = await versions.awaiting_claim()
            assert await versions.builds(fresh) == [versions.new]
            assert f"patch {PATCH}" in commands_of(await world.history(fresh))
            assert fresh.id not in await versions.run("TemporalChangeVersion")
            await world.cancel(fresh_customer)
            assert (await world.end(fresh)).end is End.CANCELLED
    assert {line for line in COMMANDS if "--unversioned" not in line} == versions.ran


async def test_an_unguarded_change_loses_nothing(versions: Versions) -> None:
    """Its task fails, the run stays; rolled back, the eject takes what came meanwhile and ends right."""
    world = versions.world
    async with versions.serving(versions.old, workers.WORKFLOWS):
        await versions.deploy("build-id OLD")
        customer = world.sandbox.seed()
        # A task that fails again and again is held until its timeout, also from the version that fits.
        handle = await world.start_with_short_tasks(customer, 4)
        await world.reach(handle, Stage.AWAITING_CLAIM)
        proofs = world.proofs(await world.claim(customer))
        async with versions.serving(versions.new, UNGUARDED):
            await versions.deploy("build-id BUILD")
            await handle.cancel()
            assert "TMPRL1100" in await task_failure(handle)
            assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
            await versions.deploy("build-id OLD")
        await world.prove(customer, proofs)
        receipt = await world.end(handle)
        assert receipt.end is End.EJECTED
        assert [command.command for command in receipt.commands] == ["native cancel ignored"]
        assert await versions.builds(handle) == [versions.old]
        assert world.completions(customer) == 1


async def test_workers_without_a_version_take_over_again(versions: Versions) -> None:
    """The last command of the page: who gives up versions loses no eject."""
    world = versions.world
    unversioned = world.settings
    async with versions.serving(versions.old, workers.WORKFLOWS):
        await versions.deploy("build-id OLD")
        customer, handle = await versions.awaiting_claim()
        world.settings = unversioned
        async with serving(world):
            await versions.deploy("unversioned")
            await world.prove(customer, world.proofs(await world.claim(customer)))
            assert (await world.end(handle)).end is End.EJECTED


async def task_failure(handle: starter.EjectHandle) -> str:
    """Follow the history until a workflow task has failed for want of determinism; what it says."""
    async with asyncio.timeout(_DEPLOYED_WITHIN):
        async for event in handle.fetch_history_events(wait_new_event=True):
            failed = event.workflow_task_failed_event_attributes
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
                assert (
                    failed.cause == WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR
                )
                return str(failed.failure.message)
    raise AssertionError("the eject ended")
