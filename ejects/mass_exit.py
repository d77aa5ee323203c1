"""Start, watch and command a mass exit: what a service or a person does with a connected Temporal client."""

from collections.abc import Coroutine, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from temporalio.client import Client, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from contracts.commands import Command
from contracts.failures import StepError
from contracts.mass import MassExitRequest, MassStatus
from contracts.names import TaskQueue, mass_exit_id
from contracts.request import EjectRequest
from custody.mass_lists import write_list
from custody.vault import Vault
from ejects.service import EjectError, answered
from ejects.visibility import describe, run_of
from workflows.mass_exit import MassExit

T = TypeVar("T")
MassHandle = WorkflowHandle[MassExit, MassStatus]

_SILENT = "The mass exit does not answer: see that a worker of the custodian role runs, then try again"


async def start_mass_exit(
    client: Client,
    vault: Vault,
    name: str,
    requests: Sequence[EjectRequest],
    *,
    at_once: int | None = None,
    look_every: timedelta = timedelta(seconds=30),
    starts_in_a_run: int = 500,
) -> bool:
    """Write the list into the vault and start its mass exit; False where the very same runs already.

    A name belongs to one list for good: with another, `EjectError`. A mass exit that is over begins anew: who
    is leaving is joined, who has left ends `already_ejected`.
    """
    try:
        digest = await write_list(vault, name, requests)
    except StepError as error:
        raise EjectError(error.sentence) from None
    if digest is None:
        raise EjectError(f"The name {name} belongs to another list: choose another name")
    request = MassExitRequest(
        name=name,
        digest=digest,
        count=len(requests),
        at_once=at_once,
        look_every=look_every,
        starts_in_a_run=starts_in_a_run,
    )
    try:
        await client.start_workflow(
            MassExit.run,
            request,
            id=mass_exit_id(name),
            task_queue=TaskQueue.EJECT,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
            static_summary=f"{len(requests)} clients leave custody: {name}",
            static_details="Their ejects are its children; ending it ends none of them.",
        )
    except WorkflowAlreadyStartedError:
        return False
    return True


def mass_handle_of(client: Client, name: str) -> MassHandle:
    """The latest mass exit of a name."""
    return client.get_workflow_handle_for(MassExit.run, mass_exit_id(name))


async def mass_status(client: Client, name: str) -> MassStatus:
    """Where a mass exit is, or what it came to."""
    run = run_of((await _answered(name, describe(client, mass_exit_id(name)))).workflow_execution_info)
    if run == "completed":
        return await mass_handle_of(client, name).result()
    if run != "running":
        raise EjectError(
            f"The mass exit {name} was {run}; its ejects go on: start it again with the same list to go on"
        )
    return await _answered(name, mass_handle_of(client, name).query(MassExit.status))


async def pause_mass_exit(client: Client, name: str, command: Command) -> MassStatus:
    """Start no more ejects; those that run go on."""
    return await _update(client, name, "pause", command)


async def resume_mass_exit(client: Client, name: str, command: Command) -> MassStatus:
    """Start ejects again."""
    return await _update(client, name, "resume", command)


async def cancel_mass_exit(client: Client, name: str, command: Command) -> MassStatus:
    """End the mass exit; the ejects that run go on."""
    return await _update(client, name, "cancel", command)


async def _update(client: Client, name: str, update: str, command: Command) -> MassStatus:
    updating = mass_handle_of(client, name).execute_update(update, command, result_type=MassStatus)
    return MassStatus.model_validate(await _answered(name, updating))


async def _answered(name: str, asking: Coroutine[Any, Any, T]) -> T:
    return await answered(asking, silent=_SILENT, missing=f"No mass exit {name} is running")
