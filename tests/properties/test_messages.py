"""Every message: what is valid stays what it is, what is not is refused, and no error repeats the input."""

import json
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from contracts.base import Message, canonical, sentence
from tests.properties import odd
from tests.properties.effort import examples, tried
from tests.properties.models import models, valid

MODELS = pytest.mark.parametrize("model", models(), ids=lambda model: model.__name__)
HIDDEN = (odd.PLANTED, str(odd.NUMBER))
# An id, a reason or a name may be any words; what is looked for is told from them.
SECRETS: tuple[Any, ...] = (
    odd.PLANTED,
    odd.NUMBER,
    -odd.NUMBER,
    odd.PLANTED.encode(),
    [odd.PLANTED],
    {odd.PLANTED: odd.PLANTED},
    {odd.PLANTED: {odd.PLANTED: [odd.PLANTED]}},
    {"client": odd.PLANTED, odd.NUMBER: odd.NUMBER},
    f"\x1b[31m{odd.PLANTED}\r\n",
    "\ud800" + odd.PLANTED,
)


@cache
def strategy(model: type[BaseModel]) -> st.SearchStrategy[Any]:
    """Made once for each model: it takes longer than a message."""
    return valid(model)


def refused(model: type[BaseModel], body: Any) -> str:
    """What is said of a body, or nothing where it is valid; the planted text shows nowhere in it."""
    tried["messages"] += 1
    try:
        if isinstance(body, bytes | str):
            model.model_validate_json(body)
        else:
            model.model_validate(body)
    except ValidationError as error:
        said = sentence(error)
        shown = odd.told(error) + said
        assert not [one for one in HIDDEN if one in shown]
        # It is one line, also in a terminal that would obey a control letter.
        assert said.isprintable()
        return said
    return ""


def test_the_messages_are_found() -> None:
    """The list is made by looking; these must be on it."""
    names = {model.__name__ for model in models()}
    assert {"EjectRequest", "Claim", "Prove", "Approve", "Retry", "Receipt", "Status", "Notice"} <= names
    assert {"SealedFile", "Half", "Check", "Checked", "FetchShares", "WriteReceipt", "ProveFor"} <= names


@MODELS
@examples(3, 25)
@given(data=st.data())
def test_a_message_comes_back_as_it_went(model: type[BaseModel], data: st.DataObject) -> None:
    """Through JSON in any order of its keys, with the same bytes; unknown fields as its kind says."""
    tried["messages"] += 1
    one = data.draw(strategy(model))
    text = one.model_dump_json()
    again = model.model_validate_json(text)
    assert again == one
    body = json.loads(text)
    turned = json.dumps(dict(reversed(list(body.items()))))
    assert canonical(model.model_validate_json(turned)) == canonical(again) == canonical(one)
    assert json.loads(canonical(one)) == model.model_validate(body).model_dump(mode="json")
    more = body | {"newer": [odd.PLANTED]}
    if issubclass(model, Message):
        assert "newer: Extra inputs are not permitted" in refused(model, more)
    else:
        assert model.model_validate(more) == one
        assert model.model_validate_json(json.dumps(more)) == one


@MODELS
@examples(6, 60)
@given(data=st.data())
def test_garbage_is_refused_or_taken_and_never_repeated(model: type[BaseModel], data: st.DataObject) -> None:
    """Nearly right, nearly JSON, or anything: a `ValidationError` or a message, as text and as values."""
    body = data.draw(strategy(model)).model_dump(mode="json")
    changed = data.draw(odd.one_thing_wrong(body))
    refused(model, changed)
    refused(model, odd.written(changed))
    refused(model, data.draw(odd.garbled(odd.written(body))))


@MODELS
@examples(1, 10)
@given(data=st.data())
def test_a_secret_at_any_place_is_not_repeated(model: type[BaseModel], data: st.DataObject) -> None:
    """Each field in turn, each key, each depth, holds a planted secret of each form."""
    body = data.draw(strategy(model)).model_dump(mode="json")
    for at in odd.places(body)[:60]:
        for secret in SECRETS:
            refused(model, odd.put(body, at, secret))
        holder = body
        for step in at:
            holder = holder[step]
        if isinstance(holder, dict):
            for key in (odd.PLANTED, str(odd.NUMBER), odd.NUMBER, odd.PLANTED.encode(), (odd.PLANTED,)):
                refused(model, odd.put(body, at, holder | {key: 1}))


@MODELS
def test_what_is_no_object_is_no_message(model: type[BaseModel]) -> None:
    """Scalars, lists and texts are refused, also where every field has a default."""
    for body in (None, 0, odd.PLANTED, odd.PLANTED.encode(), [odd.PLANTED], object()):
        if not isinstance(body, bytes | str):
            assert refused(model, body)
        else:
            assert refused(model, json.dumps(str(body)))
