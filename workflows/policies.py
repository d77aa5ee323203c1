"""Every step with its queue, its time-out and its reason; every retry policy; who goes first."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from temporalio import workflow
from temporalio.common import Priority, RetryPolicy
from temporalio.workflow import ActivityCancellationType

with workflow.unsafe.imports_passed_through():
    from activities.back_up import BackUpStep
    from activities.check import CheckStep
    from activities.close import DeleteDepositStep, PurgeStep, WriteReceiptStep
    from activities.complete import CompleteStep
    from activities.confirm_backup import ConfirmBackupStep
    from activities.enable_eject import EnableEjectStep
    from activities.fetch_shares import FetchSharesStep
    from activities.read_cipher_texts import ReadCipherTextsStep
    from activities.release import ReleaseStep
    from activities.restore_backup import RestoreBackupStep
    from activities.shrink_window import ShrinkWindowStep
    from contracts.base import Result
    from contracts.names import TaskQueue
    from contracts.steps import (
        BackedUp,
        BackUp,
        BackupConfirmed,
        BackupRestored,
        Check,
        Checked,
        CipherTextsRead,
        Complete,
        Completed,
        ConfirmBackup,
        DeleteDeposit,
        DepositDeleted,
        EjectEnabled,
        EnableEject,
        FetchShares,
        FetchSharesAsClient,
        Purge,
        Purged,
        ReadCipherTexts,
        ReceiptWritten,
        Release,
        Released,
        RestoreBackup,
        SharesFetched,
        ShrinkWindow,
        WindowShrunk,
        WriteReceipt,
    )

I = TypeVar("I")  # noqa: E741 (what goes in)
O = TypeVar("O", bound=Result)  # noqa: E741 (what comes out)

# Transient failures have no attempt limit: an outage of a day must not end an eject, and one that lasts
# shows as a pending activity with its last failure. A minute is soon enough after a long one.
PATIENT = RetryPolicy(
    initial_interval=timedelta(seconds=1), backoff_coefficient=2, maximum_interval=timedelta(minutes=1)
)
# Portal's single-use read must not be made again in the same window: the workflow opens another one first.
ONCE = RetryPolicy(maximum_attempts=1)
# A lost read costs a window; a Portal that loses ten in a row is a matter for people.
MOST_WINDOWS = 10
# A dead worker is noticed within this, and the attempt given to another.
HEARTBEAT = timedelta(seconds=5)

# Verification is arithmetic over public data: it is repeated by the owner, not by us.
VERIFY_TIMEOUT = timedelta(seconds=10)
VERIFY_ONCE = RetryPolicy(maximum_attempts=1)

# Where Portal's budgets make steps wait: the windows that are open first, the nearer the close the sooner.
# Temporal takes 1, the first, to 5, and 3 where none is given, as by ejects of earlier versions.
_CLOSING = ((timedelta(hours=1), 1), (timedelta(days=1), 2))
_OPEN, _NOT_OPEN = 3, 4
# What has only begun comes last: a window that is opened late is better than one that closes unserved.
_BEGINNING = 5

# A write that was given up lands or fails within this (the vault's own time-out is 8 s).
PURGE_AGAIN_AFTER = timedelta(seconds=10)
# How long a command waits to say what became of it.
ANSWERS_WITHIN = timedelta(seconds=30)


@dataclass(frozen=True)
class Step(Generic[I, O]):
    """One retried activity; `start_to_close` bounds a single attempt, never the step.

    It is longer than all that an attempt does may take by its own time-outs (45 s for a call of Portal's,
    105 s for the enclave's, 8 s for the vault's), so that an attempt ends with what it met, and one in which
    every call is slow still gets through. A dead worker is noticed by its heartbeat, not by this.

    No schedule-to-close: the server cannot move it once set, and an operator must be able to hold a step.
    """

    activity: Callable[[Any, I], Awaitable[O]]
    answer: type[O]
    summary: str
    start_to_close: timedelta = timedelta(minutes=1)
    queue: TaskQueue = TaskQueue.EJECT
    cancellation: ActivityCancellationType = ActivityCancellationType.TRY_CANCEL
    retry: RetryPolicy = field(default_factory=lambda: PATIENT)

    @property
    def name(self) -> str:
        """The activity's name, which people see."""
        return self.activity.__name__


def priority(step: Step[Any, Any], closes: datetime | None, now: datetime) -> Priority:
    """When a step's turn comes on a queue that is behind; `closes` is when the eject's window closes."""
    if step is CHECK:
        return Priority(priority_key=_BEGINNING)
    if closes is None or closes <= now:
        return Priority(priority_key=_NOT_OPEN)
    return Priority(priority_key=next((key for left, key in _CLOSING if closes - now <= left), _OPEN))


