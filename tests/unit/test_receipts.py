"""A receipt verified from its file alone: no change goes unseen, signed or not."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.base import canonical_json
from contracts.chain import ENTRY, RECEIPT
from contracts.names import Role
from contracts.receipt import Receipt
from contracts.request import Backup
from contracts.sealing import bundle_digest
from contracts.stages import End
from custody.receipts import read_receipt, unproven
from custody.signing import Trust, signed
from tests.unit.receipts import KEY, PUBLIC, STRANGER, ended, filed, left

TRUST = Trust({PUBLIC})
LEFT = left()
FILE = filed(LEFT)

Path = tuple[str | int, ...]


def wrong(data: bytes, trust: Trust = TRUST) -> list[str]:
    """All that is wrong with a file."""
    return read_receipt(data, trust)[1]


def leaves(value: Any, at: Path = ()) -> Iterator[Path]:
    """Where every single value of a JSON text stands, and every empty list and object."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from leaves(inner, (*at, name))
    elif isinstance(value, list) and value:
        for number, inner in enumerate(value):
            yield from leaves(inner, (*at, number))
    else:
        yield at


def other(value: Any) -> Any:
    """Another value of the same kind, as little changed as can be, and of the same form where it has one."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str) and value:
        last = {"0": "1", "Z": "+00:00"}.get(value[-1], "0")
        return value[:-1] + last
    return {None: 1, "": "x"}[value] if isinstance(value, str | None) else [0]


def changed(fields: Any, at: Path, change: str) -> Any:
    """A copy with one value changed, or taken out."""
    made = copy.deepcopy(fields)
    place = made
    for step in at[:-1]:
        place = place[step]
    if change == "remove":
        del place[at[-1]]
    else:
        place[at[-1]] = other(place[at[-1]])
    return made


def test_a_right_receipt_is_right() -> None:
    """Both curves, an earlier bundle, a signed and an asserted approval; and every other end."""
    assert wrong(FILE) == []
    for end in End:
        if end not in (End.EJECTED, End.ALREADY_EJECTED):
            assert wrong(filed(ended(end=end))) == []


@pytest.mark.parametrize("change", ["change", "remove"])
def test_every_changed_value_is_found(change: str) -> None:
    """Each value of the file, the key and the signature too, changed or taken out: the signature tells."""
    fields = json.loads(FILE)
    places = list(leaves(fields))
    assert len(places) > 100
    unseen = [at for at in places if not wrong(canonical_json(changed(fields, at, change)))]
    assert unseen == []


# What a signature alone vouches for: nothing else in the receipt depends on it.
_BARE = {"addresses", "asserted", "times", "at", "reasons", "commands", "left", "ejected_at", "end"}


def test_what_is_proven_is_found_wrong_under_the_right_signature() -> None:
    """A custodian who signs a receipt with another wallet, half, proof or approval is not believed."""
    fields = json.loads(FILE)["receipt"]
    places = [
        at
        for at in leaves(fields)
        if not _BARE & set(at)
        # The name of an asserted approval is nobody's proof, and its missing key and signature are none.
        and at[:2] != ("approvals", 1)
    ]
    # The halves of a bundle that nobody opened; whose they are lies in the bundle's digest all the same.
    unopened = {("earlier", 0, n, "commitment") for n in (2, 3)} | {
        ("files", n, "commitment") for n in (0, 1)
    }
    assert len(places) > 50
    unseen = []
    for at in places:
        forged = {"receipt": changed(fields, at, "change"), "run": LEFT.eject_id, "after": 0}
        if not wrong(signed(RECEIPT, forged, KEY)):
            unseen.append(at)
    assert set(unseen) == unopened


@pytest.mark.parametrize(
    ("update", "words"),
    [
        ({"proofs": LEFT.proofs[:1]}, "without a proof for wallet wallet-e"),
        ({"proofs": ()}, "without a proof for wallet wallet-s"),
        ({"proofs": (), "wallets": ()}, "without any wallet"),
        ({"ejected_at": None}, "not when Portal marked it"),
        ({"end": End.ALREADY_EJECTED, "ejected_at": None}, "not when Portal marked it"),
        ({"wallets": LEFT.wallets[:1]}, "not of this eject"),
        ({"wallets": (*LEFT.wallets, LEFT.wallets[0])}, "has a wallet twice"),
        ({"earlier": ()}, "does not name both halves"),
        ({"files": ()}, "does not name both halves"),
        ({"eject_id": "another"}, "has a challenge for wallet"),
        ({"request_digest": "0" * 64}, "of another request"),
        ({"fingerprint": "0000"}, "fingerprint"),
        ({"approvals": (LEFT.approvals[0].model_copy(update={"key": None}),)}, "is none"),
        ({"approvals": (LEFT.approvals[0].model_copy(update={"signed": False}),)}, "asserted"),
        (
            {"proofs": (LEFT.proofs[0].model_copy(update={"signature": "x"}), LEFT.proofs[1])},
            "is none",
        ),
    ],
)
def test_what_a_receipt_cannot_claim(update: dict[str, Any], words: str) -> None:
    """Each claim that is not borne out is told in words."""
    problems = list(unproven(LEFT.model_copy(update=update)))
    assert any(words in problem for problem in problems), problems


def test_an_address_is_its_keys_also_without_a_proof() -> None:
    """An end without proofs states wallets too, and nobody signed their addresses."""
    first, second = LEFT.wallets
    wrong_one = first.model_copy(update={"address": second.address})
    receipt = ended().model_copy(update={"wallets": (wrong_one, second)})
    assert list(unproven(receipt)) == [f"states an address for wallet {first.id} that is not its key's"]


def test_a_bundle_of_one_half_proves_nothing() -> None:
    """Both halves of a wallet are opened, even where the bundle's digest is right."""
    (half,) = [f for f in LEFT.files if (f.wallet, f.role) == (LEFT.proofs[1].wallet, Role.CLIENT)]
    proof = LEFT.proofs[1].model_copy(update={"bundle": bundle_digest((half,))})
    receipt = LEFT.model_copy(update={"files": (half,), "proofs": (LEFT.proofs[0], proof)})
    assert any("both halves" in problem for problem in unproven(receipt))


