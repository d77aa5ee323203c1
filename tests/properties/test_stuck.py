"""Whatever payload reaches an eject, from any client in any language: it is refused, and nothing is stuck."""

import asyncio
import gc
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.client import (
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
)
from temporalio.common import RawValue
from temporalio.service import RPCError

import starter
from contracts.names import TaskQueue, workflow_id
from contracts.receipt import Status
from contracts.stages import End, Stage
from docs.messages import REQUEST, UPDATES
from tests.harness.world import PATIENCE, World
from tests.properties import odd
from tests.properties.effort import examples, tried

# Temporal takes 10 updates of a run at once.
AT_ONCE = 8
TASK_TROUBLE = (EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED, EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT)
ENCODINGS = (b"binary/plain", b"binary/null", b"json/protobuf", b"binary/protobuf", b"", None)
# A codec's that this worker lacks, for all it knows: a run that begins so waits for a worker that reads it.
UNKNOWN = (b"binary/encrypted", b"json/other", b"\xff\xfe")
HUGE = (
    json.dumps({"by": "a" * 200_000, "why": odd.PLANTED}).encode(),
    b'"' + b"x" * 400_000 + b'"',
    b"[" * 100_000,
    b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    b"9" * 100_000,
    json.dumps({f"field{n}": n for n in range(5000)}).encode(),
)


@st.composite
def payloads(draw: st.DrawFn, valid: Any, more: tuple[bytes, ...] = ()) -> Payload:
    """A payload in JSON that is nearly right, or in any other encoding that says what it likes."""
    data = draw(odd.json_bytes(valid) | odd.json_bytes(valid) | st.sampled_from(HUGE) | st.binary(max_size=9))
    encoding = draw(st.sampled_from([b"json/plain"] * len(ENCODINGS) + list(ENCODINGS + more)))
    metadata = {} if encoding is None else {"encoding": encoding}
    if draw(st.integers(0, 3)) == 0:
        named = draw(st.sampled_from([b"temporal.api.common.v1.Payload", b"no.such.Message", b"\xff"]))
        metadata["messageType"] = named
    return Payload(metadata=metadata, data=data)


def arguments(valid: Any) -> st.SearchStrategy[list[Payload]]:
    """Mostly one argument; at times none, or more than any handler takes."""
    one = payloads(valid, UNKNOWN).map(lambda payload: [payload])
    right = Payload(metadata={"encoding": b"json/plain"}, data=json.dumps(valid).encode())
    more = st.lists(payloads(valid, UNKNOWN) | st.just(right), max_size=3)
    return st.one_of(one, one, one, more.filter(lambda found: len(found) != 1))


def drawn(strategy: st.SearchStrategy[Any], few: int, many: int) -> list[Any]:
    """So many of them, the same in each run with the same seed."""
    found: list[Any] = []

    @examples(few, many)
    @given(one=strategy)
    def collect(one: Any) -> None:
        found.append(one)

    collect()
    return found


def raw(args: Sequence[Payload]) -> list[RawValue]:
    """Sent as they are."""
    return [RawValue(payload) for payload in args]


def is_right(model: Any, args: Sequence[Payload]) -> bool:
    """Whether this is no odd input after all: a right message has an effect."""
    if len(args) != 1 or args[0].metadata.get("encoding") != b"json/plain":
        return False
    try:
        model.model_validate_json(args[0].data)
    except ValidationError:
        return False
    return True


def unseen(error: BaseException) -> None:
    """What was sent is not in what is answered."""
    said = odd.shown(error)
    assert odd.PLANTED not in said
    assert str(odd.NUMBER) not in said


