"""The bundle on the device: with anything wrong in it, it opens to the right keys or not at all."""

import json
import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.base import canonical
from contracts.names import Role
from contracts.owner import ClaimAnswer
from contracts.sealing import Half, SealedFile, bundle_digest, reference
from contracts.wallets import Curve
from device.bundle import load_claim
from device.errors import DeviceError
from device.export import write_text
from device.handover import describe
from device.identity import Identity
from device.opening import OpenedWallet, open_bundle
from device.proving import prove
from tests.device import bundles
from tests.device.bundles import Made
from tests.properties import keys, odd
from tests.properties.effort import examples, tried
from tests.properties.test_shares import changed

Key = tuple[Role, str]


@dataclass
class Packed:
    """A right bundle, apart: what is in each file, and the claim; and a folder to put a wrong one into."""

    folder: Path
    identity: Identity
    made: tuple[Made, ...]
    claim: dict[str, Any]
    sealed: dict[Key, SealedFile]
    halves: dict[Key, dict[str, Any]]
    hidden: list[str] = field(default_factory=list)

    def resealed(self, key: Key, plain: bytes) -> tuple[dict[Key, bytes], dict[str, Any]]:
        """Other bytes sealed in one file, and a claim that names that very file."""
        return self.renamed(key, bundles.encrypt(self.identity.recipient, plain))

    def renamed(self, key: Key, age: str) -> tuple[dict[Key, bytes], dict[str, Any]]:
        """Another text in one file, and a claim that names that very file."""
        sealed = self.sealed | {key: self.sealed[key].model_copy(update={"age": age})}
        found = {one: reference(one[0], file) for one, file in sealed.items()}
        files = [
            file | {"digest": found[file["role"], file["wallet"]].digest} for file in self.claim["files"]
        ]
        claim = self.claim | {"files": files, "bundle": bundle_digest(found.values())}
        return {one: canonical(file) for one, file in sealed.items()}, claim

    def opened(
        self, files: dict[Key, bytes | None], claim: bytes, public: Collection[str] = ()
    ) -> tuple[OpenedWallet, ...] | None:
        """Write it all down, open it as the device does, and look at what comes of it."""
        tried["bundles"] += 1
        for (role, wallet), data in files.items():
            path = bundles.path_of(self.folder, role, wallet)
            path.unlink(missing_ok=True)
            if data is not None:
                path.write_bytes(data)
        named = self.folder / "claim.json"
        named.write_bytes(claim)
        try:
            found = open_bundle(self.identity, load_claim(named), self.folder)
        except DeviceError as error:
            said = odd.shown(error)
            assert [one for one in self.hidden if one in said and one not in public] == []
            assert str(error).isprintable()
            return None
        rights = {one.wallet.public_key: write_text(one.wallet.curve, one.scalar) for one in self.made}
        for one in found:
            assert one.text == rights[one.wallet.public_key]
            assert one.text not in f"{one!r}{describe(one)}"
        return found


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Packed]:
    """A bundle of a wallet on each curve."""
    folder = tmp_path_factory.mktemp("bundle")
    identity = Identity.generate()
    identity.save(folder / "identity")
    made = tuple(keys.wallet(curve, curve.lower()) for curve in Curve)
    claim = bundles.pack(folder, identity.recipient, made)
    names = [(role, one.wallet.id) for role in Role for one in made]
    sealed = {(role, name): bundles.read(folder, role, name) for role, name in names}
    halves = {key: json.loads(identity.open(file.age) or b"") for key, file in sealed.items()}
    own = (folder / "identity").read_text().splitlines()[-1]
    # A half's share is one of the secrets below; a nonce opens the commitment.
    hidden = keys.hidden(made, own[16:], *(half["nonce"] for half in halves.values()))
    yield Packed(folder, identity, made, json.loads(claim.model_dump_json()), sealed, halves, hidden)
    shutil.rmtree(folder)


@cache
def _texts(curve: Curve, role: Role) -> st.SearchStrategy[str]:
    return changed(curve, role)


def _key(data: st.DataObject, packed: Packed) -> tuple[Key, Made]:
    one = data.draw(st.sampled_from(packed.made))
    return (data.draw(st.sampled_from(Role)), one.wallet.id), one


def _written(claim: dict[str, Any]) -> bytes:
    return json.dumps(claim).encode()