def test_only_a_named_key_is_believed() -> None:
    """The key in the file counts for nothing by itself, and no signature is none."""
    assert wrong(filed(LEFT, STRANGER)) == ["is signed with a key that was not named with --key"]
    assert wrong(filed(LEFT, None)) == ["is unsigned"]
    assert wrong(filed(LEFT, None), Trust({PUBLIC}, unsigned=True)) == []
    assert wrong(filed(LEFT, STRANGER), Trust(unsigned=True)) != []
    swapped = json.loads(filed(LEFT, STRANGER)) | {"key": PUBLIC}
    assert wrong(canonical_json(swapped)) != []
    bare = json.loads(FILE) | {"signature": None}
    assert wrong(canonical_json(bare), Trust({PUBLIC}, unsigned=True)) != []
    keyless = json.loads(FILE) | {"key": None}
    assert wrong(canonical_json(keyless), Trust({PUBLIC}, unsigned=True)) != []


def test_a_signature_over_an_entry_is_none_over_a_receipt() -> None:
    """The beginnings differ, so that nothing signed as the one passes for the other."""
    fields = {"receipt": LEFT.model_dump(mode="json"), "run": LEFT.eject_id, "after": 0}
    assert wrong(signed(RECEIPT, fields, KEY)) == []
    assert wrong(signed(ENTRY, fields, KEY)) != []


def test_a_file_has_one_form() -> None:
    """Other spaces, an end of line, another order or a name given twice: two readers could differ."""
    fields = json.loads(FILE)
    turned = dict(reversed(fields.items()))
    twice = FILE[:-1] + b',"signature":' + json.dumps(fields["signature"]).encode() + b"}"
    for data in (
        FILE + b"\n",
        json.dumps(fields, indent=1).encode(),
        json.dumps(turned, separators=(",", ":")).encode(),
        twice,
        b"[" * 100_000,
        b"[]",
        b"{}",
        b"",
    ):
        assert wrong(data) != []


def test_what_a_newer_version_adds_is_signed_too() -> None:
    """An unknown field verifies with the rest, and not without."""
    receipt = LEFT.model_dump(mode="json") | {"new": "x"}
    newer = signed(RECEIPT, {"receipt": receipt, "run": LEFT.eject_id, "after": 0, "more": 1}, KEY)
    assert wrong(newer) == []
    assert wrong(newer.replace(b'"new":"x"', b'"new":"y"')) != []
    assert wrong(newer.replace(b'"more":1', b'"more":2')) != []


@given(st.data())
def test_no_byte_can_be_changed(data: st.DataObject) -> None:
    """One byte of the file, whichever and to whatever."""
    at = data.draw(st.integers(0, len(FILE) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda b: b != FILE[at]))
    assert wrong(FILE[:at] + bytes([byte]) + FILE[at + 1 :]) != []


@given(st.binary() | st.recursive(st.none() | st.text(), st.lists).map(lambda v: json.dumps(v).encode()))
def test_anything_else_is_no_receipt(data: bytes) -> None:
    """Whatever lies there is told, and raises nothing."""
    assert read_receipt(data, TRUST)[0] is None


def test_receipts_of_today_say_what_they_said() -> None:
    """The model takes back what it wrote: nothing in a file is lost by reading it."""
    assert Receipt.model_validate(json.loads(FILE)["receipt"]) == LEFT


@pytest.mark.parametrize(
    ("role", "backup", "refused"),
    [
        (Role.CUSTODIAN, Backup.FRESH, True),
        (Role.CUSTODIAN, Backup.EXISTING, False),
        (Role.CLIENT, Backup.EXISTING, True),
    ],
)
def test_only_the_owners_own_half_may_be_missing(role: Role, backup: Backup, refused: bool) -> None:
    """Portal always has its half; the client's is the owner's own only where the backup was made before."""
    (half,) = [f for f in LEFT.files if (f.wallet, f.role) == (LEFT.proofs[1].wallet, role)]
    proof = LEFT.proofs[1]
    opened = {role: proof.opened[role]}
    proof = proof.model_copy(update={"bundle": bundle_digest((half,)), "opened": opened})
    receipt = LEFT.model_copy(update={"files": (half,), "proofs": (LEFT.proofs[0], proof), "backup": backup})
    assert any("both halves" in problem for problem in unproven(receipt)) is refused
