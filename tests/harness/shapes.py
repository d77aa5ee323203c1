"""What an activity's result looked like before, may look like later, and which fields it may not lose."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel
from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from activities.errors import ActivityBoundary
from contracts.approvals import ApprovalVerified
from contracts.base import Result
from contracts.notices import NoticeSent
from contracts.owner import Verified
from contracts.steps import Wrote
from runtime.development import ROOT
from workflows import policies

RESULTS: dict[str, type[Result]] = {
    **{step.name: step.answer for step in vars(policies).values() if isinstance(step, policies.Step)},
    "verify": Verified,
    "verify_approval": ApprovalVerified,
    "send_notice": NoticeSent,
}

LIST = ROOT / "tests/results.txt"

WROTE = tuple(kind for kind in RESULTS.values() if issubclass(kind, Wrote))

# Fields that may be missing and yet say, by being there, what a step has found.
MEANING = frozenset(
    {
        *(f"{wrote.__name__}.only_attempt" for wrote in WROTE),
        "Checked.wallets",
        "Checked.problems",
        "Checked.ejected_at",
        "Verified.problems",
        "ApprovalVerified.problems",
    }
)

Shape = Callable[[BaseModel], dict[str, Any]]


def older(kept: frozenset[str]) -> Shape:
    """A result as a version made it that knew only the listed fields that must be there, and those kept."""
    known = kept | {field for field, required in listed().items() if required}

    def shape(result: BaseModel) -> dict[str, Any]:
        fields_of, named = _dumped(result, shape), type(result).__name__
        return {name: value for name, value in fields_of.items() if f"{named}.{name}" in known}

    return shape


def newer(result: BaseModel) -> dict[str, Any]:
    """A result as a version may make it that knows more, in each model of it."""
    return _dumped(result, newer) | {"added_later": {"deep": ["unknown", 1, None]}}


def _dumped(result: BaseModel, shape: Shape) -> dict[str, Any]:
    plain = result.model_dump(mode="json")
    for name in type(result).model_fields:
        value = getattr(result, name)
        if isinstance(value, BaseModel):
            plain[name] = shape(value)
        elif isinstance(value, tuple):
            plain[name] = [
                shape(inner) if isinstance(inner, BaseModel) else dumped
                for inner, dumped in zip(value, plain[name], strict=True)
            ]
    return plain


class Reshaping(ActivityBoundary):
    """The worker's own boundary, whose results come in another shape; `seen` has the activities' names."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.seen: set[str] = set()

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        """Wrap one activity call (the SDK's interface names the parameter)."""
        return _Reshaped(super().intercept_activity(next), self)


class _Reshaped(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, by: Reshaping) -> None:  # noqa: A002
        super().__init__(next)
        self._by = by

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        result = await super().execute_activity(input)
        self._by.seen.add(activity.info().activity_type)
        return self._by.shape(result)


def fields(models: Iterable[type[BaseModel]]) -> dict[str, bool]:
    """Every field of these models and of those inside them, and whether it must be there."""
    found: dict[str, bool] = {}
    for model in models:
        for name, field in model.model_fields.items():
            found[f"{model.__name__}.{name}"] = field.is_required()
            found |= fields(_models(field.annotation))
    return found


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def listed() -> dict[str, bool]:
    """The fields that results have had, and whether they must be there, as the list says."""
    lines = (line.split(" ", 1) for line in LIST.read_text().splitlines())
    return {field: words == "must be there" for field, words in lines}


def line_of(field: str, required: bool) -> str:
    """A field as the list has it."""
    return f"{field} {'must be there' if required else 'may be missing'}"


def complaints(then: Mapping[str, bool], now: Mapping[str, bool]) -> list[str]:
    """What is wrong with the results' fields beside those that are listed, and why."""
    told = []
    for field, required in sorted(now.items()):
        if field not in then and required:
            told.append(
                f"{field} is new and has no default: results that lie in histories, or come from a worker of "
                "the last version, lack it, and their ejects would park. Give it a default."
            )
        elif required and not then[field]:
            told.append(
                f"{field} has lost its default: results without it lie in histories. Give the default back."
            )
        elif then.get(field) != required:
            told.append(
                f"{field} is new: give tests/results.txt the line `{line_of(field, required)}`, so it stays."
            )
    told += [
        f"{field} is gone: workers of the last version, which run during a deployment and after a roll-back, "
        "read it. Put it back, and stop using it."
        for field in sorted(then.keys() - now.keys())
    ]
    return told
