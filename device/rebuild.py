"""From two shares to the secret: two points on a line modulo the group order, the secret at 0."""

from contracts.wallets import Curve
from device.curves import ORDERS
from device.errors import DeviceError
from device.shares import client_half, custodian_half


def rebuild(curve: Curve, *, pair: str, client: str, custodian: str) -> int:
    """The secret scalar of a wallet, from Portal's two share texts of the backup share pair `pair`.

    Whether it is the right wallet's scalar is not known here: see `check`.
    """
    order = ORDERS[curve]
    ours, theirs = client_half(client, order=order), custodian_half(custodian, order=order)
    if not ours.pair == theirs.pair == pair:
        raise DeviceError("the two shares are not of the backup share pair that was claimed: claim again.")
    if ours.ssid != theirs.ssid:
        raise DeviceError("the two shares are of different sessions (their ssid differs): claim again.")
    # Crosswise: each half names the x of the other's point.
    secret = at_zero((theirs.other_x, ours.share), (ours.other_x, theirs.share), order=order)
    if secret == 0:
        raise DeviceError("the two shares rebuild no key: they were damaged.")
    return secret


def at_zero(first: tuple[int, int], second: tuple[int, int], *, order: int) -> int:
    """Where the line through two points (x, y) meets 0, modulo a prime order."""
    (x1, y1), (x2, y2) = first, second
    if 0 in (x1 % order, x2 % order) or (x1 - x2) % order == 0:
        raise DeviceError("the two shares lie at the same place, or at 0: they were damaged.")
    return (y1 * x2 - y2 * x1) * pow(x2 - x1, -1, order) % order
