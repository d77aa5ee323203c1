"""What the unit tests stand on: a Portal that says what a test wants, real keys, activities."""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import httpx
import pyrage
import pytest
from pydantic import SecretStr
from temporalio.testing import ActivityEnvironment

from contracts.names import Role
from contracts.wallets import Curve
from portal.client import Clients
from portal.custodian import CustodianApi
from tests.device.bundles import Made, random_wallet

I = TypeVar("I")  # noqa: E741 (what goes in)
O = TypeVar("O")  # noqa: E741 (what comes out)
Answer = Callable[[httpx.Request], httpx.Response]

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
CLIENT = "client-1"
EJECT = "0198c1f0-6d7e-7a51-9d2c-8c8a3d2b6f10"
CUSTODIAN_KEY = "custodian-credential-that-nobody-may-see"
CLIENT_TOKEN = "client-credential-that-nobody-may-see"  # noqa: S105 (no real one)
CLIENT_PATH = f"/custodians/me/clients/{CLIENT}"


def identity() -> tuple[Any, str]:
    """A new age identity and its public key."""
    made = pyrage.x25519.Identity.generate()
    return made, str(made.to_public())


def json_answer(body: Any, status: int = 200) -> Answer:
    """Always the same reply."""
    return lambda _: httpx.Response(status, json=body)


class FakePortal:
    """All of Portal's hosts at once: what no test has set up is an error, not a 404."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.answers: dict[str, Answer] = {}
        self._http = httpx.AsyncClient(
            base_url="https://portal.test", transport=httpx.MockTransport(self._answer)
        )

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self.answers[f"{request.method} {request.url.path}"](request)

    def says(self, call: str, body: Any, status: int = 200) -> None:
        """Answer a call, named by its method and path, always so."""
        self.answers[call] = json_answer(body, status)

    def calls(self) -> list[str]:
        """Method and path of every request so far."""
        return [f"{request.method} {request.url.path}" for request in self.requests]

    @property
    def custodian(self) -> CustodianApi:
        """The custodian's calls."""
        return CustodianApi(self._http, SecretStr(CUSTODIAN_KEY))

    @property
    def clients(self) -> Clients:
        """The clients' calls."""

        async def credential(_: str) -> SecretStr:
            return SecretStr(CLIENT_TOKEN)

        return Clients(self._http, self._http, credential)


@dataclass
class Customer:
    """A client with one wallet per curve, and the texts that Portal would hand out."""

    made: tuple[Made, ...]

    @property
    def wallets(self) -> Any:
        """The wallets as the check answers them."""
        return tuple(one.wallet for one in self.made)

    @property
    def body(self) -> dict[str, Any]:
        """The client as Portal shows it."""
        return client_body(self.made)

    def shares(self) -> dict[str, Any]:
        """The body of a generate or backup reply."""
        return {str(one.wallet.curve): {"share": one.share(Role.CLIENT), "id": one.pair} for one in self.made}


def customer() -> Customer:
    """A client with new keys."""
    return Customer((random_wallet(Curve.SECP256K1, "s"), random_wallet(Curve.ED25519, "e")))


def client_body(made: Sequence[Made], **changes: Any) -> dict[str, Any]:
    """A client as Portal shows it."""
    wallets = [
        {
            "id": one.wallet.id,
            "curve": str(one.wallet.curve),
            "publicKey": json.dumps({"X": one.wallet.public_key.x, "Y": one.wallet.public_key.y}),
            "backupSharePairs": [],
        }
        for one in made
    ]
    return {"id": CLIENT, "ejectedAt": None, "wallets": wallets, **changes}


def hold_clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Time inside an activity passes only as a test adds to the number that is answered."""
    passed = [0.0]
    clock = SimpleNamespace(monotonic=lambda: passed[0], time=lambda: passed[0])
    monkeypatch.setattr("activities.clock.time", clock)
    return passed


async def run(step: Callable[[I], Awaitable[O]], what: I, *, at: datetime = NOW) -> O:
    """Run an activity whose attempt starts at this time, without a server."""
    environment = ActivityEnvironment(client=None)
    environment.info = replace(ActivityEnvironment.default_info(), started_time=at)
    result: O = await environment.run(step, what)
    return result


def vault_url(folder: Path) -> str:
    """A vault of its own for one test."""
    return (folder / "vault").as_uri()
