"""Garbage on the command lines: one sentence, the right exit code, and nothing of the garbage's secrets."""

import io
import json
import resource
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

import starter
from contracts.wallets import Curve
from custody.keys import make_key
from device import cli
from device.identity import Identity
from docs.messages import UPDATES
from ejects.approvers import sign
from ejects.service import EjectError
from runtime import process
from tests.device import bundles
from tests.properties import keys, odd
from tests.properties.effort import examples, tried
from tests.properties.test_shares import deposit

Ran = tuple[int, str, str]
OPTION = st.sampled_from(["P1D", "x", "", "-1", "\udcff", "--", "-h", odd.PLANTED, "\x1b[31m", "a" * 5000])
WORD = OPTION | st.text(st.characters(exclude_characters="\x00"), max_size=20)


class _LeftError(Exception):
    """The process would have ended here."""


@pytest.fixture
def patched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Settings of somebody who starts ejects; both entries can be called in this process, and leave it be."""

    def leave(code: int) -> NoReturn:
        raise _LeftError(code)

    monkeypatch.setattr(process, "leave", leave)
    monkeypatch.setattr(process, "forbid_core_dumps", lambda: None)
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    monkeypatch.setattr("device.cli.sys.platform", "elsewhere")
    monkeypatch.setenv("EJECT_VAULT_URL", (tmp_path / "vault").as_uri())
    monkeypatch.setenv("EJECT_CLIENT_RECIPIENT", Identity.generate().recipient)
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    yield tmp_path


def called(entry: Any, *arguments: str) -> Ran:
    """Call an entry with these arguments: exit code, standard output, standard error."""
    tried["command lines"] += 1
    out, error = io.StringIO(), io.StringIO()
    before, sys.argv = sys.argv, ["entry", *arguments]
    try:
        with redirect_stdout(out), redirect_stderr(error):
            code = entry()
    except _LeftError as left:
        code = left.args[0]
    except SystemExit as left:
        code = left.code
    finally:
        sys.argv = before
    return code, out.getvalue(), error.getvalue()


def one_sentence(ran: Ran, hidden: list[str]) -> None:
    """Refused in a line, without a traceback, and without any secret."""
    code, out, error = ran
    assert code in (1, 2)
    assert out == ""
    assert error.endswith("\n")
    assert error[:-1].isprintable() or "\udcff" in error
    assert "at an unexpected" not in error
    assert [one for one in hidden if one in error] == []


@examples(30, 400)
@given(data=st.data())
def test_garbage_for_signing_shares_is_no_deposit(patched: Path, data: st.DataObject) -> None:
    """A file that is nearly a generate reply, or anything: deposited where it is one, else refused."""
    made, body = deposit()
    file = patched / "generate.json"
    file.write_bytes(data.draw(odd.json_bytes(body) | st.binary(max_size=80)))
    ran = called(starter.main, "deposit", "--client", "c", "--file", str(file))
    if ran[0] == 0:
        assert str(Curve.SECP256K1) in file.read_text() or str(Curve.ED25519) in file.read_text()
    else:
        one_sentence(ran, keys.hidden(made))


@examples(30, 400)
@given(data=st.data())
def test_garbage_for_an_api_key_is_no_deposit(patched: Path, data: st.DataObject) -> None:
    """One printable word, or a sentence."""
    file = patched / "key"
    file.write_bytes(data.draw(odd.garbled(b"sk_0123456789abcdef\n") | st.binary(max_size=80)))
    ran = called(starter.main, "deposit", "--api-key", "--client", "c", "--file", str(file))
    if ran[0] == 0:
        assert len(file.read_text().split()) == 1
    else:
        one_sentence(ran, ["0123456789abcdef", odd.PLANTED])


@examples(30, 400)
@given(data=st.data())
def test_garbage_for_proofs_is_refused(patched: Path, data: st.DataObject) -> None:
    """Refused before anybody connects; a right one would not find a server (3)."""
    file = patched / "proofs.json"
    body = UPDATES["prove"][0].model_dump(mode="json")
    file.write_bytes(data.draw(odd.json_bytes(body)).replace(b'"5f', b'"!f'))
    ran = called(starter.main, "prove", "--client", "c", "--file", str(file))
    one_sentence(ran, [odd.PLANTED, str(odd.NUMBER)])


@examples(40, 500)
@given(words=st.lists(WORD, min_size=5, max_size=5), at=st.integers(0, 3))
def test_odd_arguments_are_refused(patched: Path, words: list[str], at: int) -> None:
    """Whatever stands for a client, a recipient or a window: usage (2) or refused (1), in a sentence."""
    client, recipient, window, by, why = words
    started = ["start", f"--client={client}", f"--recipient={recipient}", f"--window={window}"]
    lines = (
        [*started, f"--requested-by={by}", f"--reason={why}"],
        ["claim", f"--client={client}/", f"--by={by}"],
        ["extend", "--client=c", f"--window={window}!", f"--by={by}", f"--why={why}"],
        ["approve", "--client=c", f"--digest={client}", f"--by={by}", f"--why={why}"],
    )
    code, out, error = called(starter.main, *lines[at])
    assert code in (1, 2)
    assert (out, error.count("\n")) == ("", 1)
    assert "at an unexpected" not in error


@examples(30, 400)
@given(data=st.data())
def test_garbage_for_an_approvers_key_signs_nothing(patched: Path, data: st.DataObject) -> None:
    """The key file, damaged: a sentence without it, or this very key."""
    tried["command lines"] += 1
    path = patched / "approver"
    path.unlink(missing_ok=True)
    make_key(path)
    right = path.read_bytes()
    path.write_bytes(data.draw(odd.garbled(right) | st.binary(max_size=80)))
    status: Any = type("Status", (), {"eject_id": "e", "client_id": "c"})
    try:
        assert len(sign(path, status, "0" * 64, "grace")) == 128
    except EjectError as error:
        assert right.splitlines()[1].decode()[20:40] not in odd.told(error)
        assert str(error).isprintable()


@examples(30, 400)
@given(data=st.data())
def test_garbage_for_the_device(patched: Path, data: st.DataObject) -> None:
    """Claim, identity and sealed files, one of them damaged: it signs what is right, or says why not."""
    made = tuple(keys.wallet(curve, curve.lower()) for curve in Curve)
    folder = patched / "bundle"
    identity = Identity.generate()
    (patched / "identity").unlink(missing_ok=True)
    identity.save(patched / "identity")
    claim = bundles.pack(folder, identity.recipient, made)
    (patched / "claim.json").write_text(claim.model_dump_json())
    files = [patched / "identity", patched / "claim.json", *sorted(folder.rglob("*.json"))]
    hidden = keys.hidden(made, (patched / "identity").read_text().splitlines()[-1][16:])
    one = data.draw(st.sampled_from(files))
    raw = one.read_bytes()
    near = odd.json_bytes(json.loads(raw)) if one.suffix else odd.garbled(raw)
    one.write_bytes(data.draw(near))
    arguments = ["--identity", str(files[0]), "--claim", str(files[1]), "--files", str(folder)]
    code, out, error = called(cli.main, "sign", *arguments)
    assert [piece for piece in hidden if piece in out + error] == []
    if code in (0, None):
        assert json.loads(out)["proofs"]
    else:
        one_sentence((code, out, error), hidden)
