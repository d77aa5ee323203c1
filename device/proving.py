"""The owner's proof: each opened wallet's key signs the challenge of this one eject."""

from collections.abc import Sequence

from contracts.owner import MOST_WALLETS, ClaimAnswer, Proof, Prove, challenge
from device.check import check
from device.errors import DeviceError
from device.export import read_text
from device.opening import OpenedWallet
from device.signing import sign


def prove(claim: ClaimAnswer, wallets: Sequence[OpenedWallet]) -> Prove:
    """Answer the challenges of a claim for these wallets, at least one and at most 16.

    The key that signs is the one read back from the export text, checked once more right here: a
    signature says that the owner holds a key that works, so nothing else may sign.
    """
    if not 0 < len(wallets) <= MOST_WALLETS:
        raise DeviceError(f"Between 1 and {MOST_WALLETS} wallets can be proven at once: prove them in parts.")
    return Prove(proofs=tuple(_proof(claim, wallet) for wallet in wallets))


def _proof(claim: ClaimAnswer, opened: OpenedWallet) -> Proof:
    wallet = opened.wallet
    if wallet not in claim.wallets:
        raise DeviceError(f"Wallet {wallet.id} is not in this claim: open the bundle of this claim.")
    check(wallet, opened.text)
    text = challenge(
        eject_id=claim.eject_id,
        client_id=claim.client_id,
        wallet=wallet,
        bundle=claim.bundle,
        opened=opened.opened,
    )
    return Proof(
        wallet=wallet.id,
        bundle=claim.bundle,
        opened=dict(opened.opened),
        signature=sign(wallet.curve, read_text(wallet.curve, opened.text), text),
    )
