"""What a device must refuse: each with a sentence that holds no share and no key."""

import secrets
from pathlib import Path

import pytest

from contracts.base import canonical
from contracts.names import Role
from contracts.sealing import Half, bundle_digest, commitment, opened, reference
from contracts.wallets import Curve
from device.bundle import load_claim
from device.errors import DeviceError
from device.identity import Identity, keygen
from tests.device import bundles
from tests.device.bundles import Made, refuse

WALLET = "wallet-w"


def test_another_wallet_s_consistent_pair_is_refused(made: Made, identity: Identity, tmp_path: Path) -> None:
    """Shares that agree with each other in everything, but are another wallet's, do not open this one."""
    other = bundles.random_wallet(made.wallet.curve, "w")
    made.client, made.custodian = other.client, other.custodian
    claim = bundles.pack(tmp_path, identity.recipient, [made])
    refuse(identity, claim, tmp_path, other, "not the key of this wallet")


@pytest.mark.parametrize(
    "update",
    [{"role": Role.CLIENT}, {"client_id": "client-2"}, {"wallet": "wallet-x"}, {"pair": "pair-x"}],
    ids=str,
)
def test_a_half_of_something_else_is_refused(
    update: dict[str, str], made: Made, identity: Identity, tmp_path: Path
) -> None:
    """What is sealed must say the same role, client, wallet and pair as the claim."""

    def change(half: Half) -> Half:
        return half.model_copy(update=update) if half.role is Role.CUSTODIAN else half

    claim = bundles.pack(tmp_path, identity.recipient, [made], change=change)
    refuse(identity, claim, tmp_path, made, "the custodian half is of another")


def test_a_changed_commitment_is_refused(made: Made, identity: Identity, tmp_path: Path) -> None:
    """The random bytes inside must be those committed to outside, or no proof could be right."""
    claim = bundles.pack(tmp_path, identity.recipient, [made])
    file = bundles.read(tmp_path, Role.CLIENT, WALLET)
    other = commitment(opened(secrets.token_hex(32)))
    bundles.write(tmp_path, Role.CLIENT, file.model_copy(update={"commitment": other}))
    refuse(identity, claim, tmp_path, made, "not the one that was committed to")


def test_another_file_is_refused_by_its_digest(made: Made, identity: Identity, tmp_path: Path) -> None:
    """A file sealed anew, even with the same content, is not the file that the claim names."""
    claim = bundles.pack(tmp_path, identity.recipient, [made])
    bundles.pack(tmp_path, identity.recipient, [made])
    refuse(identity, claim, tmp_path, made, "its digest")


@pytest.mark.parametrize("update", [{"wallet": "wallet-x"}, {"pair": "pair-x"}], ids=str)
def test_a_file_of_something_else_is_refused(
    update: dict[str, str], made: Made, identity: Identity, tmp_path: Path
) -> None:
    """A file that says another wallet or pair than the claim is refused, although its text is right."""
    claim = bundles.pack(tmp_path, identity.recipient, [made])
    file = bundles.read(tmp_path, Role.CLIENT, WALLET).model_copy(update=update)
    bundles.path_of(tmp_path, Role.CLIENT, WALLET).write_bytes(canonical(file))
    refuse(identity, claim, tmp_path, made, "file of another wallet or pair")


