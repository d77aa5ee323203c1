"""A sandbox of its own for one test, and what a test asks of it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from sandbox.app import make_app
from sandbox.server import bind, make_server


@dataclass(frozen=True)
class Customer:
    """A client with both wallets, as `POST /_sandbox/seed` makes it."""

    client_id: str
    api_key: SecretStr
    generate_response: SecretStr


class Sandbox:
    """The control API of one running sandbox."""

    def __init__(self, url: str, custodian_key: str, gateway_key: str = "") -> None:
        self.url = url
        self.custodian_key = SecretStr(custodian_key)
        self.gateway_key = SecretStr(gateway_key)
        self.seeded: list[str] = []
        self._http = httpx.Client(base_url=url, trust_env=False, timeout=30)

    def seed(self, **shape: Any) -> Customer:
        """A new client with both wallets, or of another shape."""
        made = self._post("/_sandbox/seed", shape)
        self.seeded.append(made["client_id"])
        return Customer(
            made["client_id"], SecretStr(made["client_api_key"]), SecretStr(made["generate_response"])
        )

    def advance(self, by: timedelta) -> None:
        """Move the clock forward."""
        self._post("/_sandbox/clock", {"advance_seconds": by.total_seconds()})

    def run_clock(self, rate: float) -> None:
        """Let so many seconds pass in each second, from now on."""
        self._post("/_sandbox/clock", {"rate": rate})

    def budget(self, **calls: int) -> None:
        """Refuse what is more in a minute of this clock."""
        self._post("/_sandbox/budgets", calls)

    def now(self) -> datetime:
        """The sandbox's time, which is that of every eject whose clock was moved with it."""
        answer = self._http.get("/_sandbox/clock").raise_for_status().json()
        return datetime.fromisoformat(answer["now"])

    def switch(self, **switches: bool) -> None:
        """Turn what holds for all clients."""
        self._post("/_sandbox/switches", switches)

    def fault(self, call: str, kind: str, *, times: int = 1, **more: Any) -> None:
        """Have the next calls fail."""
        self._post("/_sandbox/faults", {"call": call, "kind": kind, "times": times, **more})

    def clear_faults(self) -> None:
        """Forget planned faults."""
        self._http.delete("/_sandbox/faults").raise_for_status()

    def roll_key(self, key: str = "custodian") -> SecretStr:
        """Roll a key of the custodian's at Portal, or at the `gateway`; the old one works no more."""
        rolled = SecretStr(self._post("/_sandbox/roll", {"key": key})["key"])
        if key == "custodian":
            self.custodian_key = rolled
        else:
            self.gateway_key = rolled
        return rolled

    def roll_api_key(self, customer: Customer) -> Customer:
        """Roll a client's own API key; the client with the new one."""
        rolled = self._post(f"/_sandbox/clients/{customer.client_id}/roll", {})
        return Customer(customer.client_id, SecretStr(rolled["client_api_key"]), customer.generate_response)

    def change(self, client_id: str, **what: Any) -> None:
        """Change a client behind everybody's back."""
        self._post(f"/_sandbox/clients/{client_id}", what)

    def sign(self, client_id: str, curve: str, text: str) -> str:
        """A signature by Portal's own MPC, as hex."""
        body = {"curve": curve, "message_hex": text.encode().hex()}
        return str(self._post(f"/_sandbox/clients/{client_id}/sign", body)["signature_hex"])

    def journal(self, **filters: str) -> list[dict[str, Any]]:
        """The calls that match every filter."""
        answer = self._http.get("/_sandbox/journal", params=filters).raise_for_status().json()
        entries: list[dict[str, Any]] = answer["entries"]
        return entries

    def add_backup(self, client_id: str, form: str, **more: Any) -> dict[str, Any]:
        """One more pair for each wallet, made earlier: its shares, and what opens its cipher text."""
        return self._post(f"/_sandbox/clients/{client_id}/backups", {"form": form, **more})

    def back_up(self, customer: Customer) -> str:
        """The client backs up by itself, keeps its shares (the enclave's answer), and confirms it."""
        headers = {"Authorization": f"Bearer {customer.api_key.get_secret_value()}"}
        body = {"generateResponse": customer.generate_response.get_secret_value()}
        made = self._http.post("/v1/backup", json=body, headers=headers).raise_for_status()
        shares = made.json()
        confirm = {
            "backupSharePairIds": [share["id"] for share in shares.values()],
            "status": "STORED_CLIENT_BACKUP_SHARE",
        }
        self._http.patch(
            "/api/v3/clients/me/backup-share-pairs", json=confirm, headers=headers
        ).raise_for_status()
        return made.text

    def mint_session(self, client_id: str) -> str:
        """A session token of a client's, as the worker mints its own."""
        headers = {"Authorization": f"Bearer {self.custodian_key.get_secret_value()}"}
        path = f"/api/v3/custodians/me/clients/{client_id}/sessions"
        answer = self._http.post(path, json={}, headers=headers).raise_for_status()
        return str(answer.json()["clientSessionToken"])

    def client(self, client_id: str) -> dict[str, Any]:
        """A client as the custodian reads it."""
        headers = {"Authorization": f"Bearer {self.custodian_key.get_secret_value()}"}
        answer = self._http.get(f"/api/v3/custodians/me/clients/{client_id}", headers=headers)
        read: dict[str, Any] = answer.raise_for_status().json()
        return read

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        response = self._http.post(path, json=body)
        assert response.is_success, response.text
        answer: dict[str, Any] = response.json()
        return answer


@contextmanager
def running_sandbox(state: Path) -> Iterator[Sandbox]:
    """Serve a sandbox in a thread on a free port until the block ends."""
    listener = bind(0)
    app = make_app(state, None)
    ready = threading.Event()
    server = make_server(app, ready.set, "error")

    def serve() -> None:
        server.run(sockets=[listener])
        app.state.portal.store.close()

    # Not waited for: it takes a fifth of a second to end, and the next test has a sandbox of its own.
    threading.Thread(target=serve).start()
    try:
        assert ready.wait(30), "the sandbox did not start"
        portal = app.state.portal
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        sandbox = Sandbox(url, portal.custodian_key, portal.gateway_key)
        try:
            yield sandbox
        finally:
            sandbox.close()
    finally:
        server.should_exit = True
