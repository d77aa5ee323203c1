"""What fails for good, at every step: it parks in the right words, and once mended and retried all is well.

All cases are rows of one table, `ROWS`. The tests at the end read the code and go red where a step, a
failure, a meaning of a call's replies, an operation of the vault, or a place that reports has no row.
"""

import ast
import asyncio
import base64
import inspect
import json
import re
import sys
import textwrap
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import groupby, product
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, get_type_hints

import obstore
import pyrage
import pytest
import pytest_asyncio
from obstore.exceptions import PermissionDeniedError, UnauthenticatedError
from pydantic import SecretStr
from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

import portal.http
import starter
from activities.errors import ActivityBoundary
from contracts.failures import RULES, Failure, StepError
from contracts.names import Role, api_key_name, backup_name, custodian_half_name, deposit_name, released_name
from contracts.parks import Park, RetryOutcome
from contracts.receipt import Receipt
from contracts.stages import End, Stage
from custody.sealing import seal_deposit
from portal import calls
from portal.calls import Call, RawReply, decide
from portal.client import ClientApi
from runtime.settings import ClientCredential
from tests.harness.portal import Customer, Sandbox
from tests.harness.secrets import decoded
from tests.harness.world import World, make_world, serving
from workflows import policies
from workflows.policies import Step

DAY = timedelta(days=1)
# Stands in every body that Portal refuses with, and in every error of the vault; nobody may repeat it.
SECRET = "Zq7planted0share1that2nobody3may4see"  # noqa: S105 (planted to be looked for)

# Not troubles but turns of the story: no park ever shows them.
TURNS = {Failure.WINDOW_AGED, Failure.WINDOW_CLOSED}
# The words without which what mends a failure would not tell an operator what to do.
MENDS = {
    Failure.UNEXPECTED: "update the worker",
    Failure.CREDENTIAL_REJECTED: "a credential that Portal takes",
    Failure.VAULT_REFUSED: "access to the vault",
    Failure.NOT_FOUND: "with Portal why it does not know this",
    Failure.PORTAL_REFUSED: "mend at Portal what it refuses",
    Failure.REPLY_UNREADABLE: "update the worker",
    Failure.DEPOSIT_MISSING: "`--api-key` for the API key",
    Failure.DEPOSIT_UNREADABLE: "`--api-key` for the API key",
    Failure.SHARE_UNREADABLE: "ask Portal why its share",
    Failure.PAIR_MISMATCH: "ask Portal why",
    Failure.CIPHER_TEXT_CHANGED: "who replaced the cipher text",
    Failure.WALLETS_CHANGED: "put the client's wallets back",
    Failure.HELD_MISSING: "from a backup, remove what is not its own from released/",
    Failure.MESSAGE_INVALID: "update the worker",
}


@dataclass
class Scene:
    """One eject and what a case needs to trouble it."""

    world: World
    patch: pytest.MonkeyPatch
    customer: Customer
    handle: starter.EjectHandle
    names: dict[str, str]

    @property
    def eject_id(self) -> str:
        """The id under which its files lie."""
        return str(self.handle.first_execution_run_id)

    def shown(self) -> dict[str, Any]:
        """The client as Portal shows it now."""
        return self.world.sandbox.client(self.customer.client_id)

    def fault(self, call: Call[Any], status: int, body: Any, **more: Any) -> None:
        """Have Portal answer the next such call about this client so."""
        (name,) = (name for name, known in vars(calls).items() if known is call)
        on_the_wire = "complete_client" if call is calls.COMPLETE else name.lower()
        client_id = self.customer.client_id
        self.world.sandbox.fault(on_the_wire, "status", status=status, body=body, client_id=client_id, **more)


# A cause troubles the scene; what stands after its `yield` is the mend.
Cause = Callable[[Scene], AbstractContextManager[None]]


@dataclass(frozen=True)
class Row:
    """One failure at one step, with what causes and mends it; rows of the same `about` share one eject.

    `reason` is the sentence that `status` shows, without its trace; in braces stand names of the scene.
    """

    step: Step[Any, Any]
    about: str
    failure: Failure
    reason: str
    cause: Cause
    operation: str = ""
    strict: bool = False


# --- The roads to each step: everything up to it, and from its last retry on everything up to the end.


async def _started(scene: Scene) -> None:
    scene.handle = await scene.world.start(scene.customer)


async def _claimable(scene: Scene) -> None:
    await _started(scene)
    await scene.world.reach(scene.handle, Stage.AWAITING_CLAIM)


async def _prove(scene: Scene) -> None:
    world, customer = scene.world, scene.customer
    await world.prove(customer, world.proofs(await world.claim(customer)))


@asynccontextmanager
async def before_the_claim(scene: Scene) -> AsyncIterator[None]:
    """The first steps run by themselves."""
    await _started(scene)
    yield
    await scene.world.reach(scene.handle, Stage.AWAITING_CLAIM)
    await _prove(scene)


