"""Addresses: Portal's published sets, public vectors, and what is unchecked."""

import base64

import base58
import bech32
import pytest

from contracts.wallets import Curve
from device.addresses import DERIVED, eip155, p2wpkh, solana, stellar, tron
from device.check import check
from device.curves import public_key
from device.errors import DeviceError
from device.export import write_text
from tests.device import bundles, second

# PORTAL.md, "Published address sets": each set stems from one key pair.
EVM_TO_TRON = [
    ("0x0f3f5cea9784e254972d915695dbc9bc2a395faf", "TBMq3UK8JNvauSc7sPUp7fkoSzTN4PZhP2"),
    ("0xfb03795d3a61db4874bc247bfe1e9363c2384437", "TYrSmbGbsuVQB6HfraicoNK33JzAUcJZa9"),
]
SOLANA_TO_STELLAR = [
    (
        "BrGo1hFAL8MpudNQ6K4YWDaFB838uboUcCpm8C9uyC4R",
        "GCQTIL5333ASTDBXAJYDIAFRWXYGMR2KPGUNIDNSHOMBINTAMPZJFOKT",
    ),
    (
        "CDjKJBeidJ7KqR4uuQvfXSbeNUNBzZ69mSauXHKAUZqZ",
        "GCTLGX2EFNK2ICF6N27MALUNO6NNZBI3MD47MI5ULET34DPMIG6YQPPQ",
    ),
]
BITCOIN = "bc1qpl54na90wlmdxj5z4wtz7cpp6p32dc9th54w0m"


@pytest.mark.parametrize(("evm", "on_tron"), EVM_TO_TRON)
def test_published_evm_and_tron_addresses_are_one_account(evm: str, on_tron: str) -> None:
    """Portal's published EVM address becomes its published Tron address, and the other way round."""
    account = bytes.fromhex(evm.removeprefix("0x"))
    assert tron(account) == on_tron == second.tron_of(account)
    decoded = base58.b58decode_check(on_tron)
    assert decoded[:1] == b"\x41"
    assert eip155(decoded[1:]) == evm


@pytest.mark.parametrize(("on_solana", "on_stellar"), SOLANA_TO_STELLAR)
def test_published_solana_and_stellar_addresses_are_one_key(on_solana: str, on_stellar: str) -> None:
    """Portal's published Solana address becomes its published Stellar address, and the other way round."""
    key = base58.b58decode(on_solana)
    assert len(key) == 32
    assert stellar(key) == on_stellar == second.stellar_of(key)
    assert solana(base64.b32decode(on_stellar)[1:33]) == on_solana


def test_the_published_bitcoin_address_is_its_program() -> None:
    """Portal's published p2wpkh address is read as version 0 and 20 bytes, and written back the same."""
    version, program = bech32.decode("bc", BITCOIN)
    assert version == 0
    assert program is not None
    assert len(program) == 20
    assert p2wpkh(bytes(program), "bc") == BITCOIN == second.segwit("bc", bytes(program))
    testnet = p2wpkh(bytes(program), "tb")
    assert bech32.decode("tb", testnet) == (0, program)


def test_the_scalar_1_leads_to_the_world_s_addresses() -> None:
    """The generator's addresses stand in BIP 173 and in every EVM tool, so they anchor the hash functions."""
    key = public_key(Curve.SECP256K1, 1)
    found = {name: rule(key) for name, rule in DERIVED[Curve.SECP256K1].items()}
    assert found == {
        "eip155": "0x7e5f4552091a69125d5dfcb7b8c2659029395bdf",
        "tron": "TMVQGm1qAQYVdetCeGRRkTWYYrLXuHK2HC",
        "bip122.mainnet": "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
        "bip122.testnet": "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx",
    }
    assert public_key(Curve.ED25519, 1).hex() == "58" + "66" * 31


@pytest.mark.parametrize("curve", list(Curve))
def test_one_wrong_published_address_refuses_the_wallet(curve: Curve) -> None:
    """Each published address counts: another wallet's is refused, in any namespace or as the own one."""
    made, other = bundles.random_wallet(curve, "w"), bundles.random_wallet(curve, "w")
    text = write_text(curve, made.scalar)
    for name, address in other.wallet.addresses.items():
        addresses = {**made.wallet.addresses, name: address}
        with pytest.raises(DeviceError, match=rf"published {name} address") as caught:
            check(made.wallet.model_copy(update={"addresses": addresses}), text)
        assert bundles.leaked(caught.value, made.secrets()) == []
    with pytest.raises(DeviceError, match="published"):
        check(made.wallet.model_copy(update={"address": other.wallet.address}), text)


def test_the_case_of_an_evm_address_is_no_difference() -> None:
    """EIP-55 writes a checksum in the case of the letters: still the same account."""
    made = bundles.random_wallet(Curve.SECP256K1, "w")
    shouted = "0x" + made.wallet.address[2:].upper()
    addresses = {**made.wallet.addresses, "eip155": shouted}
    wallet = made.wallet.model_copy(update={"address": shouted, "addresses": addresses})
    assert check(wallet, write_text(wallet.curve, made.scalar))[0].published == shouted


def test_an_unknown_namespace_is_unchecked_not_right() -> None:
    """What the device cannot derive it does not call right; the wallet's own address is always checked."""
    made = bundles.random_wallet(Curve.ED25519, "w")
    wallet = made.wallet.model_copy(update={"addresses": {"cosmos": "cosmos1abc", "eip155": "0xabc"}})
    found = check(wallet, write_text(wallet.curve, made.scalar))
    assert [(one.namespace, one.rebuilt) for one in found] == [
        ("solana", wallet.address),
        ("cosmos", None),
        ("eip155", None),
    ]
