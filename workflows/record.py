"""What an eject has come to know, and the receipt made of it."""

from datetime import datetime, timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from contracts.approvals import Approved, Guards
    from contracts.commands import Commanded, CommandName
    from contracts.receipt import Asserted, ProvenWallet, Receipt, Times
    from contracts.request import Backup, EjectRequest, digest_of
    from contracts.sealing import SealedRef, fingerprint
    from contracts.stages import End
    from contracts.steps import CompletedPairs, EnableEject
    from contracts.wallets import Wallet


class Record:
    """The facts of one eject, in the order in which they come."""

    def __init__(self, eject_id: str, request: EjectRequest, requested: datetime) -> None:
        self.eject_id = eject_id
        self.request = request
        self.fingerprint = fingerprint(request.recipient)
        self.digest = digest_of(request)
        self.guards = Guards()
        self.notices = False
        self.shown_after = timedelta(0)
        self.approvals: list[Approved] = []
        self.approved: datetime | None = None
        self.cooling_off_until: datetime | None = None
        self.requested = requested
        self.wallets: tuple[Wallet, ...] = ()
        self.completed_pairs: CompletedPairs = {}
        self.reasons: tuple[str, ...] = ()
        self.client_halves: tuple[SealedRef, ...] = ()
        self.custodian_halves: tuple[SealedRef, ...] = ()
        self.bundles: dict[str, tuple[SealedRef, ...]] = {}
        self.claimed_by: str | None = None
        self.proofs: dict[str, ProvenWallet] = {}
        self.commands: list[Commanded] = []
        self.backed_up: datetime | None = None
        self.window_opened: datetime | None = None
        self.window_closes: datetime | None = None
        self.claimed: datetime | None = None
        self.proven: datetime | None = None
        self.completed: datetime | None = None
        self.ejected_at: datetime | None = None

    @property
    def existing(self) -> bool:
        """Whether the owner rebuilds from a backup that was made before."""
        return self.request.backup is Backup.EXISTING

    @property
    def files(self) -> tuple[SealedRef, ...]:
        """Every sealed half of this eject."""
        return self.client_halves + self.custodian_halves

    def window_until(self, until: datetime, only: tuple[str, ...] | None = None) -> EnableEject:
        """What opens the window, of every wallet or of some, while all is as it was checked."""
        return EnableEject(
            client_id=self.request.client_id,
            wallets=self.wallets,
            until=until,
            completed=self.completed_pairs if self.existing else None,
            only=only,
        )

    def command(self, name: CommandName, by: str, why: str, now: datetime) -> None:
        """Note who commanded what."""
        self.commands.append(Commanded(command=name, at=now, by=by, why=why))

    def receipt(self, end: End, now: datetime) -> Receipt:
        """What remains."""
        return Receipt(
            eject_id=self.eject_id,
            client_id=self.request.client_id,
            end=end,
            reasons=self.reasons,
            recipient=self.request.recipient,
            fingerprint=self.fingerprint,
            asserted=Asserted(
                requested_by=self.request.requested_by,
                reason=self.request.reason,
                claimed_by=self.claimed_by,
            ),
            times=Times(
                requested=self.requested,
                approved=self.approved,
                backed_up=self.backed_up,
                window_opened=self.window_opened,
                window_closes=self.window_closes,
                claimed=self.claimed,
                proven=self.proven,
                completed=self.completed,
                ended=now,
            ),
            wallets=self.wallets,
            files=self.files,
            earlier=self._earlier(),
            backup=self.request.backup,
            proofs=tuple(self.proofs.values()),
            request_digest=self.digest,
            approvals=tuple(self.approvals),
            commands=tuple(self.commands),
            ejected_at=self.ejected_at,
            left=tuple(self._left(end)),
        )

    def _earlier(self) -> tuple[tuple[SealedRef, ...], ...]:
        """The bundles that proofs name and that `files` are not, so that each proof can be verified again."""
        named = dict.fromkeys(proof.bundle for proof in self.proofs.values())
        return tuple(self.bundles[bundle] for bundle in named if self.bundles[bundle] != self.files)

    def _left(self, end: End) -> list[str]:
        left = []
        if self.backed_up:
            left.append("With Portal: this eject's backup, whose cipher text only the recipient's key opens")
        if end is not End.EJECTED:
            left.append("In the vault: the client's deposit, if one was made, for another eject")
        return left
