"""What people may say to a running mass exit, and what it shows them."""

from typing import Any

from pydantic import ValidationError
from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from contracts.base import sentence
    from contracts.commands import Command
    from contracts.mass import MassExitRequest, MassProgress, MassStatus, Pause

from workflows.mass_progress import markdown, status_of
from workflows.refusing import refusal

# Temporal's lists lag behind: one empty look may come before the last start is listed.
_LOOKS_TO_BE_SURE = 2


class MassCommands:
    """The updates and the query of a mass exit, and how far it is."""

    _request: MassExitRequest
    _progress: MassProgress
    _hurry: bool

    @workflow.update(description="Start no more ejects until `resume`; those that run go on")
    async def pause(self, command: Command) -> MassStatus:
        """Pause, and answer where the mass exit is."""
        self._pause(command.by, command.why)
        return self._status()

    @pause.validator
    def _may_pause(self, command: Command) -> None:
        self._require(command)
        if paused := self._progress.paused:
            raise refusal(f"It is paused already, by {paused.by}")

    @workflow.update(description="Start ejects again, once the cause of the pause is mended")
    async def resume(self, command: Command) -> MassStatus:
        """Go on at once, and answer where the mass exit is."""
        workflow.logger.info("mass_exit.resumed", extra={"by": command.by})
        self._note(paused=None)
        self._hurry = True
        return self._status()

    @resume.validator
    def _may_resume(self, command: Command) -> None:
        self._require(command)
        if not self._progress.paused:
            raise refusal("It is not paused")

    @workflow.update(description="End the mass exit: start no more, watch no more; the ejects go on")
    async def cancel(self, command: Command) -> MassStatus:
        """End, and answer where the mass exit was."""
        self._end(command.by, command.why)
        return self._status()

    @cancel.validator
    def _may_cancel(self, command: Command) -> None:
        self._require(command)

    @workflow.query(description="Where the mass exit is")
    def status(self) -> MassStatus:
        """Counts by stage and end, who is in trouble, the rate, when all will be started."""
        return self._status()

    @property
    def _over(self) -> bool:
        return self._progress.ended is not None or self._progress.idle >= _LOOKS_TO_BE_SURE

    def _require(self, command: Command) -> None:
        try:
            Command.model_validate(command)
        except ValidationError as error:
            raise refusal(f"The command is wrong: {sentence(error)}") from None
        if self._over:
            raise refusal("The mass exit has ended")

    def _pause(self, by: str, why: str) -> None:
        self._note(paused=Pause(by=by, why=why, since=workflow.now()))

    def _end(self, by: str, why: str) -> None:
        if not self._over:
            self._note(ended=Pause(by=by, why=why, since=workflow.now()))

    def _note(self, **changes: Any) -> None:
        self._progress = self._progress.model_copy(update=changes)
        workflow.set_current_details(markdown(self._status()))

    def _status(self) -> MassStatus:
        return status_of(self._request, self._progress, workflow.now(), over=self._over)
