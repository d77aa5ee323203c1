"""Is the table of permanent failures whole? The code says what must be in it."""

import ast
import inspect
import json
import re
import sys
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime
from types import CodeType, FunctionType
from typing import Any, get_type_hints

import obstore
import pytest
from temporalio import activity

import portal.http
import starter
from contracts.failures import RULES, Failure, StepError
from portal import calls
from portal.calls import Call, RawReply, decide
from tests.harness.own_backup import by_wallet
from tests.harness.world import World, serving
from tests.permanent.scenes import (
    MENDS,
    ROADS,
    TURNS,
    Row,
    Scene,
    Way,
    after_an_extension,
    as_the_client,
    at_a_cancel,
)
from tests.permanent.table import ROWS
from workflows import policies
from workflows.policies import Step

STEPS = {step.name: step for step in vars(policies).values() if isinstance(step, Step)}
# Each with the place that it passes and that cannot report there: an existing backup's digest is not known.
NEVER = {
    policies.FETCH_SHARES_AS_CLIENT.name: f"_sealed: {Failure.CIPHER_TEXT_CHANGED}",
    # Retrying cannot mend a cipher text whose digest is in history: tests/unit/test_sealing.py has it.
    policies.READ_CIPHER_TEXTS.name: f"seal_half: {Failure.SHARE_UNREADABLE}",
}
OURS = ("activities", "contracts", "custody")


def test_every_step_and_every_failure_has_a_row() -> None:
    """A new step, or a new failure that is not simply tried again, must say here how it parks."""
    assert {row.step.name for row in ROWS} == STEPS.keys() == ROADS.keys()
    parking = {failure for failure, rule in RULES.items() if not rule.retried} - TURNS
    # What a worker of another version ends in parks as unexpected; a defect of ours is tried again.
    assert {row.failure for row in ROWS} == MENDS.keys() == parking | {Failure.UNEXPECTED}
    assert [failure for failure, words in MENDS.items() if words not in RULES[failure].mend] == []


def meanings(call: Call[Any]) -> set[Failure]:
    """What the replies to a call can mean that trying again does not mend."""
    bodies = [json.dumps({"id": error_id}).encode() for error_id in call.ids]
    replies = [RawReply(status, {}, b"{}") for status in range(300, 600)]
    replies += [RawReply(400, {}, body) for body in bodies] + [RawReply(200, {}, b"[]")]
    found = set()
    for each in replies:
        try:
            decide(call, each, datetime.now(UTC))
        except StepError as error:
            found.add(error.failure)
    return {failure for failure in found if not RULES[failure].retried}


async def test_every_call_and_every_operation_of_a_step_has_its_rows(
    unserved: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the steps do on roads without trouble has a row for each way to fail for good."""
    done: set[tuple[str, str]] = set()
    wanted: set[tuple[str, str, Failure]] = set()

    def deciding(call: Call[Any], *given: Any) -> Any:
        step = activity.info().activity_type
        wanted.update((step, call.name, failure) for failure in meanings(call))
        return decide(call, *given)

    def watch(operation: str) -> None:
        original = getattr(obstore, operation)

        def watching(*given: Any, **named: Any) -> Any:
            if activity.in_activity():
                done.add((activity.info().activity_type, operation))
            return original(*given, **named)

        monkeypatch.setattr(obstore, operation, watching)

    monkeypatch.setattr(portal.http, "decide", deciding)
    for operation in ("get", "put", "list", "delete"):
        watch(operation)

    async def walked(world: World, way: Way) -> None:
        customer = world.sandbox.seed()
        scene = Scene(world, monkeypatch, customer, starter.handle_of(world.client, customer.client_id), {})
        async with way(scene):
            pass
        await world.end(scene.handle)

    async with serving(by_wallet(unserved)):
        await walked(unserved, as_the_client)
    async with serving(unserved):
        for way in (at_a_cancel, after_an_extension):  # the later one moves the sandbox's clock
            await walked(unserved, way)
    by_the_check = {(policies.CHECK.name, calls.READ_CLIENT.name, Failure.NOT_FOUND)}
    assert wanted - by_the_check == wanted & {(row.step.name, row.about, row.failure) for row in ROWS}
    assert {step for step, _, _ in wanted} | {step for step, _ in done} == STEPS.keys()
    assert done == {(row.step.name, row.operation) for row in ROWS if row.operation}


def names_in(code: CodeType) -> set[str]:
    """Every name that some code uses, in its inner functions too."""
    inner = [const for const in code.co_consts if isinstance(const, CodeType)]
    return set(code.co_names).union(*map(names_in, inner))


def reach(function: FunctionType, holders: tuple[type, ...], found: set[FunctionType]) -> None:
    """Gather the functions of ours that a function calls: by name, or as methods of what its class holds."""
    if function in found or function.__code__.co_filename != sys.modules[function.__module__].__file__:
        return  # seen, or written by `dataclass`
    found.add(function)
    for name in names_in(function.__code__):
        named = function.__globals__.get(name)
        if isinstance(named, FunctionType) and named.__module__.startswith(OURS):
            reach(named, (), found)
        for holder in holders:
            if isinstance(method := vars(holder).get(name), FunctionType):
                reach(method, holders_of(holder), found)


def holders_of(kind: type) -> tuple[type, ...]:
    """A class and the classes of its fields; what speaks to Portal is told by its replies instead."""
    hints = {**get_type_hints(kind), **get_type_hints(vars(kind).get("__init__", kind))}
    fields = [hint for hint in hints.values() if inspect.isclass(hint)]
    return kind, *(field for field in fields if field.__module__.startswith("custody"))


def reports(function: FunctionType) -> Iterator[tuple[Failure, str]]:
    """Each permanent failure that a function reports, and a pattern of its sentence."""
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(function)))):
        match node:
            case ast.Call(ast.Name("StepError"), [ast.Attribute(ast.Name("Failure"), name), said, *_]):
                failure = Failure[name]
            case _:
                continue
        if RULES[failure].retried or failure in TURNS:
            continue
        parts = said.values if isinstance(said, ast.JoinedStr) else [said]
        texts = [re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".+" for part in parts]
        yield failure, "".join(texts)


def without_row(functions: set[FunctionType], rows: list[Row]) -> list[str]:
    """The places in these functions that report what no row shows."""
    return [
        f"{function.__qualname__}: {failure}: {pattern}"
        for function in functions
        for failure, pattern in reports(function)
        if not any(row.failure is failure and re.fullmatch(pattern, row.reason) for row in rows)
    ]


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_every_place_in_a_steps_code_that_reports_has_a_row(step: Step[Any, Any]) -> None:
    """Every sentence with a permanent failure that a step's own code can raise is shown at that step."""
    function = inspect.unwrap(step.activity)
    assert isinstance(function, FunctionType)
    kind = function.__globals__[function.__qualname__.split(".")[0]]
    found: set[FunctionType] = set()
    reach(function, holders_of(kind), found)
    assert any(True for each in found for _ in reports(each)) or not holders_of(kind)[1:], "nothing was read"
    missing = without_row(found, [row for row in ROWS if row.step is step])
    assert [line for line in missing if not line.startswith(NEVER.get(step.name, "-"))] == []


def test_every_place_that_speaks_to_portal_and_reports_has_a_row() -> None:
    """What is wrong with a reply or a credential whatever the call is shown at one step at least."""
    found = {
        each
        for room in (portal.http, calls)
        for each in vars(room).values()
        if isinstance(each, FunctionType) and each.__module__ == room.__name__
    }
    assert [report for each in found for report in reports(each)]
    assert without_row(found, list(ROWS)) == []
