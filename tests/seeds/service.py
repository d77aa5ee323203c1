"""The service as its documents name it: three base URLs, the documented headers, and nothing of ours."""

import json
from dataclasses import dataclass
from typing import Any

import httpx

from tests.harness.portal import Sandbox
from tests.seeds.described import Described

API = "/api/v3"


@dataclass(frozen=True)
class User:
    """A client with its credentials, its wallets by curve, and its backup shares by curve."""

    id: str
    api_key: str
    session: str
    wallets: dict[str, str]
    shares: dict[str, dict[str, str]]


@dataclass(frozen=True)
class Service:
    """One running sandbox, called over HTTP."""

    sandbox: Sandbox
    http: httpx.Client

    @property
    def custodian_key(self) -> str:
        """Answer the custodian's key with Portal."""
        return self.sandbox.custodian_key.get_secret_value()

    def described(self) -> Described:
        """Read the description of every call."""
        return Described(self.http.get("/openapi.json").json())

    def portal(self, method: str, path: str, token: str | None, **options: Any) -> httpx.Response:
        """Call the Custodian or the Client API."""
        return self.http.request(method, API + path, headers=_bearer(token), **options)

    def enclave(self, method: str, path: str, token: str | None, **options: Any) -> httpx.Response:
        """Call the Enclave MPC API."""
        return self.http.request(method, path, headers=_bearer(token), **options)

    def gateway(self, method: str, path: str, key: str | None = None, **options: Any) -> httpx.Response:
        """Call Tatum's gateway, with the custodian's key there unless another is given."""
        key = self.sandbox.gateway_key.get_secret_value() if key is None else key
        return self.http.request(method, f"/v4/wallets{path}", headers={"x-api-key": key}, **options)

    def new_user(self, *, backed_up: bool = True, stored: bool = True) -> User:
        """Make a client as the documents do: create, generate, back up, store, confirm."""
        made = self.portal("POST", "/custodians/me/clients", self.custodian_key, json={}).json()
        key = made["clientApiKey"]
        generated = self.enclave("POST", "/v1/generate", key, json={}).json()
        shares: dict[str, dict[str, str]] = {}
        if backed_up:
            body = {"generateResponse": json.dumps(generated)}
            shares = self.enclave("POST", "/v1/backup", key, json=body).json()
            for share in shares.values() if stored else ():
                text = {"clientCipherText": f"encrypted {share['id']}"}
                self.portal("PATCH", f"/clients/me/backup-share-pairs/{share['id']}", key, json=text)
            confirm = {
                "backupSharePairIds": [share["id"] for share in shares.values()],
                "status": "STORED_CLIENT_BACKUP_SHARE",
            }
            assert self.portal("PATCH", "/clients/me/backup-share-pairs", key, json=confirm).is_success
        wallets = {each["curve"]: each["id"] for each in self.read(made["id"])["wallets"]}
        return User(made["id"], key, made["clientSessionToken"], wallets, shares)

    def read(self, client_id: str) -> Any:
        """Read a client as the custodian."""
        return self.portal("GET", f"/custodians/me/clients/{client_id}", self.custodian_key).json()


def _bearer(token: str | None) -> dict[str, str]:
    return {} if token is None else {"Authorization": f"Bearer {token}"}
