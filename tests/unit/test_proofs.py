"""Proofs and addresses: right signatures of both curves, and everything that only looks like one."""

import base64
import hashlib
from dataclasses import dataclass, replace
from typing import Any

import base58
import pytest
from coincurve import PrivateKey
from Crypto.Hash import keccak
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.signing import SigningKey

from activities.verify import verify
from contracts.owner import ProofCheck, Verify
from contracts.wallets import Curve, PublicKey
from custody.addresses import address, ed25519_bytes
from custody.proofs import personal_message_hash, problem
from tests.device import second

TEXT = "I have rebuilt the key of this wallet.\neject: 1\nK\u00f6nig"
ORDER = second.ORDER[Curve.SECP256K1]


def sha(hexed: str) -> str:
    """SHA-256 of bytes in hex, as hex."""
    return hashlib.sha256(bytes.fromhex(hexed)).hexdigest()


@dataclass(frozen=True)
class Signer:
    """A key that was made in this test, by a library of its own."""

    curve: Curve
    key: Any

    @classmethod
    def new(cls, curve: Curve) -> "Signer":
        return cls(curve, PrivateKey() if curve is Curve.SECP256K1 else SigningKey.generate())

    @property
    def public_key(self) -> PublicKey:
        if self.curve is Curve.SECP256K1:
            x, y = self.key.public_key.point()
            return PublicKey(x=str(x), y=str(y))
        # RFC 8032, 5.1.5: the scalar of a seed.
        raw = bytearray(hashlib.sha512(bytes(self.key)).digest()[:32])
        raw[0] &= 248
        raw[31] = raw[31] & 127 | 64
        return second.public_key(self.curve, int.from_bytes(raw, "little") % second.ORDER[self.curve])

    def sign(self, text: str) -> bytes:
        """As a wallet signs: EIP-191 with v as 27 or 28, or the bare message."""
        data = text.encode()
        if self.curve is Curve.ED25519:
            return bytes(self.key.sign(data).signature)
        prefixed = b"\x19Ethereum Signed Message:\n" + str(len(data)).encode() + data
        hashed = keccak.new(digest_bits=256, data=prefixed).digest()
        raw = bytes(self.key.sign_recoverable(hashed, hasher=None))
        return raw[:64] + bytes([raw[64] + 27])


@dataclass(frozen=True)
class Case:
    """A proof in the making."""

    signer: Signer
    signed: str = TEXT
    shown: str = TEXT
    opened: tuple[tuple[str, str], ...] = ()
    signature: str | None = None

    def problem(self) -> str | None:
        """What is wrong with it."""
        signature = self.signature
        if signature is None:
            signature = self.signer.sign(self.signed).hex()
        check = ProofCheck(
            wallet="wallet-1",
            curve=self.signer.curve,
            public_key=self.signer.public_key,
            text=self.shown,
            signature=signature,
            opened=self.opened,
        )
        return problem(check)


BAD_SIGNATURE = "The signature for wallet wallet-1 is not by its key over this eject's challenge"
BAD_OPENED = "The opened values for wallet wallet-1 are not those inside its sealed files"
ONE, TWO = "11" * 32, "22" * 32


@pytest.fixture(params=Curve)
def case(request: pytest.FixtureRequest) -> Case:
    """A right proof by a new key of either curve."""
    return Case(Signer.new(request.param), opened=((ONE, sha(ONE)), (TWO, sha(TWO))))


def test_a_right_proof_passes(case: Case) -> None:
    """The key's own signature over the very text, and both opened values."""
    assert case.problem() is None


@pytest.mark.parametrize("write", [str, str.upper, lambda text: "0x" + text])
def test_a_signature_is_read_as_wallets_write_it(case: Case, write: Any) -> None:
    """Hex in either case, with 0x or without."""
    assert replace(case, signature=write(case.signer.sign(TEXT).hex())).problem() is None


