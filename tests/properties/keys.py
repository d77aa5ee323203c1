"""Keys that are made anew in each run and are the same in each, so that what breaks breaks again."""

import random
from collections.abc import Iterable
from functools import cache
from typing import Any

from contracts.names import Role
from contracts.wallets import Curve
from tests.device import second
from tests.device.bundles import Made, make
from tests.properties import odd


@cache
def wallet(curve: Curve, name: str = "w") -> Made:
    """A wallet of a curve, split."""
    below = random.Random(f"{curve} {name}").randrange  # noqa: S311 (repeatable on purpose)
    return make(curve, 1 + below(second.ORDER[curve] - 1), name, below=below)


def numbers(curve: Curve) -> tuple[Any, ...]:
    """What a share's number could be instead: at and beyond every edge, and in other spellings."""
    order, own = second.ORDER[curve], wallet(curve)
    honest = str(own.client["share"])
    edges = (0, 1, order - 1, order, order + 1, 2 * order, -1, 10**99, 10**100)
    return (
        *(str(edge) for edge in edges),
        *(edge for edge in edges[:5]),
        honest,
        "0" * 20 + honest,
        "0" * 90 + honest,
        honest + " ",
        "+" + honest,
        hex(int(honest)),
        int(honest),
        float(honest),
        str(int(honest) + order),
        str(own.custodian["share"]),
        str(own.custodian["clientBk"]),
        str(own.scalar),
    )


def values(curve: Curve) -> tuple[Any, ...]:
    """What may stand in a share instead of what stood there."""
    return odd.VALUES + numbers(curve)


def hidden(made: Iterable[Made], *more: str) -> list[str]:
    """Pieces of every secret text, long enough to be nothing else; an error may cut what it shows."""
    texts = [text for one in made for text in one.secrets()]
    texts += [str(half[name]) for one in made for half, name in _numbers(one)]
    pieces = {text[at : at + 16] for text in (*texts, *more) for at in range(0, len(text) - 15, 31)}
    return [odd.PLANTED, str(odd.NUMBER), *sorted(pieces)]


def _numbers(one: Made) -> list[tuple[dict[str, object], str]]:
    return [(one.client, "share"), (one.custodian, "share"), (one.custodian, "clientBk")]


def objects(one: Made) -> dict[Role, dict[str, object]]:
    """The two share objects of a wallet."""
    return {Role.CLIENT: one.client, Role.CUSTODIAN: one.custodian}
