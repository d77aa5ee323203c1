"""Sweep's judgement: what the vault says of times, and what Temporal says of who runs."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from obstore.exceptions import PermissionDeniedError
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionResponse,
    ListWorkflowExecutionsResponse,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from contracts.failures import Failure, StepError
from custody.vault import Vault
from ejects.service import EjectError
from ejects.sweeping import Swept, sweep
from tests.unit.fakes import EJECT, vault_url

NAME = f"held/{EJECT}/client/backup.json"
HOUR = timedelta(hours=1)


class Temporal:
    """Lists these workflows and says of each which eject it runs: None for none, "" for one kept quiet."""

    namespace = "default"

    def __init__(self, **workflows: str | RPCError | None) -> None:
        self.workflows = workflows

    @property
    def workflow_service(self) -> "Temporal":
        """The raw calls."""
        return self

    async def list_workflow_executions(self, request: Any) -> Any:
        """Every run of it, ended ones too, as Temporal lists them: without the first run's id."""
        assert request.query == "WorkflowType = 'Eject'"
        listed = [WorkflowExecutionInfo(execution=WorkflowExecution(workflow_id=w)) for w in self.workflows]
        return ListWorkflowExecutionsResponse(executions=listed)

    async def describe_workflow_execution(self, request: Any) -> Any:
        """The workflow's latest run."""
        told = self.workflows[request.execution.workflow_id]
        if isinstance(told, RPCError):
            raise told
        info = WorkflowExecutionInfo(first_run_id=EJECT if told is None else told)
        if told is None:
            info.close_time.FromDatetime(datetime.now(UTC))
        return DescribeWorkflowExecutionResponse(workflow_execution_info=info)


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    """A vault on a file system."""
    return Vault(vault_url(tmp_path))


async def swept(vault: Vault, temporal: Temporal) -> Swept:
    """Sweep two hours from now."""
    return await sweep(cast(Client, temporal), vault, remove=True, now=datetime.now(UTC) + 2 * HOUR)


def rpc_error(status: RPCStatusCode) -> RPCError:
    """What Temporal answers about one workflow."""
    return RPCError("x", status, b"")


@pytest.mark.parametrize(
    ("workflows", "gone"),
    [
        ({}, True),
        ({"eject-a": None}, True),
        ({"eject-a": EJECT}, False),
        ({"eject-a": "another-eject"}, True),
        ({"eject-a": None, "eject-b": EJECT}, False),
        ({"eject-a": rpc_error(RPCStatusCode.NOT_FOUND)}, True),
        ({"eject-a": rpc_error(RPCStatusCode.NOT_FOUND), "eject-b": EJECT}, False),
    ],
)
async def test_what_runs_keeps_its_files(vault: Vault, workflows: dict[str, Any], gone: bool) -> None:
    """Which eject runs is asked of each workflow itself; one that has gone since it was listed is ended."""
    await vault.create(NAME, b"sealed")
    assert (await swept(vault, Temporal(**workflows))).left_behind == ((NAME,) if gone else ())
    assert await vault.names("held/") == ([] if gone else [NAME])


async def test_who_cannot_be_asked_keeps_everything(vault: Vault) -> None:
    """A failure in between ends the sweep before anything is removed."""
    await vault.create(NAME, b"sealed")
    with pytest.raises(RPCError):
        await swept(vault, Temporal(a=rpc_error(RPCStatusCode.UNAVAILABLE)))
    with pytest.raises(EjectError, match="does not tell which eject runs"):
        await swept(vault, Temporal(a=""))
    assert await vault.names("held/") == [NAME]


async def test_a_vault_that_refuses_is_one_sentence(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told as every command tells it."""

    def refuse(*_: object) -> None:
        raise PermissionDeniedError("/Zq7planted")

    monkeypatch.setattr("custody.vault.obstore.list", refuse)
    with pytest.raises(EjectError) as caught:
        await swept(vault, Temporal())
    assert str(caught.value) == "The vault refuses this worker's credentials"


async def test_the_vault_tells_when_its_files_last_changed(vault: Vault, tmp_path: Path) -> None:
    """In UTC, under the prefix only, and an overwritten file is new again."""
    deposit, other = "deposits/client-1/signing-shares.json", "deposits/client-10/api-key.json"
    then = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
    for name in (deposit, other, NAME):
        await vault.replace(name, b"x")
        os.utime(tmp_path / "vault" / name, (then.timestamp(), then.timestamp()))
    assert await vault.modified("deposits/") == {deposit: then, other: then}
    assert await vault.modified("deposits/client-1/") == {deposit: then}
    assert await vault.modified("nowhere/") == {}
    before = datetime.now(UTC)
    await vault.replace(deposit, b"mended")
    changed = await vault.modified("deposits/")
    assert changed[deposit] >= before.replace(microsecond=0)
    assert changed[other] == then


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (PermissionDeniedError("/Zq7planted"), Failure.VAULT_REFUSED),
        (OSError(5, "Zq7planted"), Failure.VAULT_UNAVAILABLE),
    ],
)
async def test_a_store_in_trouble_tells_no_times(
    vault: Vault, monkeypatch: pytest.MonkeyPatch, error: Exception, failure: Failure
) -> None:
    """It is a step error without the store's own words."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("custody.vault.obstore.list", fail)
    with pytest.raises(StepError) as caught:
        await vault.modified("held/")
    assert caught.value.failure is failure
    assert "Zq7planted" not in f"{caught.value} {caught.value!r}"