def test_a_recovery_id_is_read_as_wallets_and_libraries_write_it() -> None:
    """27 and 28, 0 and 1 are the same; the other of the two is another key, and nothing else is one."""
    seen: set[int] = set()
    while len(seen) < 2:
        case = Case(Signer.new(Curve.SECP256K1))
        signature = case.signer.sign(TEXT)
        seen.add(signature[64])
        right = {signature[64], signature[64] - 27}
        for recovery in range(256):
            tried = replace(case, signature=(signature[:64] + bytes([recovery])).hex())
            assert tried.problem() == (None if recovery in right else BAD_SIGNATURE)


WRONG: dict[str, Any] = {
    "another text": lambda case: replace(case, shown=TEXT + " "),
    "another eject": lambda case: replace(case, shown=TEXT.replace("eject: 1", "eject: 2")),
    "another key": lambda case: replace(case, signature=Signer.new(case.signer.curve).sign(TEXT).hex()),
    "one bit": lambda case: replace(case, signature=_flipped(case.signer.sign(TEXT)).hex()),
    "the other curve's length": lambda case: replace(case, signature=_other_length(case)),
    "zeros": lambda case: replace(case, signature=bytes(len(case.signer.sign(TEXT))).hex()),
    "all ones": lambda case: replace(case, signature=(b"\xff" * len(case.signer.sign(TEXT))).hex()),
}


def _flipped(signature: bytes) -> bytes:
    return signature[:40] + bytes([signature[40] ^ 1]) + signature[41:]


def _other_length(case: Case) -> str:
    signature = case.signer.sign(TEXT)
    return (signature[:64] if len(signature) == 65 else signature + b"\x1b").hex()


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_signature_is_refused(case: Case, name: str) -> None:
    """Anything but this key over this text is one sentence, never an exception."""
    assert WRONG[name](case).problem() == BAD_SIGNATURE


OPENED: dict[str, tuple[tuple[str, str], ...]] = {
    "one of two": ((ONE, sha(ONE)), (ONE, sha(TWO))),
    "swapped": ((TWO, sha(ONE)), (ONE, sha(TWO))),
    "the commitment itself": ((sha(ONE), sha(ONE)),),
    "hashed once more": ((ONE, sha(sha(ONE))),),
}


@pytest.mark.parametrize("name", OPENED)
def test_a_right_signature_with_a_wrong_opened_value_is_refused(case: Case, name: str) -> None:
    """Portal's own signing could answer a challenge: only who opened the halves knows these."""
    assert replace(case, opened=OPENED[name]).problem() == BAD_OPENED


def test_a_raw_message_is_no_personal_message() -> None:
    """SECP256K1 signs with Ethereum's prefix, so that the signature can never be a transaction's."""
    signer = Signer.new(Curve.SECP256K1)
    bare = keccak.new(digest_bits=256, data=TEXT.encode()).digest()
    raw = signer.key.sign_recoverable(bare, hasher=None)
    assert Case(signer, signature=raw.hex()).problem() == BAD_SIGNATURE


def test_the_personal_message_hash_is_the_published_one() -> None:
    """The vector of EIP-191's own tools for `Hello World`."""
    published = "a1de988600a42c4b4ab089b619297c17d53cffae5d5120d82d8a92d0bb3b78f2"
    assert personal_message_hash("Hello World").hex() == published


@pytest.mark.parametrize("curve", Curve)
@pytest.mark.parametrize("coordinates", [("0", "0"), ("1", "1"), ("9" * 78, "9" * 78), ("9" * 78, "1")])
def test_a_key_that_is_no_point_verifies_nothing(curve: Curve, coordinates: tuple[str, str]) -> None:
    """Portal's number may be anything: the proof is refused, the workflow task lives."""
    signature = Signer.new(curve).sign(TEXT).hex()
    check = ProofCheck(
        wallet="wallet-1",
        curve=curve,
        public_key=PublicKey(x=coordinates[0], y=coordinates[1]),
        text=TEXT,
        signature=signature,
        opened=(),
    )
    assert problem(check) == BAD_SIGNATURE


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(list(Curve)), st.binary(min_size=64, max_size=65))
def test_no_bytes_whatever_raise_or_pass(curve: Curve, signature: bytes) -> None:
    """Random bytes of the right form are a bad proof."""
    case = Case(SIGNERS[curve], signature=signature.hex())
    assert case.problem() == BAD_SIGNATURE


