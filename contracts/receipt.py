"""What remains of an eject, and what can be asked of a running one."""

from contracts.approvals import Approved
from contracts.base import Digest, Id, Moment, Result
from contracts.commands import Commanded
from contracts.names import Role
from contracts.parks import Park
from contracts.request import Backup
from contracts.sealing import SealedRef
from contracts.stages import End, Stage
from contracts.wallets import Wallet


class Asserted(Result):
    """Names and words that a caller gave and nobody verified."""

    requested_by: str
    reason: str
    claimed_by: str | None = None


class Times(Result):
    """When each thing happened, by the clock of the workflow; None where it did not."""

    requested: Moment
    approved: Moment | None = None
    backed_up: Moment | None = None
    window_opened: Moment | None = None
    window_closes: Moment | None = None
    claimed: Moment | None = None
    proven: Moment | None = None
    completed: Moment | None = None
    ended: Moment


class ProvenWallet(Result):
    """The proof that was accepted for one wallet, whole enough to be verified again years later."""

    wallet: Id
    bundle: Digest
    opened: dict[Role, Digest]
    challenge: str
    signature: str


class Receipt(Result):
    """Who left, when, with whose proof, and what was left where. Written at every end.

    `files` are the last sealed halves; `earlier` the bundles before them that a proof was accepted for. With
    an `existing` backup a wallet has no client half where the owner keeps it.
    """

    eject_id: Id
    client_id: Id
    end: End
    reasons: tuple[str, ...] = ()
    recipient: str
    fingerprint: str
    asserted: Asserted
    times: Times
    wallets: tuple[Wallet, ...] = ()
    files: tuple[SealedRef, ...] = ()
    earlier: tuple[tuple[SealedRef, ...], ...] = ()
    backup: Backup = Backup.FRESH
    proofs: tuple[ProvenWallet, ...] = ()
    request_digest: Digest
    approvals: tuple[Approved, ...] = ()
    commands: tuple[Commanded, ...] = ()
    ejected_at: Moment | None = None
    left: tuple[str, ...] = ()


class Status(Result):
    """Where a running eject is: the answer to the query `status`."""

    eject_id: Id
    client_id: Id
    stage: Stage | End
    wallets: tuple[Wallet, ...] = ()
    proven: tuple[Id, ...] = ()
    fingerprint: str
    request_digest: Digest
    approvals: tuple[Approved, ...] = ()
    approvals_needed: int = 0
    cooling_off_until: Moment | None = None
    window_closes: Moment | None = None
    park: Park | None = None
