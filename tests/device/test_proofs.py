"""Proofs: signatures that other libraries verify, made only by keys that were checked."""

from dataclasses import replace
from pathlib import Path

import coincurve
import pytest
from Crypto.Hash import keccak
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.names import Role
from contracts.owner import ClaimAnswer, Prove, challenge
from contracts.sealing import commitment
from contracts.wallets import Curve, Wallet
from device.errors import DeviceError
from device.identity import Identity
from device.opening import open_bundle
from device.proving import prove
from device.signing import sign
from tests.device import bundles, second


def verifies(curve: Curve, wallet: Wallet, text: str, signature: str) -> bool:
    """OpenSSL's word on a signature, and for SECP256K1 that it recovers to the wallet's key."""
    raw, message = bytes.fromhex(signature), text.encode()
    x, y = int(wallet.public_key.x), int(wallet.public_key.y)
    try:
        if curve is Curve.ED25519:
            key = (y + ((x % 2) << 255)).to_bytes(32, "little")
            Ed25519PublicKey.from_public_bytes(key).verify(raw, message)
            return len(raw) == 64
        prefixed = b"\x19Ethereum Signed Message:\n" + str(len(message)).encode() + message
        digest = keccak.new(digest_bits=256, data=prefixed).digest()
        r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:64], "big")
        ours = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256K1()).public_key()
        # Prehashed only carries the length of the digest: 32 bytes, as Keccak-256 has.
        ours.verify(encode_dss_signature(r, s), digest, ec.ECDSA(Prehashed(SHA256())))
    except InvalidSignature:
        return False
    recovered = coincurve.PublicKey.from_signature_and_message(
        raw[:64] + bytes([raw[64] - 27]), digest, hasher=None
    )
    return len(raw) == 65 and recovered.point() == (x, y)


def proven(claim: ClaimAnswer, files: Path, answer: Prove) -> bool:
    """What the worker asks of a proof: the opened values, and the signature over the rebuilt text."""
    wallets = {wallet.id: wallet for wallet in claim.wallets}
    good = []
    for proof in answer.proofs:
        wallet = wallets[proof.wallet]
        text = challenge(
            eject_id=claim.eject_id,
            client_id=claim.client_id,
            wallet=wallet,
            bundle=claim.bundle,
            opened=proof.opened,
        )
        sealed = {role: bundles.read(files, role, proof.wallet).commitment for role in Role}
        good.append({role: commitment(value) for role, value in proof.opened.items()} == sealed)
        good.append(verifies(wallet.curve, wallet, text, proof.signature))
    return all(good) and {proof.wallet for proof in answer.proofs} == set(wallets)


def test_the_proofs_of_a_client_verify(tmp_path: Path) -> None:
    """Both wallets of a client are proven, the edge scalars too, and one changed word is no proof."""
    identity = Identity.generate()
    made = [
        bundles.make(curve, scalar, f"{curve}-{name}")
        for curve in Curve
        for name, scalar in enumerate([1, 2**248 - 1, 2**248, second.ORDER[curve] - 1, 2**200 + 7])
    ]
    claim = bundles.pack(tmp_path, identity.recipient, made)
    wallets = open_bundle(identity, claim, tmp_path)
    answer = prove(claim, wallets)
    assert proven(claim, tmp_path, answer)
    assert not proven(claim.model_copy(update={"eject_id": "another"}), tmp_path, answer)
    assert not proven(claim, tmp_path, prove(claim, wallets[1:]))


@given(st.sampled_from(Curve), st.data(), st.text())
@settings(derandomize=True, deadline=None, max_examples=50)
def test_any_text_is_signed_rightly(curve: Curve, data: st.DataObject, text: str) -> None:
    """For any scalar and any text, long and in any script, another library verifies the signature."""
    scalar = data.draw(st.integers(1, second.ORDER[curve] - 1))
    wallet = bundles.make(curve, scalar, "w").wallet
    signature = sign(curve, scalar, text)
    assert verifies(curve, wallet, text, signature)
    assert not verifies(curve, wallet, text + ".", signature)


def test_no_nonce_is_used_twice() -> None:
    """Two ED25519 signatures of one text differ in R: a nonce used twice would give the key away."""
    signatures = {sign(Curve.ED25519, 12345, "the same text")[:64] for _ in range(20)}
    assert len(signatures) == 20


def test_an_unchecked_key_signs_nothing(tmp_path: Path) -> None:
    """A wallet put together by hand with another key, or from another claim, is refused."""
    identity = Identity.generate()
    made = [bundles.random_wallet(Curve.ED25519, name) for name in ("a", "b")]
    claim = bundles.pack(tmp_path, identity.recipient, made)
    first, other = open_bundle(identity, claim, tmp_path)
    with pytest.raises(DeviceError, match="not the key of this wallet"):
        prove(claim, [replace(first, text=other.text)])
    with pytest.raises(DeviceError, match="not in this claim"):
        prove(claim.model_copy(update={"wallets": (first.wallet,)}), [other])
    for wrong in ([], [first] * 17):
        with pytest.raises(DeviceError, match="at once"):
            prove(claim, wrong)


@pytest.mark.parametrize("curve", list(Curve))
def test_a_wrong_signature_is_never_given_away(curve: Curve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault while signing, here another public key than the scalar's, ends in a refusal."""
    wrong = sign.__globals__["public_key"](curve, 99)
    monkeypatch.setitem(sign.__globals__, "public_key", lambda *_: wrong)
    with pytest.raises(DeviceError, match="nothing was signed"):
        sign(curve, 12345, "text")
