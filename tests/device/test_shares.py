"""Share texts: what is read from them, and what is refused with a sentence that holds none of it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from contracts.names import Role
from contracts.sealing import Half
from device.errors import DeviceError
from device.identity import Identity
from device.opening import open_bundle
from device.shares import client_half, custodian_half
from tests.device import bundles, second
from tests.device.bundles import Made, refuse

WALLET = "wallet-w"


def field(half: str, name: str, value: object) -> Callable[[Made], None]:
    """Set one field of a share."""

    def change(made: Made) -> None:
        getattr(made, half)[name] = value

    return change


def place(name: str, value: object) -> Callable[[Made], None]:
    """Set one field of the client share's `bks.server`."""

    def change(made: Made) -> None:
        made.client["bks"]["server"][name] = value  # type: ignore[index]

    return change


def same_place(made: Made) -> None:
    """Put the custodian's point where the client's is."""
    made.client["bks"]["server"]["X"] = made.custodian["clientBk"]  # type: ignore[index]


def another_pair(made: Made) -> None:
    """Let both shares agree on a pair that was not claimed."""
    made.client["backupSharePairId"] = made.custodian["backupSharePairId"] = "pair-x"


HUGE = str(2**256)
BROKEN = {
    "client pair": (field("client", "backupSharePairId", "pair-x"), "backup share pair"),
    "custodian pair": (field("custodian", "backupSharePairId", "pair-x"), "backup share pair"),
    "pair of both": (another_pair, "backup share pair that was claimed"),
    "session": (field("custodian", "ssid", "1"), "ssid differs"),
    "no session": (field("client", "ssid", None), "ssid is missing"),
    "no share": (field("client", "share", None), "not a decimal number"),
    "number, not text": (field("client", "share", 12), "not a decimal number"),
    "sign": (field("custodian", "share", "-5"), "not a decimal number"),
    "fraction": (field("custodian", "share", "1.5"), "not a decimal number"),
    "hex": (field("custodian", "share", "0xabcdef"), "not a decimal number"),
    "other digits": (field("custodian", "share", "١٢٣"), "not a decimal number"),
    "very long": (field("custodian", "share", "9" * 5000), "not a decimal number"),
    "over the order": (field("custodian", "share", HUGE), "outside the curve's order"),
    "zero share": (field("custodian", "share", "0"), "is zero or outside"),
    "client at zero": (field("custodian", "clientBk", "0"), "is zero or outside"),
    "client over the order": (field("custodian", "clientBk", HUGE), "outside the curve's order"),
    "custodian at zero": (place("X", "0"), "is zero or outside"),
    "custodian over the order": (place("X", HUGE), "outside the curve's order"),
    "two places": (place("x", "7"), "twice"),
    "rank": (place("Rank", "1"), "rank is not 0"),
    "no places": (field("client", "bks", None), "bks is missing"),
    "same place": (same_place, "same place"),
    "another share": (field("custodian", "share", "12345"), "not the key of this wallet"),
    "another x": (field("custodian", "clientBk", "12345"), "not the key of this wallet"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_share_is_refused(name: str, made: Made, identity: Identity, tmp_path: Path) -> None:
    """A share that is damaged, of another pair, or a lie, is refused by name."""
    change, words = BROKEN[name]
    change(made)
    claim = bundles.pack(tmp_path, identity.recipient, [made])
    refuse(identity, claim, tmp_path, made, f"Wallet {WALLET}: .*{words}")


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("extra", ["", "x", "xx"])
def test_padding_is_tolerated(
    padded: bool, extra: str, made: Made, identity: Identity, tmp_path: Path
) -> None:
    """A client share opens with the padding of base64 and without it, whatever its length."""
    made.padded, made.client["extra"] = padded, extra
    claim = bundles.pack(tmp_path, identity.recipient, [made])
    assert second.scalar_of(made.wallet.curve, open_bundle(identity, claim, tmp_path)[0].text) == made.scalar


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("share", ["", "no share", "[]", "bm8gc2hhcmU", "W10", "null", "[" * 100_000])
def test_what_is_no_share_is_refused(
    role: Role, share: str, made: Made, identity: Identity, tmp_path: Path
) -> None:
    """Text that is neither base64 nor JSON, or JSON that is no object, is refused."""

    def change(half: Half) -> Half:
        return half.model_copy(update={"share": share}) if half.role is role else half

    claim = bundles.pack(tmp_path, identity.recipient, [made], change=change)
    refuse(identity, claim, tmp_path, made, f"the {role} share is not")


def test_a_half_cut_off_is_refused_without_its_text(made: Made, identity: Identity, tmp_path: Path) -> None:
    """A JSON share cut in the middle would be quoted by Python's own error, and is not by the device's."""

    def cut(half: Half) -> Half:
        return half.model_copy(update={"share": half.share[:-9]})

    claim = bundles.pack(tmp_path, identity.recipient, [made], change=cut)
    beginning = [made.share(role)[:60] for role in Role]
    with pytest.raises(DeviceError, match="share is not") as caught:
        open_bundle(identity, claim, tmp_path)
    assert bundles.leaked(caught.value, [*made.secrets(), *beginning]) == []


def test_nothing_that_holds_a_key_shows_it(made: Made, identity: Identity, tmp_path: Path) -> None:
    """The repr of an identity, a half and an opened wallet shows no secret."""
    claim = bundles.pack(tmp_path, identity.recipient, [made])
    wallet = open_bundle(identity, claim, tmp_path)[0]
    order = second.ORDER[made.wallet.curve]
    halves = (
        client_half(made.share(Role.CLIENT), order=order),
        custodian_half(made.share(Role.CUSTODIAN), order=order),
    )
    shown = f"{wallet!r} {wallet} {identity!r} {identity} {halves!r}"
    assert wallet.text in made.secrets()
    assert [text for text in [*made.secrets(), "AGE-SECRET-KEY"] if text in shown] == []