@asynccontextmanager
async def at_the_claim(scene: Scene) -> AsyncIterator[None]:
    """The owner's first claim waits as long as the release does."""
    await _claimable(scene)
    claiming = asyncio.create_task(scene.world.claim(scene.customer))
    try:
        yield
        await scene.world.prove(scene.customer, scene.world.proofs(await claiming))
    finally:
        claiming.cancel()


@asynccontextmanager
async def after_an_extension(scene: Scene) -> AsyncIterator[None]:
    """Claimed, closed, and opened once more: both halves come back."""
    await _claimable(scene)
    await scene.world.claim(scene.customer)
    assert await scene.world.forward(scene.handle, DAY + timedelta(minutes=1))
    await scene.world.reach(scene.handle, Stage.UNRESOLVED)
    await scene.world.extend(scene.customer, DAY)
    yield
    await scene.world.reach(scene.handle, Stage.AWAITING_CLAIM, times=2)
    await _prove(scene)


@asynccontextmanager
async def once_proven(scene: Scene) -> AsyncIterator[None]:
    """What is owed after the last proof."""
    await _claimable(scene)
    await _prove(scene)
    yield


@asynccontextmanager
async def after_the_last_purge(scene: Scene) -> AsyncIterator[None]:
    """The wait before the last look is skipped."""
    await _claimable(scene)
    await _prove(scene)
    assert await scene.world.forward(scene.handle, timedelta(seconds=30))
    yield


@asynccontextmanager
async def at_a_cancel(scene: Scene) -> AsyncIterator[None]:
    """Cancelled while Portal's window is open."""
    await _claimable(scene)
    await scene.world.cancel(scene.customer)
    yield


@dataclass(frozen=True)
class Road:
    """The way to a step, the stage in which it parks, and the end that is right."""

    way: Callable[[Scene], AbstractAsyncContextManager[None]]
    stage: Stage
    end: End = End.EJECTED


ROADS = {
    policies.CHECK.name: Road(before_the_claim, Stage.CHECKING),
    policies.BACK_UP.name: Road(before_the_claim, Stage.BACKING_UP),
    policies.CONFIRM_BACKUP.name: Road(before_the_claim, Stage.CONFIRMING_BACKUP),
    policies.ENABLE_EJECT.name: Road(before_the_claim, Stage.ENABLING),
    policies.FETCH_SHARES.name: Road(before_the_claim, Stage.FETCHING_SHARES),
    policies.RELEASE.name: Road(at_the_claim, Stage.AWAITING_PROOF),
    policies.RESTORE_BACKUP.name: Road(after_an_extension, Stage.FETCHING_SHARES),
    policies.SHRINK_WINDOW.name: Road(at_a_cancel, Stage.CLOSING, End.CANCELLED),
    policies.COMPLETE.name: Road(once_proven, Stage.COMPLETING),
    policies.PURGE.name: Road(once_proven, Stage.CLOSING),
    policies.DELETE_DEPOSIT.name: Road(after_the_last_purge, Stage.CLOSING),
    policies.WRITE_RECEIPT.name: Road(after_the_last_purge, Stage.CLOSING),
}

# --- Causes.


@contextmanager
def answered(call: Call[Any], status: int, body: Any, scene: Scene, **more: Any) -> Iterator[None]:
    """Portal answers once so; it mends itself."""
    scene.fault(call, status, body, **more)
    yield


@contextmanager
def shown_as(call: Call[Any], change: Callable[[dict[str, Any]], Any], scene: Scene) -> Iterator[None]:
    """Portal shows the client once with a change."""
    client = scene.shown()
    change(client)
    scene.fault(call, 200, client)
    yield


@contextmanager
def changed(before: Mapping[str, Any], after: Mapping[str, Any], scene: Scene) -> Iterator[None]:
    """The client is changed at Portal, and changed back."""
    scene.world.sandbox.change(scene.customer.client_id, **before)
    yield
    scene.world.sandbox.change(scene.customer.client_id, **after)


@contextmanager
def wallet_added(scene: Scene) -> Iterator[None]:
    """A wallet is added at Portal, and removed."""
    known = {wallet["id"] for wallet in scene.shown()["wallets"]}
    scene.world.sandbox.change(scene.customer.client_id, add_wallet="ED25519")
    (added,) = {wallet["id"] for wallet in scene.shown()["wallets"]} - known
    scene.names["added"] = added
    yield
    scene.world.sandbox.change(scene.customer.client_id, remove_wallet=added)


@contextmanager
def key_hidden(scene: Scene) -> Iterator[None]:
    """Portal shows no key for the first wallet any more, and then does."""
    wallet, change = scene.names["first"], scene.world.sandbox.change
    change(scene.customer.client_id, wallets={wallet: {"public_key": "null"}})
    yield
    change(scene.customer.client_id, wallets={wallet: {"public_key": "lower"}})


