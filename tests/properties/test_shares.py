"""Shares, on both sides: what is wrong in one ends in a known error, or does no harm; never another key."""

import base64
import json
from collections.abc import Callable
from functools import cache
from typing import Any

import pyrage
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from activities.back_up import read_backup, references
from contracts.base import canonical
from contracts.failures import Failure, StepError
from contracts.names import Role
from contracts.sealing import SealedBackup, SealedFile
from contracts.wallets import Curve
from custody.sealing import is_recipient, open_deposit, recipients_of, seal_deposit
from custody.shares import check_client_share, check_custodian_share, check_deposit
from device.check import check
from device.errors import DeviceError
from device.export import write_text
from device.rebuild import rebuild
from tests.device.bundles import Made
from tests.properties import keys, odd
from tests.properties.effort import examples, tried

CURVES = pytest.mark.parametrize("curve", Curve)


@cache
def hidden(curve: Curve) -> list[str]:
    """What no error about this curve's wallet may show."""
    return keys.hidden([keys.wallet(curve)])


@cache
def changed(curve: Curve, role: Role) -> st.SearchStrategy[str]:
    """The texts of a share with one thing wrong in its object, its JSON or its encoding; or no harm."""
    own = keys.wallet(curve)
    right = keys.objects(own)[role]
    texts = odd.one_thing_wrong(right, keys.values(curve)).map(odd.written) | odd.garbled(odd.written(right))
    if role is Role.CUSTODIAN:
        return texts.map(lambda data: data.decode(errors="surrogateescape"))
    packed = texts.map(lambda data: base64.b64encode(data).decode())
    bare = packed.map(lambda text: text.rstrip("="))
    broken = odd.garbled(own.share(role).encode()).map(lambda data: data.decode(errors="replace"))
    return packed | bare | bare | broken | odd.near(own.share(role))


def shares(curve: Curve) -> st.SearchStrategy[dict[Role, str]]:
    """Both shares of a wallet, one or both of them changed."""
    own = keys.wallet(curve)
    right = {role: own.share(role) for role in Role}
    kept = {role: st.just(text) for role, text in right.items()}
    both = {role: changed(curve, role) for role in Role}
    return st.one_of(
        *(st.fixed_dictionaries(kept | {role: both[role]}) for role in Role)
    ) | st.fixed_dictionaries(both)


def quiet(error: BaseException, curve: Curve, look: Callable[[BaseException], str] = odd.told) -> None:
    """Nothing of the shares or the key shows in an error of ours, which is one line."""
    said = look(error)
    assert [one for one in hidden(curve) if one in said] == []
    assert str(error).isprintable()


@CURVES
@examples(60, 20_000)
@given(data=st.data())
def test_the_device_rebuilds_the_right_key_or_none(curve: Curve, data: st.DataObject) -> None:
    """Whatever is wrong in either share: a sentence of the device's, or this very wallet's key."""
    tried["shares"] += 1
    own, texts = keys.wallet(curve), data.draw(shares(curve))
    try:
        scalar = rebuild(curve, pair=own.pair, client=texts[Role.CLIENT], custodian=texts[Role.CUSTODIAN])
        text = write_text(curve, scalar)
        check(own.wallet, text)
    except DeviceError as error:
        quiet(error, curve, odd.shown)
    else:
        assert scalar == own.scalar


def refused(curve: Curve, share: Any) -> Failure | None:
    """As what the worker refuses a share; nothing else may come of it."""
    try:
        share()
    except StepError as error:
        quiet(error, curve)
        return error.failure
    return None


@CURVES
@examples(40, 12_000)
@given(data=st.data())
def test_the_worker_reads_a_share_or_says_so(curve: Curve, data: st.DataObject) -> None:
    """The check of each half before it is sealed: passed, unreadable, or of something else."""
    tried["shares"] += 1
    own, texts = keys.wallet(curve), data.draw(shares(curve))
    client, custodian = (SecretStr(texts[role]) for role in (Role.CLIENT, Role.CUSTODIAN))
    known = {None, Failure.SHARE_UNREADABLE, Failure.PAIR_MISMATCH}
    assert refused(curve, lambda: check_client_share(client, own.pair, own.wallet)) in known
    found = refused(curve, lambda: check_custodian_share(custodian, own.pair, own.wallet.id))
    assert found in known
    if found is None:
        # What passes here and is refused on the device would be noticed after the window was opened.
        parsed = json.loads(texts[Role.CUSTODIAN])
        assert all(parsed[name].isascii() and parsed[name].isdigit() for name in ("share", "clientBk"))


@cache
def deposit() -> tuple[tuple[Made, ...], dict[str, Any]]:
    """A client's wallets and the body of its generate reply."""
    own = tuple(keys.wallet(curve) for curve in Curve)
    return own, {str(one.wallet.curve): {"id": one.pair, "share": one.share(Role.CLIENT)} for one in own}


