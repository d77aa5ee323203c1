"""Commands as they come from outside: who and why, bounded, and silent about what is wrong in them."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from contracts.base import sentence
from contracts.commands import Cancel, Command, Commanded, Extend, Extended, Resolve, Taken
from contracts.stages import Stage
from tests.unit.fakes import NOW

SECRET = "Zq7planted0123456789abcdef0123456789abcdef"  # noqa: S105 (planted to be looked for)
WHO: dict[str, Any] = {"by": "ops", "why": "the owner asked"}


def told(model: Any, body: Any) -> str:
    """What is said of a bad command; nothing of the planted secret is in it."""
    with pytest.raises(ValidationError) as caught:
        model.model_validate(body)
    assert "Zq7planted" not in f"{caught.value} {caught.value!r} {sentence(caught.value)}"
    return sentence(caught.value)


@pytest.mark.parametrize("model", [Command, Cancel, Resolve])
def test_a_command_says_who_and_why(model: type[Command]) -> None:
    """Both as they were given, without the blanks around them."""
    taken = model.model_validate({"by": " ops ", "why": " the owner asked "})
    assert (taken.by, taken.why) == ("ops", "the owner asked")


@pytest.mark.parametrize("model", [Cancel, Resolve, Extend])
@pytest.mark.parametrize(
    ("change", "begins"),
    [
        ({"by": None}, "by: "),
        ({"by": ""}, "by: "),
        ({"by": "  "}, "by: "),
        ({"why": "x " * 101}, "why: "),
        ({"why": "two\nlines"}, "why: must be one line"),
        ({"by": SECRET}, "by: has an unbroken run"),
        ({"why": SECRET}, "why: has an unbroken run"),
        ({"api_key": SECRET}, "api_key: Extra inputs are not permitted"),
        ({"park": 1}, "park: Extra inputs are not permitted"),
    ],
)
def test_a_bad_command_is_refused_in_a_sentence(model: Any, change: dict[str, Any], begins: str) -> None:
    """The field by its name, its value never."""
    body = WHO | ({"window": "P1D"} if model is Extend else {}) | change
    assert told(model, body).startswith(begins)


@pytest.mark.parametrize("field", ["by", "why"])
@pytest.mark.parametrize("model", [Cancel, Resolve, Extend])
def test_nobody_commands_without_a_name_or_a_reason(model: Any, field: str) -> None:
    """Neither has a default."""
    body = {name: value for name, value in (WHO | {"window": "P1D"}).items() if name != field}
    if model is not Extend:
        del body["window"]
    assert told(model, body) == f"{field}: Field required"


@pytest.mark.parametrize(
    ("window", "taken"),
    [
        ("PT10M", timedelta(minutes=10)),
        ("P30D", timedelta(days=30)),
        ("PT24H", timedelta(days=1)),
        (600, timedelta(minutes=10)),
        ("PT9M59S", None),
        ("P30DT1S", None),
        ("-P1D", None),
        (0, None),
    ],
)
def test_an_extension_is_as_long_as_a_window_may_be(window: object, taken: timedelta | None) -> None:
    """From 10 minutes to 30 days, as in a request."""
    body = WHO | {"window": window}
    if taken is None:
        assert told(Extend, body) == "window: must be from 10 minutes (PT10M) to 30 days (P30D)"
    else:
        assert Extend.model_validate(body).window == taken


@pytest.mark.parametrize("window", [None, "soon", SECRET, "P99999999999D"])
def test_an_extension_that_is_no_duration_is_refused(window: object) -> None:
    """By its name, unseen."""
    assert told(Extend, WHO | {"window": window}).startswith("window: ")


def test_resolving_is_closing() -> None:
    """The only outcome there is may be written out, and no other passes for it."""
    assert Resolve.model_validate(WHO) == Resolve.model_validate(WHO | {"outcome": "close"})
    assert told(Resolve, WHO | {"outcome": SECRET}).startswith("outcome: ")


def test_answers_pass_over_what_a_newer_worker_adds() -> None:
    """And tell the stage, and the close where it is known."""
    assert Taken.model_validate({"stage": "closing", "new": 1}) == Taken(stage=Stage.CLOSING)
    assert Extended.model_validate({"new": 1}) == Extended(window_closes=None)
    assert Extended.model_validate({"window_closes": NOW.isoformat()}).window_closes == NOW


@pytest.mark.parametrize(
    "command", ["cancel", "resolve close", "extend", "retry", "native cancel", "native cancel ignored"]
)
def test_a_receipt_knows_every_command(command: str) -> None:
    """Under the name that people give it."""
    told_so = {"command": command, "at": NOW, "by": "ops", "why": "asked"}
    assert Commanded.model_validate(told_so).command == command


def test_a_receipt_knows_no_other_command() -> None:
    """The words of a command are a closed set."""
    assert told(Commanded, {"command": SECRET, "at": NOW, "by": "ops", "why": "asked"}).startswith(
        "command: "
    )


@pytest.mark.parametrize("model", [Cancel, Resolve])
def test_a_command_cannot_be_changed(model: type[Command]) -> None:
    """What lies in history stays as it was given."""
    with pytest.raises(ValidationError):
        setattr(model.model_validate(WHO), "by", "somebody else")  # noqa: B010 (mypy knows that it cannot)
