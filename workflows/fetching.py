"""Fetching: both halves into the vault, by whichever way the request names."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from contracts import steps
    from contracts.failures import Failure
    from contracts.request import FetchAs

from workflows.parking import Parking, Trouble, Turn
from workflows.policies import (
    ENABLE_EJECT,
    FETCH_SHARES,
    FETCH_SHARES_AS_CLIENT,
    MOST_WINDOWS,
    PATIENT,
    READ_CIPHER_TEXTS,
    RESTORE_BACKUP,
)
from workflows.record import Record
from workflows.window import Window


class Fetching:
    """The halves of one window.

    `opened` names the wallets whose window was opened and in which nothing was fetched as the client yet:
    that read works once, so each needs a window of its own.
    """

    def __init__(self, record: Record, steps: Parking, window: Window) -> None:
        self._record = record
        self._steps = steps
        self._window = window
        self._opened: set[str] = set()

    def window_opened(self) -> None:
        """Every wallet's window was opened."""
        self._opened = {wallet.id for wallet in self._record.wallets}

    async def fetch(self, *, restore: bool) -> None:
        """Fetch and seal both halves; the record has them only once both are there.

        `restore` puts a fresh backup's client halves back, which a purge has destroyed.
        """
        record = self._record
        if restore and not record.existing:
            await self._steps.run(
                RESTORE_BACKUP,
                lambda: steps.RestoreBackup(
                    eject_id=record.eject_id, client_id=record.request.client_id, files=record.client_halves
                ),
            )
        if record.request.fetch_as is FetchAs.CLIENT:
            fetched = [await self._as_client(wallet.id) for wallet in record.wallets]
        else:
            fetched = [await self._as_custodian()]
        halves = tuple(file for each in fetched for file in each.files)
        stored = {wallet: digest for each in fetched for wallet, digest in each.stored.items()}
        if record.existing:
            read = await self._steps.run(
                READ_CIPHER_TEXTS,
                lambda: steps.ReadCipherTexts(
                    eject_id=record.eject_id,
                    client_id=record.request.client_id,
                    recipient=record.request.recipient,
                    halves=halves,
                    stored=stored,
                ),
            )
            record.client_halves = read.files
        record.custodian_halves = halves

    async def _as_custodian(self) -> steps.SharesFetched:
        return await self._steps.through(FETCH_SHARES, self._until_the_close)

    async def _until_the_close(self) -> steps.SharesFetched:
        """Attempt it again where its close is not the close any more: the window was extended meanwhile."""
        record = self._record
        while True:
            law = self._window.law
            try:
                return await self._steps.attempt(
                    FETCH_SHARES,
                    lambda law=law: steps.FetchShares(  # type: ignore[misc]
                        eject_id=record.eject_id,
                        client_id=record.request.client_id,
                        recipient=record.request.recipient,
                        backup=() if record.existing else record.client_halves,
                        completed=record.completed_pairs if record.existing else {},
                        not_after=law,
                    ),
                )
            except Turn:
                if self._window.law == law:
                    raise

    async def _as_client(self, wallet: str) -> steps.SharesFetched:
        return await self._steps.through(FETCH_SHARES_AS_CLIENT, lambda: self._in_some_window(wallet))

    async def _in_some_window(self, wallet: str) -> steps.SharesFetched:
        """Read once in each window, and open another where nobody knows what became of the read."""
        pause = PATIENT.initial_interval
        for _ in range(MOST_WINDOWS):
            if wallet not in self._opened:
                await self._open_again(wallet)
            self._opened.discard(wallet)
            law = self._window.law
            try:
                return await self._steps.attempt(FETCH_SHARES_AS_CLIENT, lambda: self._single_use(wallet))
            except Turn as turn:
                if turn.failure is Failure.WINDOW_CLOSED and self._window.law == law:
                    raise
                workflow.logger.info("eject.read_lost", extra={"failure": turn.failure})
                wait = max(pause, turn.wait)
            await workflow.sleep(wait, summary="before another window")
            pause = min(2 * pause, PATIENT.maximum_interval or timedelta(minutes=1))
        raise Trouble(
            Failure.WINDOWS_USED_UP,
            f"The shares of wallet {wallet} could not be fetched in {MOST_WINDOWS} windows, each read once",
        )

    async def _open_again(self, wallet: str) -> None:
        """Give Portal the same close once more; one that has come too near is the close."""
        record, asked = self._record, None
        while asked != self._window.law:  # an extension has moved it meanwhile
            asked = closes = self._window.law
            try:
                enabled = await self._steps.attempt(
                    ENABLE_EJECT,
                    lambda closes=closes: record.window_until(closes, only=(wallet,)),  # type: ignore[misc]
                )
            except Turn:
                if self._window.law == asked:
                    raise Turn(Failure.WINDOW_CLOSED) from None
                continue
            if enabled.closes < asked == self._window.law:
                self._window.closes = record.window_closes = asked = enabled.closes

    def _single_use(self, wallet: str) -> steps.FetchSharesAsClient:
        record, method = self._record, self._record.request.backup_method
        if method is None:
            raise Trouble(Failure.MESSAGE_INVALID, "The request names no backup method")
        return steps.FetchSharesAsClient(
            eject_id=record.eject_id,
            client_id=record.request.client_id,
            recipient=record.request.recipient,
            wallet=wallet,
            completed=record.completed_pairs.get(wallet, ()),
            backup_method=method,
            not_after=self._window.law,
        )
