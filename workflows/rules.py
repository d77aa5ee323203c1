"""What decides when two things meet: which command is taken, and in which words another is refused.

The order of events in history decides. Handlers change the stage before they first await, so each of these
sees all that was taken before it.
"""

from dataclasses import dataclass

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from contracts.approvals import Approve
    from contracts.commands import Extend
    from contracts.owner import Prove
    from contracts.stages import End, Stage
    from contracts.window import may_claim

from workflows.approving import Approving
from workflows.extension import Extension
from workflows.handover import Handover
from workflows.parking import Parking
from workflows.refusing import refusal
from workflows.window import Window

_INSIDE_THE_WINDOW = (Stage.FETCHING_SHARES, Stage.AWAITING_CLAIM, Stage.AWAITING_PROOF)


@dataclass
class State:
    """Where an eject is: its stage (parked or not), how it ended, and the end that a command has decided."""

    stage: Stage = Stage.CHECKING
    end: End | None = None
    leaving: End | None = None


@dataclass(frozen=True)
class Rules:
    """Every method raises the refusal of one command, or returns."""

    state: State
    steps: Parking
    approving: Approving
    window: Window
    handover: Handover
    extension: Extension

    def standing(self) -> Stage | End:
        """What people are shown."""
        return self.state.end or (Stage.PARKED if self.steps.current else self.state.stage)

    def approve(self, command: Approve) -> None:
        """While approvals are awaited; of this very request, by somebody else than who asked."""
        if self.state.stage is not Stage.AWAITING_APPROVAL:
            raise refusal(f"No approval is awaited: the eject is {self.standing()}")
        self.approving.refuse(command)

    def claim(self) -> None:
        """Only inside the window, and early enough to read the files."""
        if self.state.stage not in (Stage.AWAITING_CLAIM, Stage.AWAITING_PROOF) or not self.window.closes:
            raise refusal(f"There is nothing to claim: the eject is {self.standing()}")
        if not may_claim(self.window.closes, workflow.now()):
            raise refusal("The window closes in less than two minutes: too late to read the files")

    def prove(self, command: Prove) -> None:
        """From the first claim on, also after the close, until nothing is awaited any more."""
        if not self.handover.claimed or self.state.stage in (Stage.COMPLETING, Stage.CLOSING):
            raise refusal(f"No proof is awaited: the eject is {self.standing()}")
        self.handover.refuse_proofs(command)

    def cancel(self) -> None:
        """Before a claim only: afterwards the owner may hold the keys."""
        self._not_closing()
        self._not_owed()
        if self.handover.claimed:
            raise refusal("The bundle was claimed, the owner may hold the keys: end it with `resolve close`")

    def resolve(self) -> None:
        """After a claim and before the last proof; a proof that is being verified comes first."""
        self._not_closing()
        self._not_owed()
        if not self.handover.claimed:
            raise refusal("The bundle was not claimed: end the eject with `cancel`")
        if self.handover.verifying:
            raise refusal("A proof is being verified: ask again in a moment")

    def extend(self, command: Extend) -> None:
        """Later than the close, while the window is open; or once more after it, while a proof is missing.

        A completion that Portal refuses after the close may need an open window too.
        """
        self._not_closing()
        stage, closes, now = self.state.stage, self.window.closes, workflow.now()
        if closes is None:
            raise refusal(f"There is no window to extend yet: the eject is {self.standing()}")
        if self.extension.running:
            raise refusal("Another extension is being made: see `status`")
        if stage is Stage.COMPLETING and not self.steps.current:
            raise refusal("Completion is under way: it needs no longer window")
        if stage in _INSIDE_THE_WINDOW:
            if closes <= now:
                raise refusal("The window is closing just now: extend again in a moment")
            if now + command.window <= closes:
                raise refusal(f"The window closes later than that already: at {closes:%Y-%m-%d %H:%M:%S} UTC")

    def _not_closing(self) -> None:
        if self.state.end or self.state.leaving or self.state.stage is Stage.CLOSING:
            raise refusal("The eject is closing: it ends by itself, or see `status` for what is parked")

    def _not_owed(self) -> None:
        if self.handover.all_proven():
            raise refusal("Every wallet is proven, so completion is owed: mend what is parked and `retry`")