def test_all_files_are_checked_before_any_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the last of four files gone, none is opened."""
    identity = Identity.generate()
    wallets = [bundles.random_wallet(curve, curve) for curve in Curve]
    claim = bundles.pack(tmp_path, identity.recipient, wallets)
    bundles.path_of(tmp_path, Role.CUSTODIAN, wallets[1].wallet.id).unlink()
    seen: list[str] = []
    monkeypatch.setattr(Identity, "open", lambda _, age: seen.append(age))
    refuse(identity, claim, tmp_path, wallets[0], "The custodian half of wallet .* cannot be read")
    assert seen == []


@pytest.mark.parametrize("content", [b"{}", b"\xff\xfe", b"", b"not JSON"])
def test_a_damaged_file_is_refused(content: bytes, made: Made, identity: Identity, tmp_path: Path) -> None:
    """A file that is not a sealed file is refused."""
    claim = bundles.pack(tmp_path, identity.recipient, [made])
    bundles.path_of(tmp_path, Role.CLIENT, WALLET).write_bytes(content)
    refuse(identity, claim, tmp_path, made, "The client half of wallet")


def test_a_bundle_for_another_recipient_is_refused(made: Made, identity: Identity, tmp_path: Path) -> None:
    """Another identity is told so by its recipient, before any file is read."""
    claim = bundles.pack(tmp_path, identity.recipient, [made])
    refuse(Identity.generate(), claim, tmp_path / "nowhere", made, "another recipient")


def test_a_claim_that_lies_about_the_recipient_opens_nothing(
    made: Made, identity: Identity, tmp_path: Path
) -> None:
    """Files sealed to somebody else do not open, whatever the claim says of the recipient."""
    claim = bundles.pack(tmp_path, Identity.generate().recipient, [made])
    lie = {"recipient": identity.recipient, "fingerprint": identity.fingerprint}
    refuse(identity, claim.model_copy(update=lie), tmp_path, made, "does not open with this identity")


def test_a_wrong_fingerprint_is_refused(made: Made, identity: Identity, tmp_path: Path) -> None:
    """People compare fingerprints, so the claim's must be its recipient's."""
    claim = bundles.pack(tmp_path, identity.recipient, [made])
    wrong = claim.model_copy(update={"fingerprint": Identity.generate().fingerprint})
    refuse(identity, wrong, tmp_path, made, "fingerprint")


def test_what_is_sealed_must_be_a_half(made: Made, identity: Identity, tmp_path: Path) -> None:
    """Sealed nonsense is refused even where digest, bundle and recipient agree."""
    claim = bundles.pack(tmp_path, identity.recipient, [made])
    age = bundles.encrypt(identity.recipient, f'{{"share": "{made.share(Role.CLIENT)}"}}'.encode())
    file = bundles.read(tmp_path, Role.CLIENT, WALLET).model_copy(update={"age": age})
    bundles.write(tmp_path, Role.CLIENT, file)
    found = {role: reference(role, bundles.read(tmp_path, role, WALLET)) for role in Role}
    files = tuple(one.model_copy(update={"digest": found[one.role].digest}) for one in claim.files)
    claim = claim.model_copy(update={"files": files, "bundle": bundle_digest(found.values())})
    refuse(identity, claim, tmp_path, made, "is not a half of a key")


def test_a_claim_must_be_whole(made: Made, identity: Identity, tmp_path: Path) -> None:
    """A claim that names a half too few, too many, twice, or with two pairs, is refused before reading."""
    claim = bundles.pack(tmp_path, identity.recipient, [made])
    first, last = claim.files
    wrong: dict[str, dict[str, object]] = {
        "no client half": {"files": (last,)},
        "no custodian half": {"files": (first,)},
        "twice": {"files": (first, last, last)},
        "does not list": {"files": (first, last, last.model_copy(update={"wallet": "wallet-x"}))},
        "different backup share pairs": {"files": (first, last.model_copy(update={"pair": "pair-x"}))},
        "no wallet": {"wallets": (), "files": ()},
        "its digest": {"files": (first, last.model_copy(update={"digest": "0" * 64}))},
        "bundle digest": {"bundle": "0" * 64},
    }
    for words, update in wrong.items():
        refuse(identity, claim.model_copy(update=update), tmp_path, made, words)


def test_another_public_key_in_the_claim_is_refused(made: Made, identity: Identity, tmp_path: Path) -> None:
    """The key is compared with the wallet's as Portal states it, not with the share's own `pubkey`."""
    claim = bundles.pack(tmp_path, identity.recipient, [made])
    other = bundles.random_wallet(made.wallet.curve, "w").wallet.public_key
    wallet = made.wallet.model_copy(update={"public_key": other})
    refuse(identity, claim.model_copy(update={"wallets": (wallet,)}), tmp_path, made, "not the key of")


def test_a_claim_file_that_is_something_else_is_refused(tmp_path: Path) -> None:
    """The identity given as the claim by mistake is refused without being quoted."""
    path = tmp_path / "identity"
    keygen(path)
    with pytest.raises(DeviceError, match="not a claim's answer") as caught:
        load_claim(path)
    assert "AGE-SECRET-KEY" not in f"{caught.value!r} {caught.value.__context__!r}"


@pytest.mark.parametrize("lines", ["", "age1qqq", "AGE-SECRET-KEY-1QQQ", "twice"])
def test_an_identity_file_holds_one_identity(lines: str, tmp_path: Path) -> None:
    """An empty file, a recipient, a damaged identity, or two of them, are refused without being quoted."""
    path = tmp_path / "identity"
    keygen(path)
    text = path.read_text()
    assert Identity.load(path).recipient in text
    path.write_text(text * 2 if lines == "twice" else lines)
    with pytest.raises(DeviceError, match="exactly one") as caught:
        Identity.load(path)
    assert "AGE-SECRET-KEY" not in str(caught.value)
