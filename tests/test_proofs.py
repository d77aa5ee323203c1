"""Only who opened the bundle and holds the key of every wallet makes completion owed."""

import re
from collections.abc import Callable

import pytest

import starter
from contracts.names import Role
from contracts.owner import ClaimAnswer, Proof, Prove, challenge
from contracts.receipt import Status
from contracts.stages import End, Stage
from device.export import read_text
from device.opening import OpenedWallet
from device.proving import prove
from device.signing import sign
from tests.harness.portal import Customer
from tests.harness.world import World


class Attempt:
    """One eject that awaits proof, the right proofs for it, and what a forger may know."""

    def __init__(self, world: World, customer: Customer, answer: ClaimAnswer) -> None:
        self.world, self.customer, self.answer = world, customer, answer
        self.keys = world.rebuild(answer)
        self.right = prove(answer, self.keys).proofs

    def change(self, index: int, **fields: object) -> Prove:
        """The right proofs with one of them changed."""
        proofs = list(self.right)
        proofs[index] = proofs[index].model_copy(update=fields)
        return Prove(proofs=tuple(proofs))

    def mpc_signature(self, key: OpenedWallet, opened: dict[Role, str]) -> str:
        """Portal's own MPC signs this eject's challenge, as long as the wallet is wired to it."""
        text = challenge(
            eject_id=self.answer.eject_id,
            client_id=self.answer.client_id,
            wallet=key.wallet,
            bundle=self.answer.bundle,
            opened=opened,
        )
        return self.world.sandbox.sign(self.answer.client_id, key.wallet.curve, text)


async def awaiting(world: World) -> tuple[starter.EjectHandle, Attempt]:
    """An eject in `awaiting_proof`."""
    customer = world.sandbox.seed()
    handle = await world.start(customer)
    await world.reach(handle, Stage.AWAITING_CLAIM)
    return handle, Attempt(world, customer, await world.claim(customer))


def another_key(one: Attempt, other: Attempt) -> Prove:
    """The other client's keys sign this eject's challenges."""
    stolen = [
        OpenedWallet(wallet=mine.wallet, text=foreign.text, opened=mine.opened, addresses=())
        for mine, foreign in zip(one.keys, other.keys, strict=True)
    ]
    return Prove(proofs=tuple(_signed(one, key) for key in stolen))


def _signed(one: Attempt, key: OpenedWallet) -> Proof:
    """Sign this eject's challenge for a wallet with whatever key stands in `text`."""
    curve = key.wallet.curve
    text = challenge(
        eject_id=one.answer.eject_id,
        client_id=one.answer.client_id,
        wallet=key.wallet,
        bundle=one.answer.bundle,
        opened=key.opened,
    )
    return Proof(
        wallet=key.wallet.id,
        bundle=one.answer.bundle,
        opened=dict(key.opened),
        signature=sign(curve, read_text(curve, key.text), text),
    )


def another_wallet(one: Attempt, _: Attempt) -> Prove:
    """The proof for one wallet is handed in for the other."""
    return one.change(0, wallet=one.right[1].wallet, signature=one.right[0].signature)


def swapped_signatures(one: Attempt, _: Attempt) -> Prove:
    """Each wallet's signature is the other's."""
    return Prove(
        proofs=tuple(
            proof.model_copy(update={"signature": other.signature})
            for proof, other in zip(one.right, reversed(one.right), strict=True)
        )
    )


def another_eject(one: Attempt, other: Attempt) -> Prove:
    """Right signatures and right opened values, but over another eject's challenge."""
    return prove(one.answer.model_copy(update={"eject_id": other.answer.eject_id}), one.keys)


def mpc_without_opening(one: Attempt, other: Attempt) -> Prove:
    """Portal's MPC signs this eject's challenge, but nobody has opened the bundle."""
    proofs = []
    for key, foreign in zip(one.keys, other.keys, strict=True):
        guessed = dict(foreign.opened)
        proofs.append(
            Proof(
                wallet=key.wallet.id,
                bundle=one.answer.bundle,
                opened=guessed,
                signature=one.mpc_signature(key, guessed),
            )
        )
    return Prove(proofs=tuple(proofs))