SIGNERS = {curve: Signer.new(curve) for curve in Curve}


async def test_every_bad_proof_is_told_and_no_good_one() -> None:
    """One sentence for each bad proof of several."""
    checks = []
    for number, (curve, shown) in enumerate([(c, t) for c in Curve for t in (TEXT, TEXT + "!")]):
        signer = SIGNERS[curve]
        checks.append(
            ProofCheck(
                wallet=f"wallet-{number}",
                curve=curve,
                public_key=signer.public_key,
                text=shown,
                signature=signer.sign(TEXT).hex(),
                opened=(),
            )
        )
    problems = (await verify(Verify(checks=tuple(checks)))).problems
    assert [text.split()[4] for text in problems] == ["wallet-1", "wallet-3"]


# Portal's published sets: Solana and Stellar of one key, EVM and Tron of one key.
ED25519_SETS = [
    (
        "BrGo1hFAL8MpudNQ6K4YWDaFB838uboUcCpm8C9uyC4R",
        "GCQTIL5333ASTDBXAJYDIAFRWXYGMR2KPGUNIDNSHOMBINTAMPZJFOKT",
    ),
    (
        "CDjKJBeidJ7KqR4uuQvfXSbeNUNBzZ69mSauXHKAUZqZ",
        "GCTLGX2EFNK2ICF6N27MALUNO6NNZBI3MD47MI5ULET34DPMIG6YQPPQ",
    ),
]
P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P


def _point(encoded: bytes) -> PublicKey:
    """RFC 8032, 5.1.3."""
    number = int.from_bytes(encoded, "little")
    odd, y = number >> 255, number % 2**255
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    assert x * x % P == square
    return PublicKey(x=str(x if x % 2 == odd else P - x), y=str(y))


@pytest.mark.parametrize(("solana", "stellar"), ED25519_SETS)
def test_an_ed25519_address_is_the_published_one(solana: str, stellar: str) -> None:
    """From Portal's Stellar address to coordinates, and from these to its Solana address."""
    raw = base64.b32decode(stellar)[1:33]
    assert base58.b58decode(solana) == raw
    key = _point(raw)
    assert ed25519_bytes(key) == raw
    assert address(Curve.ED25519, key) == solana


@pytest.mark.parametrize(
    ("scalar", "published"),
    [
        (1, "0x7e5f4552091a69125d5dfcb7b8c2659029395bdf"),
        (2, "0x2b5ad5c4795c026514f8317c7a215e218dccd6cf"),
        (ORDER - 1, "0x80c0dbf239224071c59dd8970ab9d542e3414ab2"),
    ],
)
def test_an_evm_address_is_the_published_one(scalar: int, published: str) -> None:
    """Well-known keys; Portal publishes no key beside its EVM addresses."""
    assert address(Curve.SECP256K1, second.public_key(Curve.SECP256K1, scalar)) == published


@pytest.mark.parametrize("curve", Curve)
def test_an_address_is_what_another_implementation_says(curve: Curve) -> None:
    """Ten new keys, leading zeros or not."""
    for scalar in (*range(3, 9), *(second.ORDER[curve] - n for n in range(2, 6))):
        key = second.public_key(curve, scalar)
        name = "eip155" if curve is Curve.SECP256K1 else "solana"
        assert address(curve, key) == second.addresses(curve, key)[name]


@pytest.mark.parametrize("curve", Curve)
def test_coordinates_that_do_not_fit_have_no_address(curve: Curve) -> None:
    """A number beyond 32 bytes is an error that the caller translates, never a shorter address."""
    with pytest.raises(OverflowError):
        address(curve, PublicKey(x="9" * 78, y="9" * 78))
