"""Start, watch and command ejects: a library for other services, a command line for people.

Every function takes a connected `temporalio.client.Client` (see `runtime.temporal.connect`) and raises
`EjectError` with one sentence where it is refused. Exit codes of the command line: 0 done, 1 refused,
2 wrong use or settings, 3 Temporal or the eject does not answer.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import datetime, timedelta
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from pydantic import BaseModel, SecretStr, TypeAdapter, ValidationError
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from contracts.base import Id, Message, Result, sentence
from contracts.failures import StepError
from contracts.names import Attribute, TaskQueue, deposit_name, workflow_id
from contracts.owner import Claim, ClaimAnswer, Prove, ProveAnswer
from contracts.parks import Retry, RetryAnswer
from contracts.receipt import Receipt, Status
from contracts.request import EjectRequest, differing
from contracts.sealing import fingerprint
from contracts.stages import End, Stage
from custody.sealing import is_recipient, seal_deposit
from custody.shares import check_deposit
from custody.vault import Vault
from runtime.process import forbid_core_dumps, leave
from runtime.settings import SettingsError, load_settings
from runtime.temporal import TemporalUnreachableError, connect
from workflows import attributes
from workflows.eject import Eject

T = TypeVar("T")
A = TypeVar("A", bound=Result)
EjectHandle = WorkflowHandle[Eject, Receipt]

# A query or an update that takes longer has no worker behind it.
ANSWERS_WITHIN = timedelta(seconds=60)


class EjectError(Exception):
    """A command was refused; the text is one sentence that says what to do."""


class NoAnswerError(EjectError):
    """Nobody answered; whether the command was taken is not known, and repeating it is safe."""


async def deposit(vault: Vault, client_id: str, generate_response: SecretStr, recipient: str) -> None:
    """Seal a client's signing shares (the body of its generate reply) to the client role's public key."""
    try:
        check_deposit(generate_response)
    except StepError as error:
        raise EjectError(f"{error.sentence}: deposit the JSON that generate answered") from None
    if not is_recipient(recipient):
        raise EjectError("EJECT_CLIENT_RECIPIENT is not an age public key: set the client role's")
    try:
        await vault.replace(deposit_name(client_id), seal_deposit(generate_response, recipient))
    except StepError as error:
        raise EjectError(error.sentence) from None


async def start(client: Client, request: EjectRequest) -> EjectHandle:
    """Start an eject, or join the running one where its request is the same."""
    if not is_recipient(request.recipient):
        raise EjectError("The recipient is not an age public key: its checksum is wrong, copy it again")
    try:
        return await client.start_workflow(
            Eject.run,
            request,
            id=workflow_id(request.client_id),
            task_queue=TaskQueue.EJECT,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            search_attributes=TypedSearchAttributes(
                [
                    SearchAttributePair(attributes.STAGE, Stage.CHECKING),
                    SearchAttributePair(attributes.CLIENT, request.client_id),
                ]
            ),
            static_summary=f"Client {request.client_id} leaves custody",
            static_details=f"Sealed to the recipient with the fingerprint {fingerprint(request.recipient)}",
        )
    except WorkflowAlreadyStartedError as error:
        handle = client.get_workflow_handle_for(Eject.run, error.workflow_id, run_id=error.run_id)
        if fields := differing(request, await _request_of(client, handle)):
            raise EjectError(
                f"An eject of client {request.client_id} is running with another {', '.join(fields)}: "
                "start with the same to join it"
            ) from None
        return handle


async def _request_of(client: Client, handle: EjectHandle) -> EjectRequest:
    async for event in handle.fetch_history_events(page_size=1):
        payloads = event.workflow_execution_started_event_attributes.input.payloads
        (request,) = await client.data_converter.decode(list(payloads), [EjectRequest])
        return EjectRequest.model_validate(request)
    raise NoAnswerError("Temporal shows no history of the running eject: try again")


def handle_of(client: Client, client_id: str) -> EjectHandle:
    """The latest eject of a client."""
    return client.get_workflow_handle_for(Eject.run, workflow_id(client_id))


async def status(client: Client, client_id: str) -> Status | Receipt:
    """Where a running eject is, or the receipt of the last one that ended."""
    handle = handle_of(client, client_id)
    described = await _answered(client_id, handle.describe())
    if described.status is WorkflowExecutionStatus.COMPLETED:
        return await handle.result()
    if described.status is not WorkflowExecutionStatus.RUNNING:
        told = described.status.name.lower() if described.status else "gone"
        raise EjectError(
            f"The last eject of client {client_id} was {told} without a receipt: start a new one"
        )
    return await _answered(client_id, handle.query(Eject.status))


async def stages(handle: EjectHandle) -> AsyncIterator[Stage | End]:
    """Every stage that an eject enters, from its start to its end, as it happens and none left out."""
    yield Stage.CHECKING
    last: str = Stage.CHECKING
    async for event in handle.fetch_history_events(wait_new_event=True):
        written = event.upsert_workflow_search_attributes_event_attributes.search_attributes.indexed_fields
        entered = json.loads(written[Attribute.STAGE].data) if Attribute.STAGE in written else last
        if entered != last:
            last = entered
            yield End(entered) if entered in tuple(End) else Stage(entered)


async def claim(client: Client, client_id: str, command: Claim) -> ClaimAnswer:
    """Have the sealed files released; repeating it answers the same."""
    return await _update(client, client_id, "claim", command, ClaimAnswer)


async def prove(client: Client, client_id: str, command: Prove) -> ProveAnswer:
    """Hand in the owner's proofs; after the last one completion is owed."""
    return await _update(client, client_id, "prove", command, ProveAnswer)


