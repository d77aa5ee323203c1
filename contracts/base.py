"""What every message has in common: frozen, bounded, and silent about its input when it is wrong."""

import json
import re
from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    ModelWrapValidatorHandler,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_core import InitErrorDetails

# A key in hex, base58, base64 or decimal is one long unbroken run; ids and dates are shorter.
_LONGEST_RUN = 31
_RUN = re.compile(rf"[A-Za-z0-9+/=_]{{{_LONGEST_RUN + 1},}}")
# The URL-safe base64 has dashes too; what tells it from a slug is that it mixes all three kinds.
_DASHED_RUN = re.compile(
    r"(?=[\w-]*[a-z])(?=[\w-]*[A-Z])(?=[\w-]*[0-9])" + rf"[\w-]{{{_LONGEST_RUN + 1},}}", re.ASCII
)
_UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
# Twelve words or more of three to eight letters, and none of those that prose has and no list of seed words.
_SEED_WORD = r"\b(?!(?:the|and|for|are|was|were|has|had|his|her|their|our|not|but|from)\b)[a-z]{3,8}\b"
# Phrases are also copied as they are numbered, and with capitals.
_SEED_PHRASE = re.compile(rf"({_SEED_WORD}[^a-z]+){{11}}{_SEED_WORD}", re.IGNORECASE)
# What a field, a namespace or an approver may be called; `[key]` is pydantic's own.
_NAME = re.compile(rf"[A-Za-z_][A-Za-z0-9_.]{{0,{_LONGEST_RUN - 1}}}|\[key\]")


class _Silent(BaseModel):
    """Names in errors only what can be a field's name: a key of the input may be anything, a secret too."""

    @model_validator(mode="wrap")
    @classmethod
    def _silent(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(data)
        except ValidationError as error:
            problems = error.errors()
        raise ValidationError.from_exception_data(
            cls.__name__, [_unnamed(problem) for problem in problems], hide_input=True
        )


def _shown(step: str | int) -> str:
    return str(step) if isinstance(step, int) or _NAME.fullmatch(step) else "[hidden]"


def _unnamed(problem: Any) -> InitErrorDetails:
    steps = (step if isinstance(step, int) else _shown(step) for step in problem["loc"])
    return {
        "type": problem["type"],
        "loc": tuple(steps),
        "input": None,
        "ctx": problem.get("ctx", {}),
    }


class Message(_Silent):
    """A message from outside: unknown fields are refused, so that a typing error is not ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Result(_Silent):
    """What an activity is given or returns: a newer worker may add fields, so unknown ones are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


def _plain_words(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must be one line of printable text")
    if _RUN.search(text) or _DASHED_RUN.search(text):
        raise ValueError(
            f"has an unbroken run of more than {_LONGEST_RUN} letters and digits, "
            "which looks like a key or a token: leave it out"
        )
    if _UUID.search(text):
        raise ValueError("has a UUID, which an API key may look like: leave it out")
    if _SEED_PHRASE.search(text):
        raise ValueError("has twelve words in a row that could be a seed phrase: say it in other words")
    return text


def _utc(moment: datetime) -> datetime:
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:  # pydantic takes a ValueError only for "this is wrong"
        raise ValueError("must lie between the years 1 and 9999 in UTC") from None


Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
"""An id of Portal's or Temporal's, safe as a path segment, a file's name and a workflow id."""

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""32 bytes as lower-case hex: a SHA-256, a commitment, or a commitment's opened value."""

Words = Annotated[
    str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True), AfterValidator(_plain_words)
]
"""A person's words: one line, at most 200 characters, nothing that looks like a secret."""

Moment = Annotated[datetime, AfterValidator(_utc)]
"""A point in time, always in UTC; a time without a zone is taken as UTC."""


def canonical(message: BaseModel) -> bytes:
    """The bytes of a message as it is stored and hashed: JSON with sorted keys, so that equal means equal."""
    return canonical_json(message.model_dump(mode="json"))


def canonical_json(value: Any) -> bytes:
    """The bytes of what JSON can say, in the same form."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def sentence(error: ValidationError) -> str:
    """Say what is wrong with a message in one sentence that names each field and never its value."""
    return "; ".join(f"{field}: {problem}" for field, problem in problems(error))


def problems(error: ValidationError) -> list[tuple[str, str]]:
    """What is wrong with a message: each field by its dotted name, and what it should be, never its value."""
    found = []
    for problem in error.errors(include_input=False, include_url=False, include_context=False):
        field = ".".join(_shown(step) for step in problem["loc"]) or "message"
        found.append((field, problem["msg"].removeprefix("Value error, ")))
    return found
