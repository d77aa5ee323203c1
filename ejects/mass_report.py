"""The report of a mass exit: one line for every client of its list, from the vault and from Temporal.

Receipts outlive Temporal's retention, so they are looked at first; Temporal tells of those that run.
"""

import asyncio
import shlex
from collections.abc import AsyncIterator
from dataclasses import dataclass

from pydantic import BaseModel
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.client import Client
from temporalio.converter import decode_typed_search_attributes
from temporalio.service import RPCError, RPCStatusCode

from contracts.failures import StepError
from contracts.mass import MassList
from contracts.names import WORKFLOW, mass_exit_id, workflow_id
from contracts.request import EjectRequest, digest_of
from contracts.stages import End, Stage
from custody.mass_lists import read_list, read_page
from custody.shelf import named_receipts_of
from custody.vault import Vault
from ejects.mass_exit import mass_status
from ejects.mass_look import client_of, parked, told
from ejects.service import EjectError
from ejects.visibility import describe, executions, run_of
from workflows import attributes

NOT_STARTED = "not_started"
UNKNOWN = "unknown"

# Clients that are looked up at once.
_AT_ONCE = 16
_YOU = "--by YOU --why WHY"
_ANOTHER = "with another request than the list's"


class ReportLine(BaseModel):
    """One client: the stage of its running eject, its end, `not_started`, or how its run ended without one.

    `eject_id` and `receipt`, its name in the vault, are there once it has ended. `trouble` and `command` say
    what is wrong and what goes on from there.
    """

    client: str
    state: str
    eject_id: str = ""
    receipt: str = ""
    trouble: str = ""
    command: str = ""


async def report(client: Client, vault: Vault, name: str) -> AsyncIterator[ReportLine]:
    """Every client of the list in its order; `EjectError` where there is no such list."""
    try:
        of = await read_list(vault, name)
        reader = _Reader(client, vault, name, await _listed(client), await _turns(client, name, of))
        for number in range(len(of.pages)):
            for line in await reader.page(of, number):
                yield line
    except StepError as error:
        raise EjectError(error.sentence) from None


async def _listed(client: Client) -> dict[str, WorkflowExecutionInfo]:
    """All running ejects; who has just been started may be missing, and is asked for by itself."""
    query = f"WorkflowType = '{WORKFLOW}' AND ExecutionStatus = 'Running'"
    return {client_of(info): info async for info in executions(client, query)}


async def _turns(client: Client, name: str, of: MassList) -> int:
    """How many of the list have had their turn; all, where nobody can say."""
    try:
        return of.count - (await mass_status(client, name)).not_started
    except EjectError:
        return of.count


@dataclass(frozen=True)
class _Reader:
    client: Client
    vault: Vault
    name: str
    running: dict[str, WorkflowExecutionInfo]
    turns: int

    async def page(self, of: MassList, number: int) -> list[ReportLine]:
        requests = await read_page(self.vault, self.name, of, number)
        places = asyncio.Semaphore(_AT_ONCE)

        async def line(position: int, request: EjectRequest) -> ReportLine:
            async with places:
                return await self._line(position, request)

        first = number * len(requests) if number + 1 < len(of.pages) else of.count - len(requests)
        return await asyncio.gather(*(line(first + at, request) for at, request in enumerate(requests)))

    async def _line(self, position: int, request: EjectRequest) -> ReportLine:
        client_id = request.client_id
        info = self.running.get(client_id)
        if info is None and (ended := await self._receipt(request)):
            return ended
        info = info or await self._described(client_id)
        if info is not None and not info.HasField("close_time"):
            return await self._running(request, info)
        # It may have ended between the two.
        if info is not None and (ended := await self._receipt(request)):
            return ended
        return _without_receipt(request, info, had_its_turn=position < self.turns)

    async def _receipt(self, request: EjectRequest) -> ReportLine | None:
        for name, receipt in reversed(await named_receipts_of(self.vault, request.client_id)):
            if receipt.request_digest == digest_of(request):
                return ReportLine(
                    client=request.client_id,
                    state=receipt.end,
                    eject_id=receipt.eject_id,
                    receipt=name,
                    trouble="; ".join(receipt.reasons),
                )
        return None

    async def _described(self, client_id: str) -> WorkflowExecutionInfo | None:
        try:
            return (await describe(self.client, workflow_id(client_id))).workflow_execution_info
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise

    async def _running(self, request: EjectRequest, info: WorkflowExecutionInfo) -> ReportLine:
        client_id = request.client_id
        stage = decode_typed_search_attributes(info.search_attributes).get(attributes.STAGE) or Stage.CHECKING
        line = ReportLine(client=client_id, state=stage)
        ours = info.parent_execution.workflow_id == mass_exit_id(self.name)
        if ours and stage != Stage.PARKED:
            return line
        status = await told(self.client, client_id)
        if status is not None and status.request_digest != digest_of(request):
            command = f"python starter.py cancel --client {client_id} {_YOU}"
            return line.model_copy(update={"trouble": f"it runs {_ANOTHER}", "command": command})
        if stage != Stage.PARKED:
            return line
        if status is None or status.park is None:
            return line.model_copy(
                update={"trouble": "parked", "command": f"python starter.py status --client {client_id}"}
            )
        command = f"python starter.py retry --client {client_id} --park {status.park.number} {_YOU}"
        return line.model_copy(update={"trouble": parked(status.park), "command": command})


def _without_receipt(
    request: EjectRequest, info: WorkflowExecutionInfo | None, *, had_its_turn: bool
) -> ReportLine:
    line = ReportLine(client=request.client_id, state=NOT_STARTED)
    if not had_its_turn:
        return line
    stage = info and decode_typed_search_attributes(info.search_attributes).get(attributes.STAGE)
    if info is None:
        change = {
            "state": UNKNOWN,
            "trouble": "neither Temporal nor the vault knows its eject: `reconcile` tells more",
        }
    elif stage in tuple(map(str, End)):
        change = {
            "state": str(stage),
            "eject_id": info.first_run_id,
            "trouble": "its last eject ended so, and the vault has no receipt of one for this request",
        }
    else:
        change = {
            "state": run_of(info),
            "eject_id": info.first_run_id,
            "trouble": "it ended without a receipt: `sweep` removes what it left in the vault",
        }
    return line.model_copy(update=change | {"command": start_of(request)})


def start_of(request: EjectRequest) -> str:
    """The command that starts this very eject."""
    plain = request.model_dump(mode="json", exclude_defaults=True)
    plain["client"] = plain.pop("client_id")
    words = ["python", "starter.py", "start"]
    for field, value in plain.items():
        option = f"--{field.replace('_', '-')}"
        words += [option] if value is True else [option, str(value)]
    return shlex.join(words)
