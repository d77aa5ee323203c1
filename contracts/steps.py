"""What each step is given and what it answers: the shapes that lie in history."""

from datetime import timedelta

from pydantic import Field

from contracts.approvals import Guards
from contracts.base import Digest, Id, Moment, Result
from contracts.receipt import Receipt
from contracts.request import Backup, BackupMethod
from contracts.sealing import SealedRef
from contracts.wallets import Wallet

CompletedPairs = dict[Id, tuple[Id, ...]]
"""By wallet: the ids of its completed backup share pairs, sorted."""


class Check(Result):
    """Read-only: is this client fit to leave? `approved` once the approvals were given."""

    client_id: Id
    recipient: str
    replace_backup: bool = False
    backup: Backup = Backup.FRESH
    requested_by: str = ""
    approvals: int = 0
    cooling_off: timedelta = timedelta(0)
    approved: bool = False


class Checked(Result):
    """All that is wrong, at once; otherwise the wallets that an eject covers.

    `guards` is what this eject has to keep: the settings' demands, or the request's where it asks for more;
    `notices` whether there is anybody to tell; `completed` has, by wallet, the backup share pairs that Portal
    calls completed. `shown_after` is how long a step lasts before Temporal's lists show its stage.
    """

    wallets: tuple[Wallet, ...] = ()
    problems: tuple[str, ...] = ()
    ejected_at: Moment | None = None
    guards: Guards = Guards()
    notices: bool = False
    shown_after: timedelta = timedelta(0)
    completed: CompletedPairs = Field(default_factory=dict)


class Wrote(Result):
    """What a step answers that writes sealed files into the vault.

    `only_attempt` where no earlier attempt was made of it, which could still write when this one has ended.
    """

    only_attempt: bool = False


class BackUp(Result):
    """Make a backup and seal each new client share to the recipient."""

    eject_id: Id
    client_id: Id
    recipient: str
    wallets: tuple[Wallet, ...]


class BackedUp(Wrote):
    """What was sealed and written."""

    files: tuple[SealedRef, ...]


class ConfirmBackup(Result):
    """Store the sealed shares with Portal and have it call the pairs completed."""

    eject_id: Id
    client_id: Id
    files: tuple[SealedRef, ...]


class BackupConfirmed(Result):
    """The pairs that Portal calls completed."""

    pairs: tuple[Id, ...] = ()


class EnableEject(Result):
    """Open the window until `until`, provided that the wallets are still those that were checked.

    With an existing backup, provided that the `completed` pairs are too. `only` names the wallets to open
    where not all are.
    """

    client_id: Id
    wallets: tuple[Wallet, ...]
    until: Moment
    completed: CompletedPairs | None = None
    only: tuple[Id, ...] | None = None


class EjectEnabled(Result):
    """The window that Portal confirmed: the earliest of the wallets'."""

    closes: Moment


class FetchShares(Result):
    """Fetch and seal the custodian halves, not after `not_after`.

    Of the pairs in `backup`; or, with an existing backup, of whichever pair Portal answers among `completed`.
    """

    eject_id: Id
    client_id: Id
    recipient: str
    backup: tuple[SealedRef, ...] = ()
    completed: CompletedPairs = Field(default_factory=dict)
    not_after: Moment


class FetchSharesAsClient(Result):
    """Fetch and seal one wallet's custodian half as the client itself, which works once in each window."""

    eject_id: Id
    client_id: Id
    recipient: str
    wallet: Id
    completed: tuple[Id, ...]
    backup_method: BackupMethod
    not_after: Moment


class SharesFetched(Wrote):
    """What was sealed and written; `stored` has the digest of the cipher text that Portal keeps, by wallet.

    A wallet whose client half Portal does not keep is not in `stored`: its backup is the owner's own.
    """

    files: tuple[SealedRef, ...]
    stored: dict[Id, Digest] = Field(default_factory=dict)


class ReadCipherTexts(Result):
    """Seal the cipher text of an existing backup to the recipient, where its digest is the one in `stored`.

    `halves` are the custodian halves, which name the pairs.
    """

    eject_id: Id
    client_id: Id
    recipient: str
    halves: tuple[SealedRef, ...]
    stored: dict[Id, Digest]


class CipherTextsRead(Wrote):
    """What was sealed and written."""

    files: tuple[SealedRef, ...] = ()


class RestoreBackup(Result):
    """Put the client halves back from the cipher text that Portal keeps."""

    eject_id: Id
    client_id: Id
    files: tuple[SealedRef, ...]


class BackupRestored(Wrote):
    """How many halves lie in the vault again."""

    restored: int = 0


class ShrinkWindow(Result):
    """Have Portal's window close as soon as it lets it."""

    client_id: Id
    wallets: tuple[Wallet, ...]


class WindowShrunk(Result):
    """When the last of the wallets' windows closes; None where none was open."""

    closes: Moment | None = None


class Release(Result):
    """Copy these files from `held/` to `released/`."""

    eject_id: Id
    files: tuple[SealedRef, ...]


class Released(Wrote):
    """The names that were written."""

    names: tuple[str, ...] = ()


class Complete(Result):
    """The irreversible call, provided that the wallets are still those that were proven."""

    client_id: Id
    wallets: tuple[Wallet, ...]


class Completed(Result):
    """Portal's own mark."""

    ejected_at: Moment


class Purge(Result):
    """Destroy our copies."""

    eject_id: Id


class Purged(Result):
    """How many files were removed."""

    removed: int = 0


class DeleteDeposit(Result):
    """Remove the signing shares of a client who has left."""

    client_id: Id


class DepositDeleted(Result):
    """How many files were removed."""

    removed: int = 0


class WriteReceipt(Result):
    """Write what remains; the run tells the receipts of an eject and of its reset apart."""

    receipt: Receipt
    run_id: Id


class ReceiptWritten(Result):
    """Where it lies, and the number and SHA-256 of its entry in the chain."""

    name: str
    number: int = 0
    digest: str = ""
