"""Keys, signatures and addresses."""

import json

import base58
import coincurve
import pytest
from Crypto.Hash import keccak
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from sandbox import addresses
from sandbox.keys import CURVES, ED25519, SECP256K1
from tests.sandbox.curves import ORDERS, multiply
from tests.sandbox.harness import Box


@pytest.mark.parametrize(
    ("evm", "tron"),
    [
        ("0x0f3f5cea9784e254972d915695dbc9bc2a395faf", "TBMq3UK8JNvauSc7sPUp7fkoSzTN4PZhP2"),
        ("0xfb03795d3a61db4874bc247bfe1e9363c2384437", "TYrSmbGbsuVQB6HfraicoNK33JzAUcJZa9"),
    ],
)
def test_published_evm_addresses_lead_to_tron(evm: str, tron: str) -> None:
    """Portal's published EVM addresses convert into the published Tron ones."""
    account = bytes.fromhex(evm[2:])
    assert (addresses.eip155(account), addresses.tron(account)) == (evm, tron)


@pytest.mark.parametrize(
    ("solana", "stellar"),
    [
        (
            "BrGo1hFAL8MpudNQ6K4YWDaFB838uboUcCpm8C9uyC4R",
            "GCQTIL5333ASTDBXAJYDIAFRWXYGMR2KPGUNIDNSHOMBINTAMPZJFOKT",
        ),
        (
            "CDjKJBeidJ7KqR4uuQvfXSbeNUNBzZ69mSauXHKAUZqZ",
            "GCTLGX2EFNK2ICF6N27MALUNO6NNZBI3MD47MI5ULET34DPMIG6YQPPQ",
        ),
    ],
)
def test_published_solana_addresses_lead_to_stellar(solana: str, stellar: str) -> None:
    """Portal's published Solana addresses convert into the published Stellar ones."""
    key = base58.b58decode(solana)
    assert (addresses.solana(key), addresses.stellar(key)) == (solana, stellar)


def test_the_key_one_has_its_well_known_addresses() -> None:
    """The base point of SECP256K1 gives the addresses that BIP 173 and Ethereum's tools give for it."""
    spaces = addresses.namespaces(SECP256K1, SECP256K1.point(1))
    assert spaces["eip155"]["address"] == "0x7e5f4552091a69125d5dfcb7b8c2659029395bdf"
    assert spaces["bip122"] == {
        "address": "",
        "curve": "SECP256K1",
        "bitcoin": {
            "p2wpkh": {
                "mainnet": "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
                "testnet": "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx",
            }
        },
    }


@pytest.mark.parametrize("name", sorted(ORDERS))
def test_points_agree_with_the_textbook(name: str) -> None:
    """Small, large and random scalars give the coordinates that double-and-add gives."""
    curve = CURVES[name]
    assert curve.order == ORDERS[name]
    for scalar in (1, 2, 3, 2**248 - 1, curve.order - 1, *(curve.scalar() for _ in range(20))):
        point = curve.point(scalar)
        assert (point.x, point.y) == multiply(name, scalar)


async def test_a_client_shows_addresses_of_its_real_keys(box: Box) -> None:
    """The namespaces of read client are those of the wallets' public keys."""
    owner = await box.seed()
    spaces = (await box.read(owner.client_id))["metadata"]["namespaces"]
    assert set(spaces) == {"eip155", "tron", "bip122", "solana", "stellar"}
    evm = json.loads((await box.wallet(owner))["publicKey"])
    key = b"".join(int(evm[axis]).to_bytes(32, "big") for axis in "xy")
    assert spaces["eip155"]["address"] == "0x" + keccak.new(digest_bits=256, data=key).digest()[-20:].hex()
    solana = json.loads((await box.wallet(owner, "ED25519"))["publicKey"])
    encoded = (int(solana["y"]) | (int(solana["x"]) & 1) << 255).to_bytes(32, "little")
    assert spaces["solana"]["address"] == base58.b58encode(encoded).decode()


async def test_mpc_signs_as_an_evm_wallet_does(box: Box) -> None:
    """The SECP256K1 signature is an EIP-191 `personal_sign` whose recovered address is the client's."""
    owner = await box.seed()
    message = "caf\N{LATIN SMALL LETTER E WITH ACUTE}".encode()
    body = {"curve": "SECP256K1", "message_hex": message.hex()}
    signature = bytes.fromhex((await box.control(f"clients/{owner.client_id}/sign", body))["signature_hex"])
    assert len(signature) == 65 and signature[64] in {27, 28}
    digest = keccak.new(digest_bits=256, data=b"\x19Ethereum Signed Message:\n5" + message).digest()
    raw = signature[:64] + bytes([signature[64] - 27])
    public = coincurve.PublicKey.from_signature_and_message(raw, digest, hasher=None)
    address = keccak.new(digest_bits=256, data=public.format(compressed=False)[1:]).digest()[-20:]
    spaces = (await box.read(owner.client_id))["metadata"]["namespaces"]
    assert "0x" + address.hex() == spaces["eip155"]["address"]


async def test_mpc_signs_as_a_solana_wallet_does(box: Box) -> None:
    """The ED25519 signature verifies under the Solana address, for this message only."""
    owner = await box.seed()
    body = {"curve": "ED25519", "message_hex": b"hello".hex()}
    signature = bytes.fromhex((await box.control(f"clients/{owner.client_id}/sign", body))["signature_hex"])
    spaces = (await box.read(owner.client_id))["metadata"]["namespaces"]
    key = VerifyKey(base58.b58decode(spaces["solana"]["address"]))
    assert key.verify(b"hello", signature) == b"hello"
    with pytest.raises(BadSignatureError):
        key.verify(b"hallo", signature)


def test_every_ed25519_signature_verifies() -> None:
    """Signatures by 100 random scalars, and by the smallest and largest, verify."""
    for scalar in (1, ED25519.order - 1, *(ED25519.scalar() for _ in range(100))):
        VerifyKey(ED25519.point(scalar).encoded).verify(b"text", ED25519.sign(scalar, b"text"))


async def test_mpc_signing_can_be_switched_off(box: Box) -> None:
    """Signing goes on after the eject is completed, and ends with a 409 when it is switched off."""
    owner = await box.seed()
    body = {"curve": "ED25519", "message_hex": ""}
    await box.call("POST", "/api/v3/clients/me/eject", owner.client_api_key)
    await box.control(f"clients/{owner.client_id}/sign", body)
    await box.control(f"clients/{owner.client_id}", {"signing": False})
    reply = await box.http.post(f"/_sandbox/clients/{owner.client_id}/sign", json=body)
    assert (reply.status_code, list(reply.json())) == (409, ["error"])
