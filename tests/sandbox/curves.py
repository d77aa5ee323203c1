"""Both curves by the textbook, so that the sandbox's keys are not checked by the libraries that made them."""

import base64
import json
from typing import Any

ORDERS = {
    "SECP256K1": 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141,
    "ED25519": 0x1000000000000000000000000000000014DEF9DEA2F79CD65812631A5CF5D3ED,
}
_P = 2**256 - 2**32 - 977
_Q = 2**255 - 19
_D = -121665 * pow(121666, -1, _Q) % _Q
_BASES = {
    "SECP256K1": (
        0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
        0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8,
    ),
    "ED25519": (
        15112221349535400772501151409588531511454012693041857206046113283949847762202,
        46316835694926478169428394003475163141307993866256225615783033603165251855960,
    ),
}
Affine = tuple[int, int] | None


def _add_weierstrass(left: Affine, right: Affine) -> Affine:
    if left is None or right is None:
        return left or right
    (x1, y1), (x2, y2) = left, right
    if x1 == x2 and (y1 + y2) % _P == 0:
        return None
    slope = 3 * x1 * x1 * pow(2 * y1, -1, _P) if left == right else (y2 - y1) * pow(x2 - x1, -1, _P)
    x = (slope * slope - x1 - x2) % _P
    return x, (slope * (x1 - x) - y1) % _P


def _add_edwards(left: Affine, right: Affine) -> Affine:
    if left is None or right is None:
        return left or right
    (x1, y1), (x2, y2) = left, right
    cross = _D * x1 * x2 * y1 * y2
    x = (x1 * y2 + x2 * y1) * pow(1 + cross, -1, _Q) % _Q
    return x, (y1 * y2 + x1 * x2) * pow(1 - cross, -1, _Q) % _Q


def multiply(curve: str, scalar: int) -> Affine:
    """Multiply a curve's base point by double-and-add."""
    add = _add_weierstrass if curve == "SECP256K1" else _add_edwards
    total: Affine = None
    power: Affine = _BASES[curve]
    while scalar:
        if scalar & 1:
            total = add(total, power)
        power = add(power, power)
        scalar >>= 1
    return total


def decode_share(text: str) -> Any:
    """Decode a client share's text, which has no padding, into its JSON."""
    assert "=" not in text
    return json.loads(base64.b64decode(text + "=" * (-len(text) % 4), validate=True))


def lower(content: Any) -> Any:
    """Write every key of nested JSON in lower case."""
    if isinstance(content, dict):
        return {key.lower(): lower(value) for key, value in content.items()}
    return content


def rebuild(curve: str, client_text: str, custodian_text: str) -> int:
    """Join both halves as the facts say: crosswise, two points on a line, the secret at 0."""
    client, custodian, order = lower(decode_share(client_text)), json.loads(custodian_text), ORDERS[curve]
    x1, y1 = int(custodian["clientBk"]), int(client["share"])
    x2, y2 = int(client["bks"]["server"]["x"]), int(custodian["share"])
    slope = (y2 - y1) * pow(x2 - x1, -1, order)
    return (y1 - slope * x1) % order
