"""`python -m device` as a process of its own: exit codes, files and their modes, what is printed where."""

import os
import resource
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from contracts.names import Role
from contracts.owner import ClaimAnswer, Prove
from contracts.wallets import Curve
from device import cli
from device.identity import Identity
from tests.device import bundles, second
from tests.device.bundles import Made
from tests.device.test_proofs import proven

ROOT = Path(__file__).parents[2]


def device(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the device's command line."""
    command = [sys.executable, "-m", "device", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def mode(path: Path) -> int:
    """The permissions of a file."""
    return stat.S_IMODE(path.stat().st_mode)


@dataclass
class Owner:
    """An owner with a bundle of two wallets on disk."""

    folder: Path
    made: list[Made]
    claim: ClaimAnswer

    @property
    def files(self) -> Path:
        return self.folder / "released"

    @property
    def arguments(self) -> list[str | Path]:
        claim = self.folder / "claim.json"
        return ["--identity", self.folder / "identity", "--claim", claim, "--files", self.files]

    def leaked(self, *texts: str) -> list[str]:
        """Which secrets of the wallets stand in these texts."""
        hidden = [text for made in self.made for text in made.secrets()]
        return [secret for secret in [*hidden, "AGE-SECRET-KEY"] if secret in "".join(texts)]


@pytest.fixture
def owner(tmp_path: Path) -> Owner:
    """An owner whose identity the device made, with a wallet of each curve."""
    done = device("keygen", "--out", tmp_path / "identity")
    assert done.returncode == 0, done.stderr
    recipient = Identity.load(tmp_path / "identity").recipient
    made = [bundles.random_wallet(curve, curve.lower()) for curve in Curve]
    claim = bundles.pack(tmp_path / "released", recipient, made)
    (tmp_path / "claim.json").write_text(claim.model_dump_json(), encoding="utf-8")
    return Owner(folder=tmp_path, made=made, claim=claim)


def test_keygen_keeps_one_identity(tmp_path: Path) -> None:
    """The identity is the owner's alone, is told by recipient and fingerprint, and is never overwritten."""
    path = tmp_path / "identity"
    first = device("keygen", "--out", path)
    content = path.read_text()
    identity = Identity.load(path)
    assert (first.returncode, mode(path)) == (0, 0o600)
    assert first.stdout == f"recipient: {identity.recipient}\nfingerprint: {identity.fingerprint}\n"
    assert "AGE-SECRET-KEY" not in first.stdout + first.stderr

    second_try = device("keygen", "--out", path)
    assert second_try.returncode == 1
    assert second_try.stderr == f"{path} exists already and was left as it is: choose another name.\n"
    assert path.read_text() == content


def test_open_keeps_keys_only_when_asked(owner: Owner) -> None:
    """Without --out and --show the keys are checked and neither written nor printed."""
    before = sorted(owner.folder.rglob("*"))
    done = device("open", *owner.arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert owner.leaked(done.stdout) == []
    assert sorted(owner.folder.rglob("*")) == before
    for made in owner.made:
        for name, address in made.wallet.addresses.items():
            assert f"{name}: rebuilt {address} | Portal's {address} | right" in done.stdout
    assert "NOT an RFC 8032 seed" in done.stdout
    assert "sweep the funds to a fresh key" in done.stdout


def test_open_writes_keys_for_the_owner_alone(owner: Owner) -> None:
    """--out writes each key to a new file, 0600 in a directory of 0700, and never over another file."""
    out = owner.folder / "keys"
    done = device("open", *owner.arguments, "--out", out)
    assert (done.returncode, done.stderr, mode(out)) == (0, "", 0o700)
    assert owner.leaked(done.stdout) == []
    written = sorted(out.iterdir())
    assert [path.name for path in written] == [
        "wallet-ed25519.ed25519-scalar.txt",
        "wallet-secp256k1.secp256k1-hex.txt",
    ]
    for made, path in zip(reversed(owner.made), written, strict=True):
        assert mode(path) == 0o600
        assert second.scalar_of(made.wallet.curve, path.read_text().rstrip("\n")) == made.scalar

    written[0].write_text("mine")
    written[1].unlink()
    again = device("open", *owner.arguments, "--out", out)
    assert (again.returncode, again.stdout) == (1, "")
    assert "exists already" in again.stderr
    assert [path.read_text() for path in out.iterdir()] == ["mine"]


def test_open_writes_nothing_where_others_can_look(owner: Owner) -> None:
    """A directory that others can open, or a link, is refused with what to do about it."""
    shared, link = owner.folder / "shared", owner.folder / "link"
    shared.mkdir()
    shared.chmod(0o755)
    link.symlink_to(shared)
    for out, words in ((shared, "chmod 700"), (link, "not a directory"), (owner.folder / "a/b", "No such")):
        done = device("open", *owner.arguments, "--out", out)
        assert (done.returncode, done.stdout) == (1, "")
        assert words in done.stderr
    assert list(shared.iterdir()) == []


def test_open_shows_keys_when_asked(owner: Owner) -> None:
    """--show prints the keys to the terminal."""
    done = device("open", *owner.arguments, "--show")
    assert (done.returncode, done.stderr) == (0, "")
    keys = [line.removeprefix("  key: ") for line in done.stdout.splitlines() if line.startswith("  key: ")]
    found = [second.scalar_of(made.wallet.curve, key) for made, key in zip(owner.made, keys, strict=True)]
    assert found == [made.scalar for made in owner.made]


def test_sign_prints_the_proofs_and_nothing_else(owner: Owner) -> None:
    """Standard output is the JSON for `starter.py prove`, people read stderr, and no key is in either."""
    done = device("sign", *owner.arguments)
    assert done.returncode == 0, done.stderr
    assert proven(owner.claim, owner.files, Prove.model_validate_json(done.stdout))
    assert "checked before it signed" in done.stderr
    assert owner.leaked(done.stdout, done.stderr) == []


@pytest.mark.parametrize("command", ["open", "sign"])
def test_a_wrong_bundle_is_one_sentence_and_exit_1(command: str, owner: Owner) -> None:
    """Whatever is wrong, the process says one line on stderr, prints nothing else, and ends with 1."""
    wallet = owner.made[1].wallet.id
    bundles.path_of(owner.files, Role.CLIENT, wallet).unlink()
    done = device(command, *owner.arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"The client half of wallet {wallet} cannot be read")
    assert done.stderr.count("\n") == 1


def test_wrong_usage_is_exit_2(tmp_path: Path) -> None:
    """A missing or unknown argument ends with 2, and names itself."""
    done = device("open", "--identity", tmp_path / "identity")
    assert done.returncode == 2
    assert "--claim" in done.stderr
    assert device("explode").returncode == 2


def test_an_unexpected_error_shows_its_kind_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A fault of the device's own is told by the name of its type: its text could hold a key."""

    def fault(*_: object) -> None:
        raise KeyError("a share")

    limits = resource.getrlimit(resource.RLIMIT_CORE)
    set_to: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: set_to.append(pair))
    monkeypatch.setattr(cli, "app", fault)
    assert cli.main() == 1
    shown = capsys.readouterr()
    assert shown.err == "The device stopped at an unexpected KeyError, a fault of its own: report it.\n"
    assert shown.out == ""
    assert set_to == [(0, 0)]
    assert resource.getrlimit(resource.RLIMIT_CORE) == limits


def test_the_umask_does_not_matter(tmp_path: Path) -> None:
    """A new file is 0600 from its first moment, whatever the umask."""
    before = os.umask(0)
    try:
        done = device("keygen", "--out", tmp_path / "identity")
    finally:
        os.umask(before)
    assert (done.returncode, mode(tmp_path / "identity")) == (0, 0o600)
