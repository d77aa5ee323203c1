"""The mass exit: every client of a list starts to leave, as many at once as Portal's budgets carry."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar

from pydantic import ValidationError
from temporalio import workflow
from temporalio.exceptions import ActivityError, WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from activities.mass_exit import MassExitStep
    from contracts.base import Result, sentence
    from contracts.mass import (
        MASS_WORKFLOW,
        MOST_TROUBLES,
        PAGE,
        CompareRequest,
        Look,
        LookAtEjects,
        MassExitRequest,
        MassStatus,
        ReadRequests,
        RequestCompared,
        RequestsRead,
        Trouble,
    )
    from contracts.names import WORKFLOW, TaskQueue, mass_exit_id
    from contracts.request import EjectRequest

from workflows.mass_commands import MassCommands
from workflows.mass_progress import started_now
from workflows.policies import HEARTBEAT, PATIENT
from workflows.refusing import refusal
from workflows.starting import options_of

O = TypeVar("O", bound=Result)  # noqa: E741 (what comes out)

# Some twenty counts with pauses between them, or one file of the vault.
_ATTEMPT = timedelta(minutes=2)
# While nothing is to be started and nothing moves, looks become rarer by half, down to one in ten minutes.
_RAREST = 20
# Asks so often within one interval that Temporal's lists have room for others.
_COUNTS = 100
_OURSELVES = "the mass exit itself"

# Not `MassExitRequest | None`: errors of a union would show the input.
_NOTHING: MassExitRequest = None  # type: ignore[assignment]


@workflow.defn(name=MASS_WORKFLOW, failure_exception_types=[ValidationError])
class MassExit(MassCommands):
    """Starts ejects as its children, and looks at them until none runs; nothing that ends it touches them."""

    @workflow.init
    def __init__(self, request: MassExitRequest = _NOTHING) -> None:
        self._request = MassExitRequest.model_validate(request)
        self._progress = self._request.progress
        self._started_here = 0
        self._quiet = 0
        self._hurry = False
        if self._progress.began is None:
            self._note(began=workflow.now())

    @workflow.run
    async def run(self, request: MassExitRequest = _NOTHING) -> MassStatus:
        """Go on until every eject has ended, or somebody ends the mass exit; in as many runs as it takes."""
        if workflow.info().workflow_id != (expected := mass_exit_id(self._request.name)):
            raise refusal(f"The workflow id must be {expected}: start it again under that id")
        going = asyncio.create_task(self._go())
        while not going.done():
            try:
                await workflow.wait_condition(going.done)
            except asyncio.CancelledError:
                self._end("Temporal", "native cancellation")
        going.result()
        await workflow.wait_condition(workflow.all_handlers_finished)
        if not self._over:
            workflow.continue_as_new(self._request.model_copy(update={"progress": self._progress}))
        return self._status()

    async def _go(self) -> None:
        """Look, start as many as there is room for, rest."""
        while not self._over and not self._long:
            look = await self._look()
            if look is not None:
                await self._start(look.at_once - look.at_work)
            if not self._over:
                await self._rest()

    async def _look(self) -> Look | None:
        request = self._request
        what = LookAtEjects(name=request.name, at_once=request.at_once, pace=request.look_every / _COUNTS)
        look = await self._step(MassExitStep.look_at_ejects, what, Look, "Count the ejects by stage")
        if look is not None:
            if (before := self._progress.look) is None or look.stages != before.stages:
                self._quiet = 0
            self._note(look=look, idle=0 if look.stages or self._left else self._progress.idle + 1)
        return look

    async def _start(self, room: int) -> None:
        while room > 0 and self._left and not (self._progress.paused or self._over or self._long):
            at, fit = self._progress.next, self._request.starts_in_a_run - self._started_here
            what = ReadRequests(
                name=self._request.name, digest=self._request.digest, position=at, most=min(room, PAGE, fit)
            )
            summary = f"Read who comes after {at} of {self._request.count}"
            read = await self._step(MassExitStep.read_requests, what, RequestsRead, summary)
            if read is None:
                return
            began = await asyncio.gather(*(self._begin(request) for request in read.requests))
            self._note(
                next=at + len(read.requests),
                started=self._progress.started + sum(began),
                recent=started_now(self._progress.recent, workflow.now(), len(read.requests)),
            )
            room -= len(read.requests)

    async def _begin(self, request: EjectRequest) -> bool:
        """Start one eject; False where one runs already."""
        self._started_here += 1
        try:
            await workflow.start_child_workflow(
                WORKFLOW,
                request,
                # The eject is its owner's: whatever becomes of us, it goes on.
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                cancellation_type=workflow.ChildWorkflowCancellationType.ABANDON,
                **options_of(request),
            )
        except WorkflowAlreadyStartedError:
            await self._join(request)
            return False
        return True

    async def _join(self, request: EjectRequest) -> None:
        """An eject of this client runs already: it is the one that was asked for, or a matter for people."""
        what = CompareRequest(request=request)
        summary = "Compare with the eject that runs already"
        compared = await self._step(MassExitStep.compare_request, what, RequestCompared, summary)
        if compared is not None and not compared.differing:
            self._note(joined=self._progress.joined + 1)
            return
        fields = ", ".join(compared.differing) if compared else "form"
        trouble = Trouble(
            client_id=request.client_id,
            stage="differing",
            reason=f"an eject with another {fields} runs already: end it, then start this one by itself",
        )
        self._note(
            differing=self._progress.differing + 1,
            troubles=(*self._progress.troubles, trouble)[:MOST_TROUBLES],
        )

    async def _rest(self) -> None:
        """Wait for the next look; what wakes it earlier is an end, or a resume."""
        starting = self._left and not self._progress.paused
        self._quiet = 0 if starting else self._quiet + 1
        times, self._hurry = min(2**self._quiet, _RAREST), False
        with suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self._over or self._hurry,
                timeout=self._request.look_every * times,
                timeout_summary="until the next look",
            )

    @property
    def _left(self) -> int:
        return self._request.count - self._progress.next

    @property
    def _long(self) -> bool:
        """Whether the history has become long enough to go on in a new run."""
        many = self._started_here >= self._request.starts_in_a_run
        return many or workflow.info().is_continue_as_new_suggested()

    async def _step(
        self, step: Callable[[Any, Any], Awaitable[O]], what: Result, answer: type[O], summary: str
    ) -> O | None:
        """Run a step until it is done; what retrying cannot mend pauses us, with the reason."""
        try:
            # Without a type: the SDK would read the result before this `try`, and the run would fail.
            given = await workflow.execute_activity(
                step.__name__,
                what,
                task_queue=TaskQueue.EJECT,
                summary=summary,
                start_to_close_timeout=_ATTEMPT,
                heartbeat_timeout=HEARTBEAT,
                retry_policy=PATIENT,
            )
            return answer.model_validate(given)
        except ActivityError as error:
            self._pause(_OURSELVES, str(getattr(error.cause, "message", error.message)))
        except ValidationError as error:
            self._pause(_OURSELVES, f"What a step answered has another form: {sentence(error)}")
        return None
