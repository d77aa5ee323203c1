"""Keys: split, sealed, opened, rebuilt, exported, and read back by a second library."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.bindings import crypto_scalarmult_ed25519_base_noclamp
from nacl.signing import SigningKey

from contracts.wallets import Curve
from device import opening
from device.check import check
from device.curves import stated_key
from device.errors import DeviceError
from device.export import read_text, write_text
from device.identity import Identity
from device.opening import open_bundle
from device.rebuild import at_zero
from tests.device import bundles, second

RANDOM = 1000
EDGES = {"one": 1, "below-2-248": 2**248 - 1, "at-2-248": 2**248}
steady = settings(derandomize=True, deadline=None)


@pytest.mark.parametrize("curve", list(Curve))
def test_every_key_survives_split_seal_open_and_export(curve: Curve, tmp_path: Path) -> None:
    """1,000 random wallets and the edge scalars: a second library reads each export as the wallet's key."""
    identity = Identity.generate()
    made = [bundles.random_wallet(curve, str(number)) for number in range(RANDOM)]
    edges = {**EDGES, "order-less-1": second.ORDER[curve] - 1}
    made += [bundles.make(curve, scalar, name, upper=False) for name, scalar in edges.items()]
    claim = bundles.pack(tmp_path, identity.recipient, made)

    wallets = open_bundle(identity, claim, tmp_path)

    assert len(wallets) == RANDOM + 4
    for one, wallet in zip(made, wallets, strict=True):
        scalar = second.scalar_of(curve, wallet.text)
        assert scalar == one.scalar
        key = second.public_key(curve, scalar)
        assert key == one.wallet.public_key
        assert second.addresses(curve, key) == one.wallet.addresses
        if curve is Curve.ED25519:  # and once more as a wallet built on libsodium would read it
            raw = crypto_scalarmult_ed25519_base_noclamp(second.unbase58(wallet.text))
            assert second.base58(raw) == one.wallet.address
        assert {a.namespace: a.rebuilt for a in wallet.addresses} == one.wallet.addresses


@pytest.mark.parametrize("scalar", [1, 2**240 + 12345, 2**248 - 1])
def test_the_known_export_defect_is_refused(
    scalar: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scalar below 2^248 is exported whole, and the shifted text of other libraries opens nothing here."""

    def shifted(_: Curve, number: int) -> str:
        return second.base58(b"\0" + number.to_bytes(32, "little")[:31])

    def shortened(_: Curve, number: int) -> str:
        return second.base58(number.to_bytes(31, "little"))

    identity = Identity.generate()
    made = bundles.make(Curve.ED25519, scalar, "low")
    claim = bundles.pack(tmp_path, identity.recipient, [made])
    assert second.scalar_of(Curve.ED25519, open_bundle(identity, claim, tmp_path)[0].text) == scalar
    for wrong in (shifted, shortened):
        monkeypatch.setattr(opening, "write_text", wrong)
        with pytest.raises(DeviceError, match="nothing was exported"):
            open_bundle(identity, claim, tmp_path)


def test_the_text_is_checked_not_the_number() -> None:
    """A right key in a wrong form is refused: what is checked is the text that would leave the device."""
    made = bundles.random_wallet(Curve.SECP256K1, "w")
    text = write_text(Curve.SECP256K1, made.scalar)
    assert check(made.wallet, text)
    for wrong in (text[2:], "00" + text, f"0x{text}", text[::-1], text + "\n", "", "f" * 64, "0" * 64):
        with pytest.raises(DeviceError) as caught:
            check(made.wallet, wrong)
        assert bundles.leaked(caught.value, made.secrets()) == []


def test_an_ed25519_export_is_a_scalar_not_a_seed() -> None:
    """Read as an RFC 8032 seed, the same 32 bytes open another account, which is why the device says so."""
    made = bundles.random_wallet(Curve.ED25519, "w")
    raw = second.unbase58(write_text(Curve.ED25519, made.scalar))
    assert second.base58(bytes(SigningKey(raw).verify_key)) != made.wallet.address


@pytest.mark.parametrize("curve", list(Curve))
def test_coordinates_off_the_curve_are_refused(curve: Curve) -> None:
    """A public key whose x is not the one that belongs to its y is refused, of whatever parity."""
    key = second.public_key(curve, 7)
    for x in (int(key.x) + 2, int(key.x) + 1, 10**77):
        with pytest.raises(DeviceError, match="not a point of its curve"):
            stated_key(curve, key.model_copy(update={"x": str(x)}))


@given(st.sampled_from(Curve), st.data())
@steady
def test_an_export_text_says_its_scalar(curve: Curve, data: st.DataObject) -> None:
    """Whatever the scalar, its text read back is the scalar, and always stands for 32 bytes."""
    scalar = data.draw(st.integers(1, second.ORDER[curve] - 1))
    text = write_text(curve, scalar)
    assert read_text(curve, text) == scalar == second.scalar_of(curve, text)


@given(st.sampled_from(Curve), st.data())
@steady
def test_two_points_of_a_line_meet_zero_at_the_secret(curve: Curve, data: st.DataObject) -> None:
    """Any two different places other than 0 give the secret back, in either order of the points."""
    order = second.ORDER[curve]
    number = st.integers(0, order - 1)
    secret, slope = data.draw(number), data.draw(number)
    x1, x2 = data.draw(st.lists(st.integers(1, order - 1), min_size=2, max_size=2, unique=True))
    points = [(x, (secret + slope * x) % order) for x in (x1, x2)]
    assert at_zero(points[0], points[1], order=order) == secret
    assert at_zero(points[1], points[0], order=order) == secret
    for x in (0, order, x1, x1 + order):
        with pytest.raises(DeviceError):
            at_zero(points[0], (x, 5), order=order)