@examples(60, 10_000)
@given(data=st.data())
def test_a_deposit_is_of_these_wallets_or_refused(data: st.DataObject) -> None:
    """The body of a generate reply with one thing wrong in it, or in a share in it."""
    tried["shares"] += 1
    own, body = deposit()
    curve = data.draw(st.sampled_from(Curve))
    inside = body | {str(curve): {"id": "p", "share": data.draw(changed(curve, Role.CLIENT))}}
    raw = data.draw(odd.json_bytes(body) | st.just(odd.written(inside)))
    secret = SecretStr(raw.decode(errors="surrogateescape"))
    wallets = tuple(one.wallet for one in own)
    for one in (None, wallets, wallets[:1]):
        failure = refused(curve, lambda one=one: check_deposit(secret, one))
        assert failure in (None, Failure.DEPOSIT_UNREADABLE)
    if failure is None:
        assert str(wallets[0].curve) in json.loads(secret.get_secret_value())


@cache
def sealed() -> tuple[SecretStr, bytes, bytes]:
    """The client role's identity, and a deposit sealed to it, armoured and not."""
    identity = pyrage.x25519.Identity.generate()
    text = json.dumps(deposit()[1])
    armoured = seal_deposit(SecretStr(text), str(identity.to_public()))
    return SecretStr(str(identity)), armoured, bytes(pyrage.encrypt(text.encode(), [identity.to_public()]))


@examples(50, 6000)
@given(data=st.data())
def test_a_sealed_deposit_opens_whole_or_not_at_all(data: st.DataObject) -> None:
    """Cut, changed or something else: what age opens is what was sealed, to the letter."""
    tried["bundles"] += 1
    identity, armoured, binary = sealed()
    damaged = data.draw(odd.garbled(armoured) | odd.garbled(binary))
    try:
        found = open_deposit(damaged, identity)
    except StepError as error:
        quiet(error, Curve.ED25519)
        assert identity.get_secret_value() not in odd.told(error)
        assert error.failure is Failure.DEPOSIT_UNREADABLE
    else:
        assert json.loads(found.get_secret_value()) == deposit()[1]


@examples(40, 2000)
@given(data=st.data())
def test_an_identity_is_one_or_refused_unseen(data: st.DataObject) -> None:
    """A role's identity as a setting, and a recipient as somebody typed it."""
    tried["bundles"] += 1
    identity = sealed()[0].get_secret_value()
    text = data.draw(odd.near(identity) | st.text(max_size=80) | odd.near(f"# made today\n{identity}\n"))
    (recipient,) = recipients_of(SecretStr(identity))
    try:
        assert set(recipients_of(SecretStr(text))) == {recipient}
    except ValueError as error:
        # Its chained errors too: a setting's error is told with its cause.
        assert identity[20:40] not in odd.shown(error)
    typed = data.draw(odd.near(recipient))
    assert is_recipient(typed) is (typed.strip() == recipient) or not is_recipient(typed)


@examples(30, 4000)
@given(data=st.data())
def test_a_backup_file_is_read_whole_or_not_at_all(data: st.DataObject) -> None:
    """The file that lies in the vault between two steps, damaged."""
    tried["bundles"] += 1
    age = sealed()[1].decode()
    files = tuple(
        SealedFile(wallet=one.wallet.id, pair=one.pair, commitment="0" * 64, age=age) for one in deposit()[0]
    )
    body = json.loads(canonical(SealedBackup(files=files)))
    try:
        read = references(data.draw(odd.json_bytes(body)))
    except StepError as error:
        quiet(error, Curve.SECP256K1)
        assert age[60:120] not in odd.told(error)
        assert error.failure is Failure.HELD_MISSING
    else:
        assert all(one.role is Role.CLIENT for one in read)
    assert read_backup(canonical(SealedBackup(files=files))).files == files


@CURVES
def test_the_shares_that_are_changed_are_right_before(curve: Curve) -> None:
    """Unchanged, they pass every check and rebuild the key: what is refused is refused for its change."""
    own = keys.wallet(curve)
    texts = {role: own.share(role) for role in Role}
    check_client_share(SecretStr(texts[Role.CLIENT]), own.pair, own.wallet)
    check_custodian_share(SecretStr(texts[Role.CUSTODIAN]), own.pair, own.wallet.id)
    check_deposit(SecretStr(json.dumps(deposit()[1])), tuple(one.wallet for one in deposit()[0]))
    scalar = rebuild(curve, pair=own.pair, client=texts[Role.CLIENT], custodian=texts[Role.CUSTODIAN])
    assert scalar == own.scalar
    # And the search for secrets finds one.
    with pytest.raises(AssertionError):
        quiet(DeviceError(f"{own.client['share']}"), curve)
