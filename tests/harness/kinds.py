"""Where ejects stand while everything is restarted, and what takes them from there to which end."""

from contracts.stages import End, Stage
from tests.harness.crowd import DAY, Guest, Kind


async def nothing(_: Guest) -> None:
    """Let time pass."""


async def approved(guest: Guest) -> None:
    """Somebody approves."""
    await guest.approve()
    await guest.claim_and_prove()


async def cooled(guest: Guest) -> None:
    """The cooling-off passes."""
    await guest.wait(2 * DAY)
    await guest.claim_and_prove()


async def extended(guest: Guest) -> None:
    """The window is opened once more."""
    await guest.extend()
    await guest.claim_and_prove(times=2)


async def mended(guest: Guest) -> None:
    """The missing deposit is made."""
    await guest.deposit_and_retry()
    await guest.claim_and_prove()


KINDS = (
    Kind(Stage.CHECKING, End.EJECTED, Guest.claim_and_prove),
    Kind(Stage.AWAITING_APPROVAL, End.EJECTED, approved),
    Kind(Stage.AWAITING_APPROVAL, End.CANCELLED, Guest.cancel),
    Kind(Stage.COOLING_OFF, End.EJECTED, cooled),
    Kind(Stage.BACKING_UP, End.EJECTED, Guest.claim_and_prove),
    Kind(Stage.CONFIRMING_BACKUP, End.EJECTED, Guest.claim_and_prove),
    Kind(Stage.ENABLING, End.EJECTED, Guest.claim_and_prove),
    Kind(Stage.FETCHING_SHARES, End.EJECTED, Guest.claim_and_prove),
    Kind(Stage.FETCHING_SHARES, End.EXPIRED, nothing),
    Kind(Stage.AWAITING_CLAIM, End.EJECTED, Guest.claim_and_prove),
    Kind(Stage.AWAITING_CLAIM, End.EXPIRED, nothing),
    Kind(Stage.AWAITING_CLAIM, End.CANCELLED, Guest.cancel),
    Kind(Stage.AWAITING_PROOF, End.EJECTED, Guest.prove),
    Kind(Stage.AWAITING_PROOF, End.CLOSED, Guest.close),
    Kind(Stage.COMPLETING, End.EJECTED, nothing),
    Kind(Stage.UNRESOLVED, End.EJECTED, Guest.prove),
    Kind(Stage.UNRESOLVED, End.CLOSED, Guest.close),
    Kind(Stage.UNRESOLVED, End.EJECTED, extended),
    Kind(Stage.PARKED, End.EJECTED, mended),
    Kind(Stage.PARKED, End.CANCELLED, Guest.cancel),
    Kind(Stage.CLOSING, End.CANCELLED, nothing),
)
