"""The handover: the bundle to the owner, and the owner's proofs back."""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime

from pydantic import ValidationError
from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.verify import verify
    from contracts.metrics import Refused
    from contracts.names import Role, released_name
    from contracts.owner import (
        Claim,
        ClaimAnswer,
        ClaimedFile,
        Proof,
        ProofCheck,
        Prove,
        ProveAnswer,
        Verified,
        Verify,
        challenge,
    )
    from contracts.receipt import ProvenWallet
    from contracts.sealing import bundle_digest, commitment
    from contracts.steps import Release, Released
    from contracts.wallets import Wallet
    from contracts.window import RELEASE_GRACE

from workflows.measuring import proof_refused
from workflows.parking import Parking
from workflows.policies import ANSWERS_WITHIN, RELEASE, VERIFY_ONCE, VERIFY_TIMEOUT
from workflows.record import Record
from workflows.refusing import refusal

# Updates are limited per run, so a caller who never gets it right is stopped; a new claim starts anew.
MOST_BAD_PROOFS = 20


class Handover:
    """Claims and proofs, as they change the record."""

    def __init__(self, record: Record, steps: Parking) -> None:
        self._record = record
        self._steps = steps
        self._release: asyncio.Task[Released] | None = None
        self._verifying = 0
        self._bad_proofs = 0

    @property
    def claimed(self) -> bool:
        """Whether the owner has asked for the bundle."""
        return self._record.claimed is not None

    @property
    def awaited(self) -> tuple[str, ...]:
        """The wallets whose proof is missing."""
        return tuple(wallet.id for wallet in self._record.wallets if wallet.id not in self._record.proofs)

    def all_proven(self) -> bool:
        """Whether the owner has proven every wallet of the client."""
        return bool(self._record.wallets) and not self.awaited

    async def claim(self, command: Claim, closes: datetime) -> ClaimAnswer:
        """Release the sealed files, once; a second claim waits for the first one's copy."""
        record = self._record
        record.claimed_by = record.claimed_by or command.claimed_by
        record.claimed = record.claimed or workflow.now()
        bundle = bundle_digest(record.files)
        record.bundles[bundle] = record.files
        self._bad_proofs = 0
        first = self._release is None
        self._release = release = self._release or asyncio.create_task(
            self._steps.run(RELEASE, lambda: Release(eject_id=record.eject_id, files=record.files))
        )
        try:
            # One claim waits as long as it takes; were all to wait, they would use up the updates in flight.
            await workflow.wait_condition(
                release.done,
                timeout=None if first else ANSWERS_WITHIN,
                timeout_summary="the copy of an earlier claim",
            )
        except TimeoutError:
            raise refusal("The files are still being released: claim again in a moment") from None
        if release.cancelled():
            raise refusal("The window closed before the files could be released: they are destroyed")
        release.result()
        return self._answer(bundle, closes)

    def _answer(self, bundle: str, closes: datetime) -> ClaimAnswer:
        record = self._record
        return ClaimAnswer(
            eject_id=record.eject_id,
            client_id=record.request.client_id,
            recipient=record.request.recipient,
            fingerprint=record.fingerprint,
            closes=closes,
            wallets=record.wallets,
            files=tuple(
                ClaimedFile(
                    name=released_name(record.eject_id, file.role, file.wallet),
                    role=file.role,
                    wallet=file.wallet,
                    pair=file.pair,
                    digest=file.digest,
                )
                for file in record.files
            ),
            bundle=bundle,
            backup=record.request.backup,
        )

    def refuse_proofs(self, command: Prove) -> None:
        """Refuse proofs that need no verification to be wrong."""
        if self._bad_proofs + self._verifying >= MOST_BAD_PROOFS:
            raise refusal(f"{MOST_BAD_PROOFS} proofs were wrong since the last claim: claim again, or extend")
        wallets = [proof.wallet for proof in command.proofs]
        for proof in command.proofs:
            if all(wallet.id != proof.wallet for wallet in self._record.wallets):
                raise refusal(f"Wallet {proof.wallet} is not of this eject")
            if proof.wallet in self._record.proofs:
                raise refusal(f"Wallet {proof.wallet} is proven already")
            if wallets.count(proof.wallet) > 1:
                raise refusal(f"Wallet {proof.wallet} is proven twice in one message")
            if proof.bundle not in self._record.bundles:
                raise refusal(f"The bundle named for wallet {proof.wallet} was not issued by this eject")
            if set(proof.opened) != set(self._commitments(proof)):
                raise refusal(
                    f"The proof for wallet {proof.wallet} must open each of its halves and no other"
                )
            # Here, so that it never enters history: a device of somebody's own could send the random bytes,
            # or the key, where their hash belongs.
            if any(commitment(proof.opened[r]) != c for r, c in self._commitments(proof).items()):
                raise refusal(
                    f"The opened values for wallet {proof.wallet} are not those inside its sealed files"
                )

    async def prove(self, command: Prove) -> ProveAnswer:
        """Verify the proofs and take all of them or none."""
        self._verifying += 1
        try:
            problems = (await self._verify(command.proofs)).problems
            if not problems:
                self._accept(command.proofs)
        finally:
            self._verifying -= 1
        if problems:
            self._bad_proofs += 1
            proof_refused(Refused.WRONG)
            raise refusal("; ".join(problems))
        return ProveAnswer(proven=tuple(self._record.proofs), awaited=self.awaited)

    @property
    def verifying(self) -> bool:
        """Whether a proof was accepted and is not verified yet."""
        return self._verifying > 0

    def forgive(self) -> None:
        """Count bad proofs anew; after the close no claim could."""
        self._bad_proofs = 0

    async def finish(self) -> None:
        """Let what was accepted before the close come to its end: a verification, and for a while a copy."""
        await workflow.wait_condition(lambda: not self.verifying)
        if self._release and not self._release.done():
            with suppress(TimeoutError):
                await workflow.wait_condition(
                    self._release.done, timeout=RELEASE_GRACE, timeout_summary="the copy of the last claim"
                )
        await self.stop()

    async def stop(self) -> None:
        """Give up a copy that is under way; the next claim, if one may come, begins a new one."""
        if self._release and not self._release.done():
            self._release.cancel()
            await workflow.wait_condition(self._release.done)
        self._release = None

    async def _verify(self, proofs: Iterable[Proof]) -> Verified:
        try:
            given = await workflow.execute_local_activity(
                verify.__name__,
                Verify(checks=tuple(self._check(proof) for proof in proofs)),
                start_to_close_timeout=VERIFY_TIMEOUT,
                schedule_to_close_timeout=VERIFY_TIMEOUT,
                retry_policy=VERIFY_ONCE,
                summary="Verify the owner's proofs",
            )
            return Verified.model_validate(given)
        except (ActivityError, ValidationError):
            raise refusal("The proof could not be verified in time: send it again") from None

    def _check(self, proof: Proof) -> ProofCheck:
        """A proof as it is verified: against our own text, Portal's key and the halves' commitments."""
        wallet, commitments = self._wallet(proof), self._commitments(proof)
        return ProofCheck(
            wallet=wallet.id,
            curve=wallet.curve,
            public_key=wallet.public_key,
            text=self._challenge(proof),
            signature=proof.signature,
            opened=tuple((proof.opened[role], commitments[role]) for role in sorted(commitments)),
        )

    def _accept(self, proofs: Iterable[Proof]) -> None:
        """Of two proofs for one wallet, verified at once, the first stands."""
        for proof in proofs:
            proven = ProvenWallet(
                wallet=proof.wallet,
                bundle=proof.bundle,
                opened=proof.opened,
                challenge=self._challenge(proof),
                signature=proof.signature,
            )
            self._record.proofs.setdefault(proof.wallet, proven)
        if self.all_proven():
            self._record.proven = self._record.proven or workflow.now()

    def _wallet(self, proof: Proof) -> Wallet:
        return next(wallet for wallet in self._record.wallets if wallet.id == proof.wallet)

    def _commitments(self, proof: Proof) -> Mapping[Role, str]:
        halves = self._record.bundles[proof.bundle]
        return {half.role: half.commitment for half in halves if half.wallet == proof.wallet}

    def _challenge(self, proof: Proof) -> str:
        return challenge(
            eject_id=self._record.eject_id,
            client_id=self._record.request.client_id,
            wallet=self._wallet(proof),
            bundle=proof.bundle,
            opened=proof.opened,
        )