def unopened_half(one: Attempt, _: Attempt) -> Prove:
    """Only one half of a wallet was opened."""
    kept = {Role.CLIENT: one.right[0].opened[Role.CLIENT]}
    return one.change(0, opened=kept)


def foreign_bundle(one: Attempt, other: Attempt) -> Prove:
    """The bundle is another eject's."""
    return one.change(0, bundle=other.answer.bundle)


def foreign_wallet(one: Attempt, other: Attempt) -> Prove:
    """The wallet is another client's."""
    return one.change(0, wallet=other.right[0].wallet)


def damaged(one: Attempt, _: Attempt) -> Prove:
    """One bit of one signature is wrong."""
    signature = one.right[0].signature
    flipped = f"{int(signature[:2], 16) ^ 1:02x}{signature[2:]}"
    return one.change(0, signature=flipped)


FORGERIES: list[tuple[Callable[[Attempt, Attempt], Prove], str]] = [
    (another_key, "not by its key"),
    (another_wallet, "proven twice"),
    (swapped_signatures, "not by its key"),
    (another_eject, "not by its key"),
    (mpc_without_opening, "not those inside its sealed files"),
    (unopened_half, "must open each"),
    (foreign_bundle, "not issued by this eject"),
    (foreign_wallet, "not of this eject"),
    (damaged, "not by its key"),
]


async def test_every_forgery_is_refused_and_the_eject_goes_on_waiting(world: World) -> None:
    """A proof by anybody or for anything else marks nothing, and the right one still works."""
    handle, one = await awaiting(world)
    _, other = await awaiting(world)
    for forge, words in FORGERIES:
        with pytest.raises(starter.EjectError, match=re.escape(words)):
            await world.prove(one.customer, forge(one, other))
        told = await starter.status(world.client, one.customer.client_id)
        assert isinstance(told, Status)
        assert (told.stage, told.proven) == (Stage.AWAITING_PROOF, ()), forge.__name__
    assert world.completions(one.customer) == 0
    await world.prove(one.customer, Prove(proofs=one.right))
    assert (await world.end(handle)).end is End.EJECTED
    assert world.completions(one.customer) == 1
    assert world.completions(other.customer) == 0


async def test_portals_own_signature_counts_once_the_bundle_was_opened(world: World) -> None:
    """What stays open, as the docs say: a wallet still wired to Portal can sign after the opening."""
    handle, one = await awaiting(world)
    proofs = [
        Proof(
            wallet=key.wallet.id,
            bundle=one.answer.bundle,
            opened=dict(key.opened),
            signature=one.mpc_signature(key, dict(key.opened)),
        )
        for key in one.keys
    ]
    await world.prove(one.customer, Prove(proofs=tuple(proofs)))
    assert (await world.end(handle)).end is End.EJECTED


async def test_twenty_bad_proofs_are_enough_until_the_next_claim(world: World) -> None:
    """The 21st bad proof is refused unseen; a new claim starts the count anew."""
    handle, one = await awaiting(world)
    bad = damaged(one, one)
    for _ in range(20):
        with pytest.raises(starter.EjectError, match="not by its key"):
            await world.prove(one.customer, bad)
    right = Prove(proofs=one.right)
    with pytest.raises(starter.EjectError, match="claim again, or extend"):
        await world.prove(one.customer, right)
    await world.claim(one.customer)
    await world.prove(one.customer, right)
    assert (await world.end(handle)).end is End.EJECTED


async def test_proven_wallets_are_not_proven_again(world: World) -> None:
    """A repeat after the last proof is told so, or that no proof is awaited any more."""
    handle, one = await awaiting(world)
    first = Prove(proofs=one.right[:1])
    await world.prove(one.customer, first)
    with pytest.raises(starter.EjectError, match="proven already"):
        await world.prove(one.customer, first)
    await world.prove(one.customer, Prove(proofs=one.right[1:]))
    assert (await world.end(handle)).end is End.EJECTED
