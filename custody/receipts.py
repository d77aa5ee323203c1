"""Verifying a receipt years later, from its file and the custodian's public key alone."""

from collections.abc import Iterator, Sequence

from pydantic import ValidationError

from contracts.approvals import ApprovalCheck, Approved, approval_text
from contracts.chain import RECEIPT, ReceiptFile
from contracts.names import Role
from contracts.owner import ProofCheck, challenge
from contracts.receipt import ProvenWallet, Receipt
from contracts.request import Backup
from contracts.sealing import SealedRef, bundle_digest, fingerprint
from contracts.stages import End
from contracts.wallets import Curve, Wallet
from custody.addresses import address, on_ed25519
from custody.proofs import approval_problem, problem
from custody.signing import Trust, parsed


def read_receipt(data: bytes, trust: Trust) -> tuple[ReceiptFile | None, list[str]]:
    """A receipt's file, None where it is none, and all that is wrong with it.

    Each problem goes on a sentence that begins with the file's name. The signature is verified, and then what
    the receipt claims: a signature says who wrote it, not that it is right.
    """
    fields = parsed(data)
    if fields is None:
        return None, ["is not a receipt's file as a worker wrote it, byte for byte"]
    try:
        file = ReceiptFile.model_validate(fields)
    except ValidationError:
        return None, ["is no receipt's file"]
    wrong = trust.problem(RECEIPT, fields)
    return file, [*([wrong] if wrong else []), *unproven(file.receipt)]


def unproven(receipt: Receipt) -> Iterator[str]:
    """What a receipt claims and does not prove, in words that go on a sentence about it."""
    if fingerprint(receipt.recipient) != receipt.fingerprint:
        yield "states a fingerprint that is not its recipient's"
    wallets = {wallet.id: wallet for wallet in receipt.wallets}
    if len(wallets) != len(receipt.wallets):
        yield "has a wallet twice"
    for wallet in wallets.values():
        if not _is_its_address(wallet):
            yield f"states an address for wallet {wallet.id} that is not its key's"
    for proof in receipt.proofs:
        yield from _disproven(receipt, proof, wallets.get(proof.wallet))
    for approval in receipt.approvals:
        yield from _disapproved(receipt, approval)
    if receipt.end in (End.EJECTED, End.ALREADY_EJECTED) and receipt.ejected_at is None:
        yield "says that the client was ejected and not when Portal marked it"
    if receipt.end is End.EJECTED:
        for missing in sorted(wallets.keys() - {proof.wallet for proof in receipt.proofs}):
            yield f"says that the client was ejected without a proof for wallet {missing}"
        if not wallets:
            yield "says that the client was ejected without any wallet"


def _is_its_address(wallet: Wallet) -> bool:
    if wallet.curve is Curve.ED25519 and not on_ed25519(wallet.public_key):
        return False
    try:
        return address(wallet.curve, wallet.public_key) == wallet.address
    except (ValueError, OverflowError):
        return False


def _disproven(receipt: Receipt, proof: ProvenWallet, wallet: Wallet | None) -> Iterator[str]:
    if wallet is None:
        yield f"has a proof for wallet {proof.wallet}, which is not of this eject"
        return
    bundle = next(
        (files for files in (receipt.files, *receipt.earlier) if bundle_digest(files) == proof.bundle), ()
    )
    halves = [half for half in bundle if half.wallet == wallet.id]
    roles = {half.role for half in halves}
    # The client half of an existing backup may be the owner's own, which nobody sealed.
    whole = roles == set(Role) or (receipt.backup is Backup.EXISTING and roles == {Role.CUSTODIAN})
    if not whole or len(halves) > len(roles) or set(proof.opened) != roles:
        yield f"does not name both halves that the proof for wallet {wallet.id} opened"
        return
    text = challenge(
        eject_id=receipt.eject_id,
        client_id=receipt.client_id,
        wallet=wallet,
        bundle=proof.bundle,
        opened=proof.opened,
    )
    if text != proof.challenge:
        yield f"has a challenge for wallet {wallet.id} that its own facts do not make"
    yield from _not_signed(wallet, proof, text, halves)


def _not_signed(wallet: Wallet, proof: ProvenWallet, text: str, halves: Sequence[SealedRef]) -> Iterator[str]:
    try:
        found = problem(
            ProofCheck(
                wallet=wallet.id,
                curve=wallet.curve,
                public_key=wallet.public_key,
                text=text,
                signature=proof.signature,
                opened=tuple((proof.opened[half.role], half.commitment) for half in halves),
            )
        )
    except ValidationError:
        found = f"The signature for wallet {wallet.id} is none"
    if found:
        yield f"has a proof that is wrong: {found}"


def _disapproved(receipt: Receipt, approval: Approved) -> Iterator[str]:
    if approval.digest != receipt.request_digest:
        yield f"has an approval by {approval.by} of another request"
    if not approval.signed:
        if approval.signature or approval.key:
            yield f"calls an approval by {approval.by} asserted that has a signature"
        return
    try:
        found = approval_problem(
            ApprovalCheck.model_validate(
                {
                    "by": approval.by,
                    "key": approval.key,
                    "text": approval_text(
                        eject_id=receipt.eject_id,
                        client_id=receipt.client_id,
                        digest=receipt.request_digest,
                        by=approval.by,
                    ),
                    "signature": approval.signature,
                }
            )
        )
    except ValueError:  # a ValidationError is one too
        found = f"The key or the signature of {approval.by} is none"
    if found:
        yield f"has an approval that is wrong: {found}"