async def retry(client: Client, client_id: str, command: Retry) -> RetryAnswer:
    """Run a parked step again, and hear what became of it within half a minute."""
    return await _update(client, client_id, "retry", command, RetryAnswer)


async def _update(client: Client, client_id: str, name: str, command: Message, answer: type[A]) -> A:
    updating = handle_of(client, client_id).execute_update(name, command, result_type=answer)
    return answer.model_validate(await _answered(client_id, updating))


class Listed(BaseModel):
    """One line of `list`."""

    client_id: str
    stage: str
    window_closes: datetime | None
    started: datetime


async def ejects(client: Client, stage: str | None = None) -> AsyncIterator[Listed]:
    """Every eject that Temporal still shows, the latest first; a new one may take a second to appear."""
    query = "WorkflowType = 'Eject'" + (f" AND {Attribute.STAGE} = '{stage}'" if stage else "")
    async for found in client.list_workflows(query):
        values = found.typed_search_attributes
        yield Listed(
            client_id=values.get(attributes.CLIENT) or found.id.removeprefix("eject-"),
            stage=values.get(attributes.STAGE) or "unknown",
            window_closes=values.get(attributes.WINDOW_CLOSES),
            started=found.start_time,
        )


async def _answered(client_id: str, asking: Coroutine[Any, Any, T]) -> T:
    """Await an answer of a client's eject, every failure as one sentence."""
    try:
        # Not `rpc_timeout`: it bounds one call, and an update without a worker is asked for anew for ever.
        async with asyncio.timeout(ANSWERS_WITHIN.total_seconds()):
            return await asking
    except WorkflowUpdateFailedError as error:
        raise EjectError(str(error.cause)) from None
    except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError, WorkflowQueryFailedError):
        raise NoAnswerError("The eject does not answer: see that a worker runs, then try again") from None
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise EjectError(f"No eject of client {client_id} is running: see `starter.py list`") from None
        if error.status in (RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED):
            raise NoAnswerError("The eject does not answer: see that a worker runs, then try again") from None
        raise


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help=__doc__)


def _id(text: str) -> str:
    try:
        return TypeAdapter(Id).validate_python(text)
    except ValidationError:
        raise typer.BadParameter("an id has 1 to 64 letters, digits, '-' and '_'") from None


def _recipient(text: str) -> str:
    if not is_recipient(text):
        raise typer.BadParameter("not an age public key (age1...), or its checksum is wrong: copy it again")
    return text


ClientId = Annotated[str, typer.Option("--client", callback=_id, help="Portal's id of the client.")]
InFile = Annotated[typer.FileText, typer.Option("--file", help="'-' reads standard input.")]
By = Annotated[str, typer.Option(help="Who gives this command; stands in history as asserted.")]


@app.command("deposit")
def _deposit(client: ClientId, file: InFile) -> None:
    """Seal a client's signing shares (the JSON that generate answered) into the vault."""
    settings = load_settings()
    settings.require("vault_url", "client_recipient")
    shares = SecretStr(file.read())
    try:
        vault = Vault(str(settings.vault_url))
    except ValueError as error:
        raise SettingsError(f"EJECT_VAULT_URL {error}") from None
    asyncio.run(deposit(vault, client, shares, str(settings.client_recipient)))
    typer.echo(f"The signing shares of client {client} are deposited.")


