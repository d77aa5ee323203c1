"""Receipts as the workflow makes them, with real keys and signatures, and no server."""

import secrets
from collections.abc import Iterable
from datetime import timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.approvals import Approved, approval_text
from contracts.chain import RECEIPT
from contracts.names import Role
from contracts.owner import challenge
from contracts.receipt import Asserted, ProvenWallet, Receipt, Times
from contracts.sealing import SealedRef, bundle_digest, commitment, fingerprint, opened
from contracts.stages import End
from contracts.wallets import Curve
from custody.keys import public_key
from custody.signing import signed
from device.signing import sign
from tests.device.bundles import Made, random_wallet
from tests.unit.fakes import CLIENT, EJECT, NOW, identity

KEY = Ed25519PrivateKey.generate()
PUBLIC = public_key(KEY)
STRANGER = Ed25519PrivateKey.generate()
REQUEST = "5e" * 32
_RECIPIENT = identity()[1]
_MADE = (random_wallet(Curve.SECP256K1, "s"), random_wallet(Curve.ED25519, "e"))


def ended(eject: str = EJECT, client: str = CLIENT, end: End = End.EXPIRED) -> Receipt:
    """The receipt of an eject that nobody proved anything to."""
    return Receipt(
        eject_id=eject,
        client_id=client,
        end=end,
        recipient=_RECIPIENT,
        fingerprint=fingerprint(_RECIPIENT),
        asserted=Asserted(requested_by="ada", reason="moves"),
        times=Times(requested=NOW, ended=NOW + timedelta(hours=1)),
        request_digest=REQUEST,
    )


def halves(made: Iterable[Made]) -> tuple[tuple[SealedRef, ...], dict[tuple[Role, str], str]]:
    """The files of a bundle, and what opening each of them tells."""
    files, told = [], {}
    for one in made:
        for role in Role:
            told[role, one.wallet.id] = value = opened(secrets.token_hex(32))
            files.append(
                SealedRef(
                    role=role,
                    wallet=one.wallet.id,
                    pair=one.pair,
                    digest=secrets.token_hex(32),
                    commitment=commitment(value),
                )
            )
    return tuple(files), told


def proven(
    one: Made, files: tuple[SealedRef, ...], told: dict[tuple[Role, str], str], eject: str, client: str
) -> ProvenWallet:
    """The owner's proof for one wallet of a bundle."""
    mine = {role: told[role, one.wallet.id] for role in Role}
    bundle = bundle_digest(files)
    text = challenge(eject_id=eject, client_id=client, wallet=one.wallet, bundle=bundle, opened=mine)
    return ProvenWallet(
        wallet=one.wallet.id,
        bundle=bundle,
        opened=mine,
        challenge=text,
        signature=sign(one.wallet.curve, one.scalar, text),
    )


def approved(by: str, eject: str, client: str) -> Approved:
    """A signed approval."""
    key = Ed25519PrivateKey.generate()
    text = approval_text(eject_id=eject, client_id=client, digest=REQUEST, by=by)
    return Approved(
        by=by,
        at=NOW,
        digest=REQUEST,
        signed=True,
        signature=key.sign(text.encode()).hex(),
        key=public_key(key),
    )


def left(eject: str = EJECT, client: str = CLIENT) -> Receipt:
    """The receipt of a client who left: a wallet of each curve, the first proven with an earlier bundle."""
    (before, told), (files, later) = halves(_MADE), halves(_MADE)
    return ended(eject, client, End.EJECTED).model_copy(
        update={
            "wallets": tuple(one.wallet for one in _MADE),
            "files": files,
            "earlier": (before,),
            "proofs": (
                proven(_MADE[0], before, told, eject, client),
                proven(_MADE[1], files, later, eject, client),
            ),
            "approvals": (
                approved("grace", eject, client),
                Approved(by="linus", at=NOW, digest=REQUEST, signed=False),
            ),
            "ejected_at": NOW,
        }
    )


def filed(
    receipt: Receipt, key: Ed25519PrivateKey | None = KEY, *, run: str = EJECT, after: int = 0
) -> bytes:
    """A receipt's file as the vault holds it."""
    return signed(RECEIPT, {"receipt": receipt.model_dump(mode="json"), "run": run, "after": after}, key)
