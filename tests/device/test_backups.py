"""The owner's existing backup on the device: every form is read, and nothing in it replaces a check."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from contracts.names import Role
from contracts.owner import ClaimAnswer
from contracts.request import Backup
from contracts.sealing import Half, bundle_digest, reference
from device.backups import OwnersBackup
from device.errors import DeviceError
from device.identity import Identity
from device.opening import open_bundle
from tests.device import bundles
from tests.device.bundles import Made, leaked

FORMS: dict[str, Callable[[Made], object]] = {
    "the enclave's text": lambda made: made.share(Role.CLIENT),
    "a share as JSON": lambda made: made.client,
    "a share and its id": lambda made: {"share": made.share(Role.CLIENT), "id": made.pair},
    "both curves, as the enclave": lambda made: {made.wallet.curve: {"share": made.share(Role.CLIENT)}},
    "both curves, as the SDKs": lambda made: {made.wallet.curve: {"share": json.dumps(made.client)}},
    "both curves, in small letters": lambda made: {
        made.wallet.curve.lower(): {"share": made.share(Role.CLIENT)}
    },
    "both curves, bare": lambda made: {made.wallet.curve: made.client},
    "both curves, bare, beside an id": lambda made: {made.wallet.curve: {"share": made.client}},
}


def without_client_files(claim: ClaimAnswer, directory: Path) -> ClaimAnswer:
    """The claim of an existing backup of which Portal keeps nothing."""
    files = tuple(file for file in claim.files if file.role is Role.CUSTODIAN)
    kept = [reference(Role.CUSTODIAN, bundles.read(directory, Role.CUSTODIAN, file.wallet)) for file in files]
    changes = {"backup": Backup.EXISTING, "files": files, "bundle": bundle_digest(kept)}
    return claim.model_copy(update=changes)


def text_of(form: object) -> str:
    """What stands in the file that the owner names."""
    return form if isinstance(form, str) else json.dumps(form)


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_a_decrypted_backup_is_read(
    form: str, made: Made, identity: Identity, tmp_path: Path
) -> None:
    """The key is rebuilt from it, after a file that is no backup."""
    claim = without_client_files(bundles.pack(tmp_path, identity.recipient, [made]), tmp_path)
    backup = OwnersBackup(plain=("{}", text_of(FORMS[form](made))))
    (opened,) = open_bundle(identity, claim, tmp_path, backup)
    assert opened.wallet == made.wallet
    assert set(opened.opened) == {Role.CUSTODIAN}


def refused(identity: Identity, claim: ClaimAnswer, files: Path, backup: OwnersBackup, made: Made) -> str:
    """What the device says instead of opening; none of the shares."""
    with pytest.raises(DeviceError) as caught:
        open_bundle(identity, claim, files, backup)
    assert leaked(caught.value, made.secrets()) == []
    return str(caught.value)


def test_a_claim_that_says_existing_opens_nothing_without_the_owners_half(
    made: Made, identity: Identity, tmp_path: Path
) -> None:
    """Neither where the file is left out, nor where what it holds is called encrypted."""
    claim = without_client_files(bundles.pack(tmp_path, identity.recipient, [made]), tmp_path)
    assert "the owner's own backup" in refused(identity, claim, tmp_path, OwnersBackup(), made)
    for kind in Backup:
        claim = bundles.pack(tmp_path, identity.recipient, [made], change=called_encrypted)
        claim = claim.model_copy(update={"backup": kind})
        assert "the owner's own backup" in refused(identity, claim, tmp_path, OwnersBackup(), made)


def called_encrypted(half: Half) -> Half:
    """A half that says of itself that only the owner's own means open it."""
    return half.model_copy(update={"encrypted": True})


@pytest.mark.parametrize("form", ["the enclave's text", "both curves, as the SDKs"])
def test_a_backup_of_another_key_under_the_same_pair_is_refused(
    form: str, made: Made, identity: Identity, tmp_path: Path
) -> None:
    """The rebuilt key must be the wallet's, whosever backup it was rebuilt from."""
    other = bundles.random_wallet(made.wallet.curve, "w")
    other.client["ssid"] = made.client["ssid"]
    claim = without_client_files(bundles.pack(tmp_path, identity.recipient, [made]), tmp_path)
    backup = OwnersBackup(plain=(text_of(FORMS[form](other)),))
    assert "not the key of this wallet" in refused(identity, claim, tmp_path, backup, other)


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "[]",
        "[" * 100_000,
        '{"share": null}',
        '{"share": 1e999}',
        "{" + '"a":{' * 9_999,
        "9" * 5_000,
        "\0",
    ],
    ids=["nothing", "list", "deep", "null", "number", "cut", "digits", "zero"],
)
def test_a_file_that_is_no_backup_is_only_that(
    wrong: str, made: Made, identity: Identity, tmp_path: Path
) -> None:
    """The device says which backup it needs."""
    claim = without_client_files(bundles.pack(tmp_path, identity.recipient, [made]), tmp_path)
    backup = OwnersBackup(plain=(wrong,))
    assert f"of pair {made.pair} is needed" in refused(identity, claim, tmp_path, backup, made)