def test_the_bundle_is_right_before_it_is_changed(packed: Packed) -> None:
    """Unchanged it opens to both keys, also from files sealed anew; and the search finds a secret."""
    key = (Role.CLIENT, packed.made[0].wallet.id)
    files, claim = packed.resealed(key, json.dumps(packed.halves[key]).encode())
    found = packed.opened(dict(files), _written(claim))
    assert found is not None
    assert len(found) == len(packed.made)
    proofs = prove(ClaimAnswer.model_validate(claim), found)
    assert [proof.wallet for proof in proofs.proofs] == [one.wallet.id for one in packed.made]
    assert any(one in packed.made[0].share(Role.CUSTODIAN) for one in packed.hidden)


@examples(30, 5000)
@given(data=st.data())
def test_a_wrong_share_in_a_right_bundle(packed: Packed, data: st.DataObject) -> None:
    """Sealed, committed and named as it should be; but the share in it was changed before."""
    key, made = _key(data, packed)
    curve = made.wallet.curve
    text = data.draw(_texts(curve, key[0]))
    half = packed.halves[key] | {"share": text.encode(errors="replace").decode()}
    files, claim = packed.resealed(key, json.dumps(half).encode())
    packed.opened(dict(files), _written(claim))


@examples(30, 5000)
@given(data=st.data())
def test_something_else_sealed_as_a_half(packed: Packed, data: st.DataObject) -> None:
    """A half that is nearly one, or no half at all, sealed to the right recipient and named by the claim."""
    key, _ = _key(data, packed)
    files, claim = packed.resealed(key, data.draw(odd.json_bytes(packed.halves[key])))
    packed.opened(dict(files), _written(claim))


@examples(30, 3000)
@given(data=st.data())
def test_garbage_for_an_age_file(packed: Packed, data: st.DataObject) -> None:
    """Named by the claim, digest and all, but age does not open it, or another identity would."""
    key, _ = _key(data, packed)
    right = packed.sealed[key].age
    others = st.sampled_from(
        [
            *(file.age for file in packed.sealed.values()),
            bundles.encrypt(Identity.generate().recipient, canonical(packed.sealed[key])),
            "age-encryption.org/v1\n-> X25519\n--- \n",
            right.replace("\n", "\r\n"),
        ]
    )
    near = odd.garbled(right.encode()).map(lambda raw: raw.decode(errors="replace"))
    files, claim = packed.renamed(key, data.draw(near | near | others))
    packed.opened(dict(files), _written(claim))


@examples(30, 4000)
@given(data=st.data())
def test_a_damaged_copy(packed: Packed, data: st.DataObject) -> None:
    """The claim is right; a file is damaged, missing, swapped with another, or empty."""
    key, _ = _key(data, packed)
    right: dict[Key, bytes | None] = {one: canonical(file) for one, file in packed.sealed.items()}
    other = data.draw(st.sampled_from(sorted(right)))
    near = odd.json_bytes(json.loads(right[key] or b""))
    content = data.draw(st.one_of(near, near, near, st.sampled_from([None, b"", right[other]])))
    files = right | {key: content}
    if data.draw(st.booleans()):
        files[other] = right[key]
    packed.opened(files, _written(packed.claim))


@examples(30, 5000)
@given(data=st.data())
def test_a_wrong_claim(packed: Packed, data: st.DataObject) -> None:
    """The files are right; the claim lies about one thing, or is nearly JSON."""
    files = {one: canonical(file) for one, file in packed.sealed.items()}
    # A claim is public: what was put where an id stands may be named as that id.
    packed.opened(dict(files), data.draw(odd.json_bytes(packed.claim)), (odd.PLANTED, str(odd.NUMBER)))


@examples(30, 2000)
@given(data=st.data())
def test_a_wrong_identity_file(packed: Packed, data: st.DataObject) -> None:
    """The owner's identity, damaged: it is this one, or a sentence without any of it."""
    tried["bundles"] += 1
    path = packed.folder / "other identity"
    right = (packed.folder / "identity").read_bytes()
    path.write_bytes(data.draw(odd.garbled(right) | st.binary(max_size=100)))
    try:
        found = Identity.load(path)
    except DeviceError as error:
        said = odd.shown(error)
        assert [one for one in packed.hidden if one in said] == []
        assert str(error).isprintable()
    else:
        assert found.recipient == packed.identity.recipient
        assert "AGE-SECRET" not in repr(found)


def test_halves_are_halves(packed: Packed) -> None:
    """What is sealed in a right bundle is what the contract says: the changes above are changes of that."""
    for key, half in packed.halves.items():
        assert Half.model_validate(half).role is key[0]