@app.command("start")
def _start(  # noqa: PLR0917 (typer passes options by name)
    client: ClientId,
    recipient: Annotated[
        str, typer.Option(callback=_recipient, help="The owner's age public key (age1...).")
    ],
    window: Annotated[str, typer.Option(help="How long the owner has, as PT24H or P7D.")],
    requested_by: Annotated[str, typer.Option(help="Who asks; stands in the receipt as asserted.")],
    reason: Annotated[str, typer.Option(help="Why, in one line without secrets.")],
    replace_backup: Annotated[bool, typer.Option(help="The eject may replace the only backup.")] = False,
) -> None:
    """Start an eject, or join the one that runs with the same request."""
    request = EjectRequest.model_validate(
        {
            "client_id": client,
            "recipient": recipient,
            "window": window,
            "requested_by": requested_by,
            "reason": reason,
            "replace_backup": replace_backup,
        }
    )
    handle = _connected(lambda temporal: start(temporal, request))
    typer.echo(f"{handle.id} is running: see `starter.py status --client {client}`.")


@app.command("status")
def _status(client: ClientId) -> None:
    """Print where a client's eject is, or the receipt of its last one, as JSON."""
    _print(_connected(lambda temporal: status(temporal, client)))


@app.command("list")
def _list(
    stage: Annotated[str | None, typer.Option(help="Only ejects in this stage, such as parked.")] = None,
) -> None:
    """Print every eject that Temporal still shows: client, stage, close of the window."""
    if stage not in (None, *Stage, *End):
        raise typer.BadParameter(f"a stage is one of {', '.join((*Stage, *End))}")

    async def found(temporal: Client) -> list[Listed]:
        return [line async for line in ejects(temporal, stage)]

    for line in _connected(found):
        closes = line.window_closes.isoformat(timespec="seconds") if line.window_closes else "-"
        typer.echo(f"{line.client_id}\t{line.stage}\t{closes}")


@app.command("claim")
def _claim(client: ClientId, by: By) -> None:
    """Have the sealed files released; prints what the owner's device needs as JSON."""
    command = Claim(claimed_by=by)
    _print(_connected(lambda temporal: claim(temporal, client, command)))


@app.command("prove")
def _prove(client: ClientId, file: InFile) -> None:
    """Hand in the proofs that the device made (the JSON of `python -m device sign`)."""
    command = Prove.model_validate_json(file.read())
    _print(_connected(lambda temporal: prove(temporal, client, command)))


@app.command("retry")
def _retry(
    client: ClientId,
    park: Annotated[int, typer.Option(help="The number of the park, as `status` shows it.")],
    by: By,
    why: Annotated[str, typer.Option(help="What was mended, in one line without secrets.")],
) -> None:
    """Run the parked step of a client's eject again, once its cause is mended."""
    command = Retry(park=park, by=by, why=why)
    _print(_connected(lambda temporal: retry(temporal, client, command)))


def _connected(work: Callable[[Client], Coroutine[Any, Any, T]]) -> T:
    async def run() -> T:
        return await work(await connect())

    return asyncio.run(run())


def _print(answer: BaseModel) -> None:
    typer.echo(answer.model_dump_json(indent=2))


def main() -> NoReturn:
    """Run the command line and leave with its exit code."""
    forbid_core_dumps()
    code, told = 1, ""
    try:
        code = app(args=sys.argv[1:] or ["--help"], standalone_mode=False) or 0
    except typer.TyperException as error:
        code, told = error.exit_code, " ".join(error.format_message().split()).rstrip(".")
    except (NoAnswerError, TemporalUnreachableError) as error:
        code, told = 3, str(error)
    except EjectError as error:
        told = str(error)
    except ValidationError as error:
        code, told = 2, f"The input is wrong: {sentence(error)}"
    except SettingsError as error:
        code, told = 2, str(error)
    except RPCError as error:
        code, told = 3, f"Temporal did not take the call: {error.message}"
    except Exception as error:  # its text and traceback may hold what was given
        told = f"Stopped at an unexpected {type(error).__name__}, a setting it cannot use or a fault of ours"
    if told:
        typer.echo(told, err=True)
    leave(code)


if __name__ == "__main__":
    main()