@contextmanager
def next_fetch(which: str, what: str, scene: Scene) -> Iterator[None]:
    """The next fetch of one wallet's shares answers something else."""
    wallets = {scene.names[which]: {"next_fetch": what}}
    scene.world.sandbox.change(scene.customer.client_id, wallets=wallets)
    yield


@contextmanager
def refused_after_completion(scene: Scene) -> Iterator[None]:
    """Portal has completed, and then rejects the credential that would read its mark."""
    original = ClientApi.complete

    async def complete(api: ClientApi) -> None:
        await original(api)
        scene.fault(calls.READ_CLIENT_AS_ITSELF, 401, SECRET)

    with scene.patch.context() as patch:
        patch.setattr(ClientApi, "complete", complete)
        yield


@contextmanager
def spoilt(
    name: Callable[[Scene], str], data: Callable[[Scene], bytes | None], scene: Scene
) -> Iterator[None]:
    """A file in the vault is another, or gone (None), and put back as it was."""
    path = scene.world.vault_folder / name(scene)
    before, after = path.read_bytes() if path.exists() else None, data(scene)
    _put(path, after)
    yield
    _put(path, before)


def _put(path: Path, data: bytes | None) -> None:
    if data is None:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


@contextmanager
def vault_refuses(operation: str, place: str, error: type[Exception], scene: Scene) -> Iterator[None]:
    """The store refuses one operation on a place, until access is given again."""
    original = getattr(obstore, operation)

    def refusing(store: Any, what: Any, *given: Any, **named: Any) -> Any:
        if place in str(what):
            raise error(SECRET)
        return original(store, what, *given, **named)

    with scene.patch.context() as patch:
        patch.setattr(obstore, operation, refusing)
        yield


