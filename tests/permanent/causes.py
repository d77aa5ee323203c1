"""What causes a permanent failure, and mends it; what a cause puts in the place of what is right."""

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import obstore
import pyrage
from pydantic import SecretStr
from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from activities.errors import ActivityBoundary
from contracts.names import Role, api_key_name, backup_name, custodian_half_name, deposit_name, released_name
from custody.sealing import seal_deposit
from portal import calls
from portal.calls import Call
from portal.client import ClientApi
from tests.permanent.scenes import SECRET, Scene
from workflows.policies import Step


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


def other_form() -> Any:
    """An answer of another form."""
    return [5]


def other_words() -> Any:
    """A failure of no known kind."""
    raise ApplicationError("other words", type="OfANewerWorker", non_retryable=True)


@contextmanager
def one_share(named: str, key: int, scene: Scene, *, padding: int = 0) -> Iterator[None]:
    """The enclave answers one share, as of pair `p`, that names a pair and the key of one wallet."""
    point = json.loads(scene.shown()["wallets"][key]["publicKey"])
    fields = {"backupSharePairId": named, "pubkey": point, "share": SECRET, "padding": "0" * padding}
    text = json.dumps(fields)
    share = base64.b64encode(text.encode()).decode().rstrip("=")
    scene.fault(calls.BACK_UP, 200, {"SECP256K1": {"share": share, "id": "p"}})
    yield


def another(client: dict[str, Any]) -> None:
    """The client under another id."""
    client["id"] = "somebody-else"


def off_the_curve(client: dict[str, Any]) -> None:
    """Its first wallet with a key that is no point."""
    client["wallets"][0]["publicKey"] = json.dumps({"x": "9" * 78, "y": "9" * 78})


def other_key(client: dict[str, Any]) -> None:
    """Its first wallet with another key."""
    client["wallets"][0]["publicKey"] = json.dumps({"x": "1", "y": "2"})


def odd_address(client: dict[str, Any]) -> None:
    """A published address of no known form."""
    client["metadata"]["namespaces"]["eip155"]["address"] = f"{SECRET} is no address"


def one_wallet(client: dict[str, Any]) -> None:
    """Without its first wallet."""
    del client["wallets"][0]


def backup_file(scene: Scene) -> str:
    """Where the client halves lie."""
    return backup_name(scene.eject_id)


def half_file(which: str, scene: Scene) -> str:
    """Where a custodian half lies."""
    return custodian_half_name(scene.eject_id, scene.names[which])


def released_file(role: Role, scene: Scene) -> str:
    """Where the owner reads a half."""
    return released_name(scene.eject_id, role, scene.names["second"])


def signing_shares_file(scene: Scene) -> str:
    """Where the signing shares are deposited."""
    return deposit_name(scene.customer.client_id)


def api_key_file(scene: Scene) -> str:
    """Where the client's own credential is deposited."""
    return api_key_name(scene.customer.client_id)


def gone(_: Scene) -> None:
    """No file at all."""
    return


def damaged(_: Scene) -> bytes:
    """What is no file of ours."""
    return b'{"files": ' + SECRET.encode()


def emptied(_: Scene) -> bytes:
    """A backup of nothing."""
    return b'{"files": []}'


def second_half(scene: Scene) -> bytes:
    """The half of the other wallet."""
    return (scene.world.vault_folder / half_file("second", scene)).read_bytes()


def sealed_to_the_role(text: str, scene: Scene) -> bytes:
    """A deposit as `starter` seals it."""
    return seal_deposit(SecretStr(text), str(scene.world.settings.client_recipient))


def sealed_to_nobody(_: Scene) -> bytes:
    """A deposit for an identity that is nobody's."""
    return seal_deposit(SecretStr(SECRET), str(pyrage.x25519.Identity.generate().to_public()))


def of_another(scene: Scene) -> bytes:
    """Another client's signing shares."""
    return sealed_to_the_role(scene.world.sandbox.seed().generate_response.get_secret_value(), scene)


def key_of_another(scene: Scene) -> bytes:
    """Another client's API key."""
    return sealed_to_the_role(scene.world.sandbox.seed().api_key.get_secret_value(), scene)
