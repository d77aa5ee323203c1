"""Addresses of a public key on each chain, in the shape of `metadata.namespaces`."""

import base64
import binascii
import hashlib
from typing import Any

import base58
import bech32
from Crypto.Hash import RIPEMD160

from sandbox.keys import SECP256K1, Curve, Point, keccak256


def namespaces(curve: Curve, point: Point) -> dict[str, Any]:
    """Answer the namespaces that a wallet of this curve adds to a client (read client)."""
    if curve is SECP256K1:
        evm = keccak256(point.x.to_bytes(32, "big") + point.y.to_bytes(32, "big"))[-20:]
        bitcoin = {"mainnet": p2wpkh(point.encoded, "bc"), "testnet": p2wpkh(point.encoded, "tb")}
        return {
            "eip155": {"address": eip155(evm), "curve": curve.name},
            "tron": {"address": tron(evm), "curve": curve.name},
            # Portal leaves `address` empty here: which one is meant depends on the network.
            "bip122": {"address": "", "curve": curve.name, "bitcoin": {"p2wpkh": bitcoin}},
        }
    return {
        "solana": {"address": solana(point.encoded), "curve": curve.name},
        "stellar": {"address": stellar(point.encoded), "curve": curve.name},
    }


def eip155(account: bytes) -> str:
    """Write 20 bytes as an EVM address, in lower case as in Portal's published examples."""
    return "0x" + account.hex()


def tron(account: bytes) -> str:
    """Write the same 20 bytes as Tron does: base58check behind 0x41."""
    return base58.b58encode_check(b"\x41" + account).decode()


def p2wpkh(public_key: bytes, prefix: str) -> str:
    """Write a compressed key as a native segwit address (BIP 173, version 0)."""
    program = RIPEMD160.new(hashlib.sha256(public_key).digest()).digest()
    address = bech32.encode(prefix, 0, program)
    if address is None:
        raise ValueError("not a witness program")
    return str(address)


def solana(public_key: bytes) -> str:
    """Write an ED25519 key as Solana does: base58."""
    return base58.b58encode(public_key).decode()


def stellar(public_key: bytes) -> str:
    """Write an ED25519 key as Stellar does (SEP-23: version 6 << 3, CRC16-XModem, base32)."""
    payload = bytes([6 << 3]) + public_key
    checksum = binascii.crc_hqx(payload, 0).to_bytes(2, "little")
    return base64.b32encode(payload + checksum).decode().rstrip("=")
