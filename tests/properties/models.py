"""Every message of `contracts`, found by looking, and a strategy for the valid ones of each.

A model or a field of a new kind that nobody has taught this file makes `fields_of` raise: the test is red.
"""

import importlib
import pkgutil
import types
from datetime import UTC, datetime, timedelta
from enum import Enum
from math import ceil
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Le, MaxLen, MinLen
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, StringConstraints
from pydantic.fields import FieldInfo

import contracts
from contracts.base import Message, Result
from contracts.request import EjectRequest
from contracts.window import LONGEST, SHORTEST

PROSE = (
    "moves to self custody",
    "asked in ticket EJECT-2041 on 2026-03-04",
    "Ren\u00e9e O'Neill-Smith <renee@example.com>",
    "\u304a\u5ba2\u69d8\u306e\u8981\u671b",
    "ada",
    "the owner lost her phone and found it again (see INC-77)",
)
TEXT = st.text(st.characters(codec="utf-8"), max_size=40)


def models() -> list[type[BaseModel]]:
    """Every message that `contracts` defines."""
    found = set()
    for module in pkgutil.iter_modules(contracts.__path__, "contracts."):
        for thing in vars(importlib.import_module(module.name)).values():
            if (
                isinstance(thing, type)
                and issubclass(thing, BaseModel)
                and issubclass(thing, Message | Result)
            ):
                found.add(thing)
    return sorted(found - {Message, Result}, key=lambda model: model.__name__)


def valid(model: type[BaseModel]) -> st.SearchStrategy[Any]:
    """Valid messages of a kind."""
    return st.builds(model, **{name: _field(model, name) for name in model.model_fields})


def _field(model: type[BaseModel], name: str) -> st.SearchStrategy[Any]:
    info = model.model_fields[name]
    if model is EjectRequest and name in ("backup", "fetch_as", "backup_method"):
        return st.just(info.default)  # whatever else is refused in this version
    if name == "window":
        return _durations(SHORTEST, LONGEST)
    strategy = _values(info.annotation, info.metadata)
    return strategy if info.is_required() else st.just(_default(info)) | strategy


def _default(info: FieldInfo) -> Any:
    return info.get_default(call_default_factory=True, validated_data={})


def _values(kind: Any, metadata: list[Any]) -> st.SearchStrategy[Any]:  # noqa: PLR0911, PLR0912 (a line for each kind)
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _values(inner[0], [*inner[1:], *metadata])
    if origin in (Union, types.UnionType):
        return st.one_of(*(_values(one, metadata if one in (int, str) else []) for one in inner))
    if origin is Literal:
        return st.sampled_from(inner)
    if origin is tuple and inner[1:] == (...,):
        sizes = {type(one): one for one in metadata}
        least = sizes[MinLen].min_length if MinLen in sizes else 0
        return st.lists(_values(inner[0], []), min_size=least, max_size=least + 2).map(tuple)
    if origin is tuple:
        return st.tuples(*(_values(one, []) for one in inner))
    if origin is dict:
        return st.dictionaries(_values(inner[0], []), _values(inner[1], []), max_size=2)
    if kind is str:
        return _texts(metadata)
    if kind is int:
        bounds: dict[Any, Any] = {type(one): one for one in metadata}
        return st.integers(
            bounds[Ge].ge if Ge in bounds else -(2**70), bounds[Le].le if Le in bounds else 2**70
        )
    if kind is datetime:
        return st.datetimes(timezones=st.just(UTC))
    if kind is timedelta:
        limits: dict[Any, Any] = {type(one): one for one in metadata}
        least = limits[Ge].ge if Ge in limits else timedelta(0)
        return _durations(least, limits[Le].le if Le in limits else timedelta(days=90))
    if kind is float:
        return st.floats(0, 1e6)
    if kind in (bool, type(None)):
        return st.sampled_from([True, False]) if kind is bool else st.none()
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from(list(kind))
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return valid(kind)
    raise TypeError(f"no strategy for {kind}: teach this file")


def _texts(metadata: list[Any]) -> st.SearchStrategy[str]:
    flat: list[Any] = []
    for one in metadata:
        flat += one.__metadata__ if hasattr(one, "__metadata__") else [one]
    if any(isinstance(one, AfterValidator) for one in flat):
        return st.sampled_from(PROSE)
    for one in flat:
        pattern = one.pattern if isinstance(one, StringConstraints) else getattr(one, "pattern", None)
        if pattern is not None:
            return st.from_regex(pattern, fullmatch=True, alphabet=st.characters(codec="ascii"))
    if any(isinstance(one, MaxLen) and one.max_length < 40 for one in flat):
        raise TypeError("no strategy for so short a text: teach this file")
    return TEXT


def _durations(least: timedelta, most: timedelta) -> st.SearchStrategy[timedelta]:
    seconds = st.integers(ceil(least.total_seconds()), int(most.total_seconds()))
    return seconds.map(lambda number: timedelta(seconds=number)) | st.timedeltas(least, most)