class _Odd(ActivityInboundInterceptor):
    """A step that ends as only a worker of another version ends it."""

    def __init__(self, following: ActivityInboundInterceptor, step: str, end: Callable[[], Any]) -> None:
        super().__init__(following)
        self._step, self._end = step, end

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 (the SDK's name)
        if activity.info().activity_type == self._step:
            return self._end()
        return await super().execute_activity(input)


@contextmanager
def odd_worker(step: Step[Any, Any], end: Callable[[], Any], scene: Scene) -> Iterator[None]:
    """A worker of another version takes the step, until it is updated."""
    original = ActivityBoundary.intercept_activity

    def intercept(
        boundary: ActivityBoundary, following: ActivityInboundInterceptor
    ) -> ActivityInboundInterceptor:
        return _Odd(original(boundary, following), step.name, end)

    with scene.patch.context() as patch:
        patch.setattr(ActivityBoundary, "intercept_activity", intercept)
        yield


def _other_form() -> Any:
    return [5]


def _other_words() -> Any:
    raise ApplicationError("other words", type="OfANewerWorker", non_retryable=True)


# --- The table.

# Documented bodies of Portal's, Tatum's, and of what stands before them: status, body, what it means.
_TATUM = {"errorCode": SECRET, "message": SECRET}
REFUSALS: tuple[tuple[int, Any, Failure], ...] = (
    (400, {"error": SECRET}, Failure.PORTAL_REFUSED),
    (400, {}, Failure.PORTAL_REFUSED),
    (401, f"Authorization header is missing {SECRET}", Failure.CREDENTIAL_REJECTED),
    (401, _TATUM | {"statusCode": 401}, Failure.CREDENTIAL_REJECTED),
    (403, _TATUM | {"statusCode": 403}, Failure.CREDENTIAL_REJECTED),
    (404, _TATUM | {"statusCode": 404}, Failure.NOT_FOUND),
    (409, None, Failure.PORTAL_REFUSED),
    (422, _TATUM | {"statusCode": 422}, Failure.PORTAL_REFUSED),
)
# The enclave's error ids, flat and nested: status, id, what it means.
ENCLAVE_REFUSALS = (
    (400, "BAD_REQUEST", Failure.PORTAL_REFUSED),
    (400, "STATE_INVALID", Failure.PORTAL_REFUSED),
    (400, "MPC_PROTOCOL_UNSUPPORTED", Failure.PORTAL_REFUSED),
    (400, "DKG_REFRESH_MISMATCH", Failure.PORTAL_REFUSED),
    (400, "METADATA_INVALID", Failure.PORTAL_REFUSED),
    (404, "NOT_FOUND", Failure.NOT_FOUND),
    (400, "AUTH_FAILED", Failure.CREDENTIAL_REJECTED),
    (500, "AUTH_FAILED", Failure.CREDENTIAL_REJECTED),
    (400, "SHARE_PARSING_FAILED", Failure.DEPOSIT_UNREADABLE),
    (500, "DECRYPT_FAILED", Failure.DEPOSIT_UNREADABLE),
)
VAULT_REFUSALS = (PermissionDeniedError, UnauthenticatedError, PermissionError)
# A success of another shape: the body, and the fields that the reason names.
SHAPES: dict[str, list[tuple[Any, str]]] = {
    calls.READ_CLIENT.name: [
        ({"client": {"id": SECRET}}, "id"),
        ({"id": "c", "wallets": [{"id": "w", "curve": SECRET}]}, "wallets.0.curve"),
    ],
    calls.READ_CLIENT_AS_ITSELF.name: [({"id": "c", "ejectedAt": SECRET}, "ejectedAt")],
    calls.MINT_SESSION.name: [({"id": SECRET}, "clientSessionToken")],
    calls.BACK_UP.name: [({"SECP256K1": {"share": [SECRET], "id": "p"}}, "SECP256K1.share")],
    calls.READ_CIPHER_TEXT.name: [({"cipherText": None}, "cipherText")],
    calls.ENABLE_EJECT.name: [({"ejectableUntil": None}, "ejectableUntil"), ([SECRET], "its body")],
    calls.FETCH_SHARES.name: [
        ({"encryptedClientBackupShare": SECRET}, "custodianBackupShare"),
        ({"custodianBackupShare": {"share": SECRET}}, "custodianBackupShare"),
    ],
}


def reply(step: Step[Any, Any], call: Call[Any], status: int, body: Any, **more: Any) -> Callable[..., Row]:
    """A row for one answer of Portal's; it still wants its meaning and its words."""
    return partial(Row, step, call.name, cause=partial(answered, call, status, body, **more))


def of_call(step: Step[Any, Any], call: Call[Any]) -> Iterator[Row]:
    """Every permanent answer to a call, whichever step makes it."""
    for status, body, failure in REFUSALS:
        # The first check takes it for an answer: see the test of the refused one.
        if (step, call, status) != (policies.CHECK, calls.READ_CLIENT, 404):
            yield reply(step, call, status, body)(failure, f"Portal answered {status} to '{call.name}'")
    for body, fields in SHAPES.get(call.name, ()):
        told = f"Portal's answer to '{call.name}' has no or another form of: {fields}"
        yield reply(step, call, 200, body)(Failure.REPLY_UNREADABLE, told)


def of_the_enclave() -> Iterator[Row]:
    """Refusals with an id, and shares that are not those of this backup."""
    step, call = policies.BACK_UP, calls.BACK_UP
    for number, (status, error_id, failure) in enumerate(ENCLAVE_REFUSALS):
        said = {"id": error_id, "message": SECRET}
        body = {"error": said | {"code": 320}} if number % 2 else said
        yield reply(step, call, status, body)(failure, f"Portal answered {status} {error_id} to 'back up'")
    garbage, told = {"SECP256K1": {"share": SECRET, "id": "p"}}, "The backup share of wallet {first} "
    yield reply(step, call, 200, garbage)(Failure.SHARE_UNREADABLE, told + "does not parse")
    for failure, reason, named, key in (
        (Failure.SHARE_UNREADABLE, "The backup has no ED25519 share for wallet {second}", "p", 0),
        (Failure.PAIR_MISMATCH, told + "names another pair than its reply", "q", 0),
        (Failure.PAIR_MISMATCH, told + "belongs to another key", "p", 1),
    ):
        yield Row(step, call.name, failure, reason, partial(one_share, named, key))


@contextmanager
def one_share(named: str, key: int, scene: Scene) -> Iterator[None]:
    """The enclave answers one share, as of pair `p`, that names a pair and the key of one wallet."""
    point = json.loads(scene.shown()["wallets"][key]["publicKey"])
    text = json.dumps({"backupSharePairId": named, "pubkey": point, "share": SECRET})
    share = base64.b64encode(text.encode()).decode().rstrip("=")
    scene.fault(calls.BACK_UP, 200, {"SECP256K1": {"share": share, "id": "p"}})
    yield


def _another(client: dict[str, Any]) -> None:
    client["id"] = "somebody-else"


def _off_the_curve(client: dict[str, Any]) -> None:
    client["wallets"][0]["publicKey"] = json.dumps({"x": "9" * 78, "y": "9" * 78})


def _other_key(client: dict[str, Any]) -> None:
    client["wallets"][0]["publicKey"] = json.dumps({"x": "1", "y": "2"})


def _odd_address(client: dict[str, Any]) -> None:
    client["metadata"]["namespaces"]["eip155"]["address"] = f"{SECRET} is no address"


def _one_wallet(client: dict[str, Any]) -> None:
    del client["wallets"][0]


def of_the_client(step: Step[Any, Any], call: Call[Any], *, read: bool, compared: bool) -> Iterator[Row]:
    """A client that is shown as somebody else, (where its wallets are read) oddly, or (compared) changed."""
    row = partial(Row, step, "the client")
    other = "Portal answered with another client than this one"
    yield row(Failure.CREDENTIAL_REJECTED, other, partial(shown_as, call, _another))
    if read:
        point = "The public key of wallet {first} is no point of its curve"
        yield row(Failure.REPLY_UNREADABLE, point, partial(shown_as, call, _off_the_curve))
        published = "A published address for wallet {first} has no known form"
        yield row(Failure.REPLY_UNREADABLE, published, partial(shown_as, call, _odd_address))
    if compared:
        told = "The client's wallets are not those that were checked: wallet "
        row = partial(row, Failure.WALLETS_CHANGED)
        yield row(told + "{added} is new", wallet_added)
        yield row(told + "{first} is gone", key_hidden)
        yield row(told + "{first} is gone", partial(shown_as, call, _one_wallet))
        yield row(told + "{first} has another key", partial(shown_as, call, _other_key))


def of_the_vault(step: Step[Any, Any], *operations: tuple[str, str]) -> Iterator[Row]:
    """A vault that refuses each operation, in each of the ways in which stores say so."""
    told = "The vault refuses this worker's credentials"
    for (operation, place), error in product(operations, VAULT_REFUSALS):
        cause = partial(vault_refuses, operation, place, error)
        yield Row(step, "the vault", Failure.VAULT_REFUSED, told, cause, operation)


def _backup(scene: Scene) -> str:
    return backup_name(scene.eject_id)


def _half(which: str, scene: Scene) -> str:
    return custodian_half_name(scene.eject_id, scene.names[which])


def _released(role: Role, scene: Scene) -> str:
    return released_name(scene.eject_id, role, scene.names["second"])


def _signing_shares(scene: Scene) -> str:
    return deposit_name(scene.customer.client_id)


def _api_key(scene: Scene) -> str:
    return api_key_name(scene.customer.client_id)


def _gone(_: Scene) -> None:
    return None


def _garbage(_: Scene) -> bytes:
    return b'{"files": ' + SECRET.encode()


def _emptied(_: Scene) -> bytes:
    return b'{"files": []}'


def _second_half(scene: Scene) -> bytes:
    return (scene.world.vault_folder / _half("second", scene)).read_bytes()


def _sealed(text: str, scene: Scene) -> bytes:
    return seal_deposit(SecretStr(text), str(scene.world.settings.client_recipient))


def _sealed_to_nobody(_: Scene) -> bytes:
    return seal_deposit(SecretStr(SECRET), str(pyrage.x25519.Identity.generate().to_public()))


def _of_another(scene: Scene) -> bytes:
    return _sealed(scene.world.sandbox.seed().generate_response.get_secret_value(), scene)


def _key_of_another(scene: Scene) -> bytes:
    return _sealed(scene.world.sandbox.seed().api_key.get_secret_value(), scene)


def of_the_deposit() -> Iterator[Row]:
    """Signing shares that are missing, sealed to another, somebody else's, or none."""
    row, unreadable = partial(Row, policies.BACK_UP, "the deposit"), Failure.DEPOSIT_UNREADABLE
    spoil = partial(spoilt, _signing_shares)
    missing = "No signing shares were deposited for client {client}"
    yield row(Failure.DEPOSIT_MISSING, missing, partial(spoil, _gone))
    sealed = "The deposit was not sealed to this worker's client identity"
    yield row(unreadable, sealed, partial(spoil, _sealed_to_nobody))
    yield row(unreadable, sealed, partial(spoil, _garbage))
    none = "The deposited signing shares are not the body of a generate reply"
    yield row(unreadable, none, partial(spoil, partial(_sealed, SECRET)))
    other = "The deposited SECP256K1 signing share is not that of wallet {first}"
    yield row(unreadable, other, partial(spoil, _of_another))


def of_the_api_key(step: Step[Any, Any], call: Call[Any], other: Failure, told: str) -> Iterator[Row]:
    """The client's own credential, where the role has no other; what another client's leads to depends."""
    row, spoil = partial(Row, step, "the API key", strict=True), partial(spoilt, _api_key)
    missing = "No API key was deposited for client {client}"
    yield row(Failure.DEPOSIT_MISSING, missing, partial(spoil, _gone))
    sealed = "The deposit was not sealed to this worker's client identity"
    yield row(Failure.DEPOSIT_UNREADABLE, sealed, partial(spoil, _sealed_to_nobody))
    none = f"The credential for '{call.name}' is not one: copy it again"
    yield row(Failure.CREDENTIAL_REJECTED, none, partial(spoil, partial(_sealed, f"{SECRET}\n")))
    revoked = f"Portal answered 401 to '{call.name}'"
    yield row(Failure.CREDENTIAL_REJECTED, revoked, partial(spoil, partial(_sealed, SECRET)))
    yield row(other, told, partial(spoil, _key_of_another))


def of_the_files(
    step: Step[Any, Any], *rows: tuple[str, Callable[..., Any], Callable[..., Any]]
) -> Iterator[Row]:
    """Files in the vault that are missing, damaged, or not this eject's."""
    for reason, name, data in rows:
        yield Row(step, "the files", Failure.HELD_MISSING, reason, partial(spoilt, name, data))


def of_the_worker(step: Step[Any, Any]) -> Iterator[Row]:
    """A step that ends as none of ours does; the first of them is how every case comes to its step."""
    form = "What the step was given or answered has another form: message: Input should be a valid dictionary"
    form += f" or instance of {step.answer.__name__}"
    yield Row(step, "the worker", Failure.MESSAGE_INVALID, form, partial(odd_worker, step, _other_form))
    words = "The step ended with ApplicationError"
    yield Row(step, "the worker", Failure.UNEXPECTED, words, partial(odd_worker, step, _other_words))


_READ, _ME = calls.READ_CLIENT, calls.READ_CLIENT_AS_ITSELF
_NO_BACKUP = "The vault has no longer the backup that this eject made"
_DAMAGED_BACKUP, _DAMAGED = "The backup file in the vault is damaged", "A sealed file in the vault is damaged"
_CIPHER_TEXT = "Portal's cipher text for wallet {%s} is not the one that this eject stored"
_NO_CLIENT_HALF = "The vault has no longer the client half of wallet {first}"
_NO_CUSTODIAN_HALF = "The vault has no longer the custodian half of wallet {first}"

ROWS: tuple[Row, ...] = (
    *(row for road in vars(policies).values() if isinstance(road, Step) for row in of_the_worker(road)),
    # check: reads the client
    *of_call(policies.CHECK, _READ),
    *of_the_client(policies.CHECK, _READ, read=True, compared=False),
    reply(policies.CHECK, _READ, 302, SECRET, headers={"Location": "/api/v3/clients/me"})(
        Failure.PORTAL_REFUSED, "Portal answered 302 to 'read client'"
    ),
    reply(policies.CHECK, _READ, 200, {}, headers={"Content-Encoding": "gzip"})(
        Failure.REPLY_UNREADABLE, "Portal's answer to 'read client' is compressed, unasked"
    ),
    reply(policies.CHECK, _READ, 200, SECRET * 60_000)(
        Failure.REPLY_UNREADABLE, "Portal's answer to 'read client' is larger than 2000000 bytes"
    ),
    # back up: deposit, who the credential is, enclave, vault
    *of_call(policies.BACK_UP, calls.MINT_SESSION),
    *of_call(policies.BACK_UP, _ME),
    *of_call(policies.BACK_UP, calls.BACK_UP),
    *of_the_enclave(),
    *of_the_deposit(),
    *of_the_api_key(
        *(policies.BACK_UP, _ME, Failure.CREDENTIAL_REJECTED),
        "Portal answered with another client than this one",
    ),
    *of_the_vault(policies.BACK_UP, ("get", "held/"), ("get", "deposits/"), ("put", "held/")),
    *of_the_files(policies.BACK_UP, (_DAMAGED_BACKUP, _backup, _garbage)),
    # confirm backup: store, confirm, read back
    *of_call(policies.CONFIRM_BACKUP, calls.MINT_SESSION),
    *of_call(policies.CONFIRM_BACKUP, calls.STORE_CIPHER_TEXT),
    *of_call(policies.CONFIRM_BACKUP, calls.CONFIRM_BACKUP),
    *of_call(policies.CONFIRM_BACKUP, _ME),
    *of_the_client(policies.CONFIRM_BACKUP, _ME, read=False, compared=False),
    *of_the_api_key(
        *(policies.CONFIRM_BACKUP, calls.STORE_CIPHER_TEXT, Failure.PORTAL_REFUSED),
        "Portal answered 400 to 'store cipher text'",
    ),
    *of_the_vault(policies.CONFIRM_BACKUP, ("get", "held/")),
    *of_the_files(
        policies.CONFIRM_BACKUP,
        (_NO_BACKUP, _backup, _gone),
        (_NO_BACKUP, _backup, _emptied),
        (_DAMAGED_BACKUP, _backup, _garbage),
    ),
    # enable eject: compares the client, opens the window
    *of_call(policies.ENABLE_EJECT, _READ),
    *of_call(policies.ENABLE_EJECT, calls.ENABLE_EJECT),
    *of_the_client(policies.ENABLE_EJECT, _READ, read=True, compared=True),
    Row(
        *(policies.ENABLE_EJECT, "the client", Failure.WALLETS_CHANGED),
        "Portal calls the client ejected since it was checked",
        partial(changed, {"ejected_at": datetime(2026, 1, 2, tzinfo=UTC).isoformat()}, {"ejected_at": None}),
    ),
    # fetch shares: inside the window
    *of_call(policies.FETCH_SHARES, calls.FETCH_SHARES),
    *(
        Row(policies.FETCH_SHARES, "the shares", failure, reason, partial(next_fetch, which, what))
        for failure, which, what, reason in (
            (
                Failure.SHARE_UNREADABLE,
                "first",
                "garbage",
                "The custodian share of wallet {first} does not parse",
            ),
            (
                *(Failure.PAIR_MISMATCH, "first", "other_pair"),
                "The custodian share of wallet {first} is not of the pair that was backed up",
            ),
            (Failure.CIPHER_TEXT_CHANGED, "second", "other_cipher_text", _CIPHER_TEXT % "second"),
            (Failure.CIPHER_TEXT_CHANGED, "second", "no_cipher_text", _CIPHER_TEXT % "second"),
        )
    ),
    *of_the_vault(policies.FETCH_SHARES, ("get", "held/"), ("put", "held/")),
    *of_the_files(policies.FETCH_SHARES, (_DAMAGED, partial(_half, "first"), _garbage)),
    # release: the vault only
    *of_the_vault(policies.RELEASE, ("get", "/client/"), ("get", "/custodian/"), ("put", "released/")),
    *of_the_files(
        policies.RELEASE,
        (_NO_CLIENT_HALF, _backup, _gone),
        (_NO_CLIENT_HALF, _backup, _emptied),
        (_DAMAGED_BACKUP, _backup, _garbage),
        (_NO_CUSTODIAN_HALF, partial(_half, "first"), _gone),
        (_NO_CUSTODIAN_HALF, partial(_half, "first"), _second_half),
        (_DAMAGED, partial(_half, "first"), _garbage),
        (
            "In released/ lies another client half of wallet {second}",
            partial(_released, Role.CLIENT),
            _garbage,
        ),
    ),
    # restore backup: after a purge, from Portal
    *of_call(policies.RESTORE_BACKUP, calls.MINT_SESSION),
    *of_call(policies.RESTORE_BACKUP, calls.READ_CIPHER_TEXT),
    reply(policies.RESTORE_BACKUP, calls.READ_CIPHER_TEXT, 200, {"cipherText": SECRET})(
        Failure.CIPHER_TEXT_CHANGED, _CIPHER_TEXT % "first"
    ),
    *of_the_api_key(
        *(policies.RESTORE_BACKUP, calls.READ_CIPHER_TEXT, Failure.NOT_FOUND),
        "Portal answered 404 to 'read cipher text'",
    ),
    *of_the_vault(policies.RESTORE_BACKUP, ("put", "held/")),
    # complete: reads, compares, marks, reads back
    *of_call(policies.COMPLETE, calls.MINT_SESSION),
    *of_call(policies.COMPLETE, _ME),
    *of_call(policies.COMPLETE, calls.COMPLETE),
    *of_the_client(policies.COMPLETE, _ME, read=True, compared=True),
    *of_the_api_key(
        *(policies.COMPLETE, _ME, Failure.CREDENTIAL_REJECTED),
        "Portal answered with another client than this one",
    ),
    Row(
        *(policies.COMPLETE, "the mark", Failure.CREDENTIAL_REJECTED),
        "Portal answered 401 to 'read client as itself'",
        refused_after_completion,
    ),
    # the ends
    *of_call(policies.SHRINK_WINDOW, _READ),
    *of_call(policies.SHRINK_WINDOW, calls.ENABLE_EJECT),
    *of_the_client(policies.SHRINK_WINDOW, _READ, read=False, compared=False),
    *of_the_vault(policies.PURGE, ("list", "held/"), ("delete", "held/"), ("list", "released/")),
    *of_the_vault(policies.DELETE_DEPOSIT, ("list", "deposits/"), ("delete", "deposits/")),
    *of_the_vault(policies.WRITE_RECEIPT, ("put", "receipts/")),
)


def _case(row: Row) -> tuple[str, str]:
    return row.step.name, row.about


CASES = {case: tuple(rows) for case, rows in groupby(sorted(ROWS, key=_case), _case)}

# --- The cases.


@pytest_asyncio.fixture(loop_scope="session")
async def strict_world(temporal: Client, sandbox: Sandbox, tmp_path: Path) -> AsyncIterator[World]:
    """A world whose client role has only the client's own deposited API key."""
    made = make_world(temporal, sandbox, tmp_path)
    made.settings = made.settings.model_copy(update={"client_credential": ClientCredential.STRICT})
    async with serving(made):
        yield made


def _is_told(row: Row, park: Park, number: int, scene: Scene) -> None:
    """The park shows the row's failure in one sentence, what mends it in another, and nothing of a body."""
    assert (park.number, park.step, park.stage) == (number, row.step.name, ROADS[row.step.name].stage)
    assert park.failure is row.failure, park
    reason = re.sub(r" \(trace [0-9a-f-]{36}\)$", "", park.reason)
    assert reason == row.reason.format(**scene.names)
    assert MENDS[row.failure] in park.mend
    assert "retry" in park.mend
    for sentence in (reason, park.mend):
        assert not re.search(r"[.!?]\s|\n|\.$", sentence), sentence
    assert SECRET not in park.reason + park.mend


async def _walk(world: World, patch: pytest.MonkeyPatch, rows: tuple[Row, ...]) -> Receipt:
    """Bring an eject to the step, have it fail in each of the ways in turn, and let it finish."""
    customer = world.sandbox.seed()
    first, second = (wallet["id"] for wallet in world.sandbox.client(customer.client_id)["wallets"])
    names = {"client": customer.client_id, "first": first, "second": second}
    handle = starter.handle_of(world.client, customer.client_id)
    scene = Scene(world, patch, customer, handle, names)
    step, road = rows[0].step, ROADS[rows[0].step.name]
    if rows[0].strict:
        await world.deposit_api_key(customer)
    held, _ = of_the_worker(step)
    async with AsyncExitStack() as stack:
        with held.cause(scene):  # from before the start on, so that nothing overtakes it
            await stack.enter_async_context(road.way(scene))
            await world.reach(scene.handle, Stage.PARKED)
        park = (await world.told(customer)).park
        assert park is not None
        _is_told(held, park, 1, scene)
        for number, row in enumerate(rows, start=2):
            with row.cause(scene):
                answer = await world.retry(customer, park.number)
                assert answer.outcome is RetryOutcome.PARKED, row
                assert answer.park is not None
                park = answer.park
                assert (await world.told(customer)).park == park
            _is_told(row, park, number, scene)
        assert (await world.retry(customer, park.number)).outcome is RetryOutcome.DONE
    # After the last purge there is nothing left to skip, and the eject may have ended.
    ending = scene.handle.result() if road.way is after_the_last_purge else world.end(scene.handle)
    receipt = await ending
    assert receipt.end is road.end
    assert world.completions(customer) == (road.end is End.EJECTED)
    assert [c.command for c in receipt.commands].count("retry") == len(rows) + 1
    deposits = [] if road.end is End.EJECTED else [_signing_shares(scene)]
    written = f"receipts/{customer.client_id}/{receipt.eject_id}.json"
    assert world.left_in_vault() == [*deposits, written]
    assert not [text for text in decoded(await world.history(scene.handle)) if SECRET in text]
    return receipt


def _cases(*, strict: bool) -> pytest.MarkDecorator:
    cases = {case: rows for case, rows in CASES.items() if rows[0].strict is strict}
    return pytest.mark.parametrize("rows", cases.values(), ids=[f"{step}: {about}" for step, about in cases])


@_cases(strict=False)
async def test_what_fails_for_good_parks_is_mended_and_finishes(
    world: World, monkeypatch: pytest.MonkeyPatch, rows: tuple[Row, ...]
) -> None:
    """Each failure parks the step in its own words; once mended and retried, the eject ends as it should."""
    await _walk(world, monkeypatch, rows)


@_cases(strict=True)
async def test_the_clients_own_credential_parks_until_it_is_right(
    strict_world: World, monkeypatch: pytest.MonkeyPatch, rows: tuple[Row, ...]
) -> None:
    """Where the role has no other credential, each step that calls as the client parks over a wrong one."""
    await _walk(strict_world, monkeypatch, rows)


async def test_a_client_that_portal_does_not_know_is_refused_and_may_start_again(world: World) -> None:
    """The one permanent answer that is no park: the first check ends `refused`, and the id is free."""
    customer = world.sandbox.seed()
    body, client_id = {"error": SECRET}, customer.client_id
    world.sandbox.fault("read_client", "status", status=404, body=body, client_id=client_id)
    receipt = await world.end(await world.start(customer))
    told = f"Portal does not know client {customer.client_id}: check the id and the environment"
    assert (receipt.end, receipt.reasons) == (End.REFUSED, (told,))
    _, second = await world.leave(customer)
    assert second.end is End.EJECTED
    assert world.completions(customer) == 1


# --- Is the table whole? The code says what must be in it.

STEPS = {step.name: step for step in vars(policies).values() if isinstance(step, Step)}
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
    world: World, monkeypatch: pytest.MonkeyPatch
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
    for way in (at_a_cancel, after_an_extension):  # the later one moves the sandbox's clock
        customer = world.sandbox.seed()
        scene = Scene(world, monkeypatch, customer, starter.handle_of(world.client, customer.client_id), {})
        async with way(scene):
            pass
        await world.end(scene.handle)
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
    fields = [hint for hint in get_type_hints(kind).values() if inspect.isclass(hint)]
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
    for method in vars(kind).values():
        if isinstance(method, FunctionType):
            reach(method, holders_of(kind), found)
    assert any(True for each in found for _ in reports(each)) or not holders_of(kind)[1:], "nothing was read"
    assert without_row(found, [row for row in ROWS if row.step is step]) == []


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
