"""Odd inputs: JSON with one thing wrong in it, texts and bytes with one thing wrong in them."""

import copy
import json
from typing import Any

from hypothesis import strategies as st

# Long and mixed as a key is, so that no field, id, name or word could honestly hold it.
PLANTED = "Zq7planted0SECRET1Xv9" * 2
NUMBER = 918273645546372819364554637281
DEEP = 300
"""Deeper than anything honest, and not so deep that Python cannot write it as JSON."""


def _deep() -> Any:
    value: Any = PLANTED
    for level in range(DEEP):
        value = [value] if level % 2 else {"a": value}
    return value


VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    NUMBER,
    -NUMBER,
    10**400,
    0.5,
    1e308,
    float("nan"),
    float("inf"),
    "",
    " ",
    "0",
    "-1",
    "00",
    "1e5",
    "1.0",
    "0x10",
    "\u0663\u0664",
    "\u00b2",
    "\ud800",
    "\x00",
    "\n",
    "\x1b[31m",
    "../../etc/passwd",
    "a" * 70_000,
    PLANTED,
    PLANTED + "\n",
    f"\ufeff{PLANTED}",
    str(NUMBER),
    "9" * 5000,
    [],
    {},
    [PLANTED],
    {PLANTED: PLANTED},
    {"\ud800": 1},
    {"": ""},
    _deep(),
)
# Drawn without regard to the length: age adds to its files what it likes, and a seed must say the same.
_ANYWHERE = st.integers(0, 2**16)
KEYS = ("", "x", "X", "__proto__", "model_config", "\n\x1b[31m", "\ud800", PLANTED, str(NUMBER), "id" * 40)


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value, the whole first."""
    found = [at]
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    else:
        return found
    for key, one in inner:
        found += places(one, (*at, key))
    return found


def put(value: Any, at: tuple[Any, ...], new: Any) -> Any:
    """A copy with something else at one place."""
    if not at:
        return new
    changed = copy.deepcopy(value)
    holder = changed
    for step in at[:-1]:
        holder = holder[step]
    holder[at[-1]] = new
    return changed


def _get(value: Any, at: tuple[Any, ...]) -> Any:
    for step in at:
        value = value[step]
    return value


@st.composite
def one_thing_wrong(draw: st.DrawFn, valid: Any, values: tuple[Any, ...] = VALUES) -> Any:
    """A JSON value that was valid until one place of it was changed, twice at times."""
    changed = valid
    for _ in range(draw(st.integers(1, 2))):
        at = draw(st.sampled_from(places(changed)))
        here = _get(changed, at)
        how = draw(st.integers(0, 6))
        if how == 0 and at and isinstance(at[-1], str):
            holder = {key: one for key, one in _get(changed, at[:-1]).items() if key != at[-1]}
            changed = put(changed, at[:-1], holder)
        elif how == 1 and isinstance(here, dict):
            changed = put(changed, at, here | {draw(st.sampled_from(KEYS)): draw(st.sampled_from(values))})
        elif how == 2 and isinstance(here, dict) and here:
            twin = draw(st.sampled_from(sorted(here)))
            changed = put(changed, at, here | {twin.swapcase(): draw(st.sampled_from(values))})
        elif how == 3 and isinstance(here, str):
            changed = put(changed, at, draw(near(here)))
        elif how == 4:
            changed = put(changed, at, draw(st.sampled_from([[here], {"a": here}, str(here), [here, here]])))
        else:
            changed = put(changed, at, draw(st.sampled_from(values)))
    return changed


@st.composite
def near(draw: st.DrawFn, text: str) -> str:
    """A text with a few letters lost, doubled, changed or added."""
    start = draw(_ANYWHERE) % (len(text) + 1)
    end = min(len(text), start + draw(st.integers(0, 8)))
    new = draw(st.sampled_from(["", "0", "9", "-", "=", "\n", "\x00", "\u0663", "A", "\ud800", text[:4]]))
    return draw(st.sampled_from([text[:start] + new + text[end:], text[:start], new + text, text + new]))


def written(value: Any) -> bytes:
    """JSON as a careless program writes it: NaN and lone surrogates (as escapes) included."""
    return json.dumps(value).encode()


@st.composite
def garbled(draw: st.DrawFn, data: bytes) -> bytes:  # noqa: PLR0911 (a line for each damage)
    """Bytes with one thing wrong: cut, doubled, flipped, another encoding, another text before or behind."""
    how = draw(st.integers(0, 8))
    at = draw(_ANYWHERE) % max(1, len(data))
    if how == 0:
        return data[:at]
    if how == 1:
        return data[:at] + draw(st.binary(min_size=1, max_size=6)) + data[at:]
    if how == 2:
        return data[:at] + draw(st.binary(max_size=6)) + data[at + draw(st.integers(1, 40)) :]
    if how == 3:
        return data[:at] + data[at // 2 :]
    if how == 4:
        return draw(st.sampled_from([b"\xef\xbb\xbf", b"\x00", b"\xff\xfe", b"[", PLANTED.encode()])) + data
    if how == 5:
        return data + draw(st.sampled_from([b"\x00", b"}", data, b"\xed\xa0\x80", b"\r\n", b" " * 4096]))
    if how == 6:
        return data.decode(errors="replace").encode(draw(st.sampled_from(["utf-16", "utf-32", "utf-7"])))
    if how == 7:
        return draw(st.binary(max_size=64))
    return data.replace(b":", b": [" * draw(st.integers(1, 1000)), 1)


def json_bytes(valid: Any) -> st.SearchStrategy[bytes]:
    """The bytes of a JSON value that is nearly right, or of one that is nearly JSON."""
    return one_thing_wrong(valid).map(written) | garbled(written(valid))


def told(error: BaseException) -> str:
    """What an error says in a log, a failure or a traceback, which holds no locals."""
    texts: list[str] = []
    one: BaseException | None = error
    while one is not None:
        texts += [str(one), repr(one), repr(vars(one))]
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
    return "\n".join(texts)


def shown(error: BaseException) -> str:
    """All that an error holds: itself and whatever is chained to it, also where no traceback shows it."""
    texts: list[str] = []
    todo: list[BaseException | None] = [error]
    while todo:
        one = todo.pop()
        if one is not None:
            texts += [str(one), repr(one), repr(one.args), repr(vars(one))]
            texts += [str(getattr(one, name, "")) for name in ("doc", "object")]
            todo += [one.__cause__, one.__context__]
    return "\n".join(texts)