async def all_of(work: Callable[[Any], Awaitable[None]], inputs: Sequence[Any]) -> None:
    """Work on all of them, some at once; a hang fails instead of staying."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(what: Any) -> None:
        async with places, asyncio.timeout(PATIENCE):
            await work(what)
        tried["payloads"] += 1

    async with asyncio.TaskGroup() as group:
        for what in inputs:
            group.create_task(one(what))


REPEATED = ("UNHANDLED_COMMAND", "FORCE_CLOSE_COMMAND")


async def troubles(handle: WorkflowHandle[Any, Any]) -> list[str]:
    """Every workflow task of a run that did not end well.

    The server repeats a task that would close the run while a signal comes in, and one during which too many
    came: that is nobody's trouble.
    """
    found = []
    async for event in handle.fetch_history_events():
        failed = event.workflow_task_failed_event_attributes
        cause = WorkflowTaskFailedCause.Name(failed.cause)
        if event.event_type in TASK_TROUBLE and not cause.endswith(
            ("UNHANDLED_COMMAND", "FORCE_CLOSE_COMMAND")
        ):
            found.append(f"{EventType.Name(event.event_type)}: {cause} {failed.failure.message}")
    return found


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=50)
SIGNALS = st.sampled_from(["status", "claim", "cancel", "__stack_trace", "__temporal_x"]) | NAMES
QUERIES = st.sampled_from(["status", "__stack_trace", "__temporal_workflow_metadata", "claim"]) | NAMES


async def test_odd_updates_signals_and_queries_stop_no_eject(world: World) -> None:
    """Each update, with generated arguments; signals and queries of any name; then the eject goes on."""
    customer = world.sandbox.seed()
    handle = await world.start(customer)
    await world.reach(handle, Stage.AWAITING_CLAIM)
    untyped: WorkflowHandle[Any, Any] = world.client.get_workflow_handle(handle.id)

    async def update(what: tuple[str, list[Payload]]) -> None:
        with pytest.raises((WorkflowUpdateFailedError, RPCError)) as caught:
            await untyped.execute_update(what[0], args=raw(what[1]))
        unseen(caught.value)

    async def signal(what: tuple[str, list[Payload]]) -> None:
        try:
            await untyped.signal(what[0], args=raw(what[1]))
        except RPCError as error:
            unseen(error)

    async def query(what: tuple[str, list[Payload]]) -> None:
        try:
            await untyped.query(what[0], args=raw(what[1]))
        except (WorkflowQueryFailedError, RPCError) as error:
            unseen(error)

    for name, (message, _) in UPDATES.items():
        found = drawn(arguments(message.model_dump(mode="json")), 10, 300)
        await all_of(update, [(name, args) for args in found if not is_right(type(message), args)])
        assert await troubles(untyped) == [], name
    right = UPDATES["cancel"][0].model_dump(mode="json")
    await all_of(update, [(f"no-{n}", args) for n, args in enumerate(drawn(arguments(right), 6, 100))])
    await all_of(signal, drawn(st.tuples(SIGNALS, arguments(right)), 12, 300))
    await all_of(query, drawn(st.tuples(QUERIES, arguments(right)), 12, 300))
    assert isinstance(await starter.status(world.client, customer.client_id), Status)
    await world.prove(customer, world.proofs(await world.claim(customer)))
    assert (await world.end(handle)).end is End.EJECTED
    assert await troubles(untyped) == []


# The SDK leaves `run` unawaited where the workflow could not be made, which is what is asked for here.
@pytest.mark.filterwarnings("ignore:coroutine '_WorkflowInstanceImpl:RuntimeWarning")
async def test_an_odd_start_ends_at_once(world: World) -> None:
    """One argument of any kind: the run fails with clean text or ends `refused`; it never hangs."""
    inputs = drawn(payloads(REQUEST.model_dump(mode="json")), 25, 400)

    async def begin(what: tuple[int, Payload]) -> None:
        number, payload = what
        # Right inputs run, under the one id that is theirs or under another.
        name = workflow_id(REQUEST.client_id if number == 0 else f"odd-{number}")
        handle = await world.client.start_workflow(
            "Eject", RawValue(payload), id=name, task_queue=TaskQueue.EJECT
        )
        try:
            assert (await asyncio.wait_for(handle.result(), PATIENCE))["end"] == End.REFUSED
        except WorkflowFailureError as error:
            unseen(error)
        except TimeoutError:
            found = await troubles(handle)
            await handle.terminate("its test has ended")
            raise AssertionError(f"{payload.metadata} {payload.data[:80]!r}: {found}") from None
        assert await troubles(handle) == []

    await all_of(begin, list(enumerate(inputs)))
    gc.collect()  # while that warning is awaited