CHECK: Step[Check, Checked] = Step(
    CheckStep.check, Checked, "Read the client and judge it", queue=TaskQueue.CUSTODIAN
)
BACK_UP: Step[BackUp, BackedUp] = Step(
    BackUpStep.back_up,
    BackedUp,
    "Make a backup, seal the client's halves to the owner",
    # Two calls, and the enclave, which runs a protocol between two parties before it answers.
    start_to_close=timedelta(minutes=5),
    queue=TaskQueue.ENCLAVE,
)
CONFIRM_BACKUP: Step[ConfirmBackup, BackupConfirmed] = Step(
    ConfirmBackupStep.confirm_backup,
    BackupConfirmed,
    "Store the sealed halves with Portal, read the backup as completed",
    start_to_close=timedelta(minutes=5),  # one call for each wallet, and three more
    queue=TaskQueue.CLIENT,
)
ENABLE_EJECT: Step[EnableEject, EjectEnabled] = Step(
    EnableEjectStep.enable_eject,
    EjectEnabled,
    "Check the wallets again, open the ejectable window",
    start_to_close=timedelta(minutes=3),  # one call, and one for each wallet
    queue=TaskQueue.CUSTODIAN,
    # Whoever shrinks the window after a cancellation must know that no attempt opens it any more.
    cancellation=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)
SHRINK_WINDOW: Step[ShrinkWindow, WindowShrunk] = Step(
    ShrinkWindowStep.shrink_window,
    WindowShrunk,
    "Have Portal's window close within two minutes",
    start_to_close=timedelta(minutes=3),  # one call, and one for each wallet
    queue=TaskQueue.CUSTODIAN,
)
FETCH_SHARES: Step[FetchShares, SharesFetched] = Step(
    FetchSharesStep.fetch_shares,
    SharesFetched,
    "Fetch the custodian halves, seal them to the owner",
    start_to_close=timedelta(minutes=3),  # one call, one look and one write for each wallet
    queue=TaskQueue.CUSTODIAN,
)
FETCH_SHARES_AS_CLIENT: Step[FetchSharesAsClient, SharesFetched] = Step(
    FetchSharesStep.fetch_shares_as_client,
    SharesFetched,
    "Fetch a custodian half as the client, seal it to the owner",
    start_to_close=timedelta(minutes=3),  # three calls in a row, two looks and a write
    queue=TaskQueue.SESSION,
    retry=ONCE,
)
READ_CIPHER_TEXTS: Step[ReadCipherTexts, CipherTextsRead] = Step(
    ReadCipherTextsStep.read_cipher_texts,
    CipherTextsRead,
    "Seal the existing backup's cipher text to the owner",
    start_to_close=timedelta(minutes=3),  # one call for each wallet, and one more
    queue=TaskQueue.CLIENT,
)
RESTORE_BACKUP: Step[RestoreBackup, BackupRestored] = Step(
    RestoreBackupStep.restore_backup,
    BackupRestored,
    "Put the client's sealed halves back from Portal's cipher text",
    start_to_close=timedelta(minutes=3),  # one call for each wallet, and one more
    queue=TaskQueue.CLIENT,
)
RELEASE: Step[Release, Released] = Step(
    ReleaseStep.release,
    Released,
    "Put the sealed files where the owner reads",
    start_to_close=timedelta(minutes=2),  # two looks and two writes for each wallet
)
COMPLETE: Step[Complete, Completed] = Step(
    CompleteStep.complete,
    Completed,
    "Read the wallets again, mark the client as ejected",
    start_to_close=timedelta(minutes=5),  # four calls in a row; by wallet six
    queue=TaskQueue.CLIENT,
)
PURGE: Step[Purge, Purged] = Step(PurgeStep.purge, Purged, "Destroy our copies")
WRITE_RECEIPT: Step[WriteReceipt, ReceiptWritten] = Step(
    WriteReceiptStep.write_receipt,
    ReceiptWritten,
    "Write the receipt",
    # A repeat walks the chain from where its first attempt stood; thousands may have come since.
    start_to_close=timedelta(minutes=5),
)
DELETE_DEPOSIT: Step[DeleteDeposit, DepositDeleted] = Step(
    DeleteDepositStep.delete_deposit,
    DepositDeleted,
    "Delete the deposited signing shares",
    queue=TaskQueue.DEPOSITS,
)

STEPS = tuple(value for value in list(globals().values()) if isinstance(value, Step))
