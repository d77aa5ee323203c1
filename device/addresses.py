"""Addresses from public keys, by the rules of each chain."""

import base64
import hashlib
from binascii import crc_hqx
from collections.abc import Callable, Mapping

import base58
import bech32
import coincurve
from Crypto.Hash import RIPEMD160, keccak

from contracts.wallets import Curve


def evm_account(key: bytes) -> bytes:
    """The 20 bytes that EVM chains and Tron share: the end of the Keccak-256 of the bare coordinates."""
    point = coincurve.PublicKey(key).format(compressed=False)[1:]
    return keccak.new(digest_bits=256, data=point).digest()[-20:]


def eip155(account: bytes) -> str:
    """The hex address of an EVM account of 20 bytes, in lower case as Portal publishes it."""
    return f"0x{account.hex()}"


def tron(account: bytes) -> str:
    """The Base58Check address of the same 20 bytes on Tron, whose prefix is 0x41."""
    return base58.b58encode_check(b"\x41" + account).decode()


def witness_program(key: bytes) -> bytes:
    """The 20 bytes of a p2wpkh output: RIPEMD-160 of SHA-256 of the compressed key."""
    return RIPEMD160.new(hashlib.sha256(key).digest()).digest()


def p2wpkh(program: bytes, prefix: str) -> str:
    """The segwit version 0 address of a program of 20 bytes; prefix `bc` (mainnet) or `tb` (testnet)."""
    address: str | None = bech32.encode(prefix, 0, program)
    if address is None:
        raise ValueError("not a witness program")
    return address


def solana(key: bytes) -> str:
    """The address of an ED25519 key of 32 bytes: its base58."""
    return base58.b58encode(key).decode()


def stellar(key: bytes) -> str:
    """The StrKey of an ED25519 key: version byte `G`, key, CRC-16/XMODEM in little-endian, as base32.

    `crc_hqx` is that CRC: polynomial 0x1021, begun at 0.
    """
    body = bytes([6 << 3]) + key
    return base64.b32encode(body + crc_hqx(body, 0).to_bytes(2, "little")).decode()


DERIVED: Mapping[Curve, Mapping[str, Callable[[bytes], str]]] = {
    Curve.SECP256K1: {
        "eip155": lambda key: eip155(evm_account(key)),
        "tron": lambda key: tron(evm_account(key)),
        "bip122.mainnet": lambda key: p2wpkh(witness_program(key), "bc"),
        "bip122.testnet": lambda key: p2wpkh(witness_program(key), "tb"),
    },
    Curve.ED25519: {"solana": solana, "stellar": stellar},
}
"""By curve and by the namespace's name in a claim: the address of a compressed public key."""

MAIN: Mapping[Curve, str] = {Curve.SECP256K1: "eip155", Curve.ED25519: "solana"}
"""The namespace whose address a wallet goes by, in the challenge too."""
