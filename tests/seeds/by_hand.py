"""A whole eject by hand, from Portal's and Tatum's documented calls alone: httpx, and nothing of ours.

`python by_hand.py portal|tatum` with PORTAL_API, ENCLAVE, and CUSTODIAN_KEY in the environment, and for tatum
GATEWAY with TATUM_KEY in place of CUSTODIAN_KEY. It walks two new clients: one whose shares the custodian
fetches and who completes as a whole, one who fetches by itself and completes wallet by wallet. It prints what
it saw as one JSON object: ids and times, no share and no key.
"""

import json
import os
import sys
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx


class Service:
    """The base URLs, and how each is authenticated."""

    def __init__(self, provider: str) -> None:
        self.http = httpx.Client(trust_env=False, timeout=30)
        self.api, self.enclave = os.environ["PORTAL_API"], os.environ["ENCLAVE"]
        if provider == "tatum":
            self.clients = f"{os.environ['GATEWAY']}/v4/wallets/clients"
            self.custodian = {"x-api-key": os.environ["TATUM_KEY"]}
        else:
            self.clients = f"{self.api}/custodians/me/clients"
            self.custodian = {"Authorization": f"Bearer {os.environ['CUSTODIAN_KEY']}"}

    def call(self, method: str, url: str, headers: dict[str, str], **options: Any) -> Any:
        """Make a call that has to succeed; 204 has no body."""
        traced = headers | {"X-Portal-Trace-Id": str(uuid.uuid4())}
        reply = self.http.request(method, url, headers=traced, **options)
        if not reply.is_success:
            raise SystemExit(f"{method} {url} answered {reply.status_code}")
        return reply.json() if reply.content else None


class Client:
    """One client of the custodian's, from its making to its eject."""

    def __init__(self, service: Service) -> None:
        self.service = service
        made = service.call("POST", service.clients, service.custodian, json={"isAccountAbstracted": False})
        self.id, self.url = made["id"], f"{service.clients}/{quote(made['id'], safe='')}"
        session = service.call("POST", f"{self.url}/sessions", service.custodian, json={})
        self.auth = {"Authorization": f"Bearer {session['clientSessionToken']}"}

    def custodian(self, method: str, path: str, **options: Any) -> Any:
        """Call about this client as its custodian."""
        return self.service.call(method, self.url + path, self.service.custodian, **options)

    def me(self, method: str, path: str, **options: Any) -> Any:
        """Call the Client API as this client."""
        return self.service.call(method, f"{self.service.api}/clients/me{path}", self.auth, **options)

    def enclave(self, path: str, body: dict[str, Any]) -> Any:
        """Call the Enclave MPC API as this client."""
        return self.service.call("POST", self.service.enclave + path, self.auth, json=body)

    def back_up(self) -> dict[str, str]:
        """Generate, back up, store and confirm; answer each curve's pair."""
        generated = self.enclave("/v1/generate", {})
        shares = self.enclave("/v1/backup", {"generateResponse": json.dumps(generated)})
        for share in shares.values():
            # A real client encrypts its share here; what it makes of it is opaque to Portal.
            stored = {"clientCipherText": f"cipher text of {share['id']}"}
            self.me("PATCH", f"/backup-share-pairs/{share['id']}", json=stored)
            read = self.me("GET", f"/backup-share-pairs/{share['id']}/cipher-text")
            assert read == {"cipherText": stored["clientCipherText"]}
        pairs = {curve: share["id"] for curve, share in shares.items()}
        confirmed = {"backupSharePairIds": [*pairs.values()], "status": "STORED_CLIENT_BACKUP_SHARE"}
        self.me("PATCH", "/backup-share-pairs", json=confirmed)
        return pairs

    def wallets(self) -> dict[str, str]:
        """Answer each curve's wallet, whose pairs have to be completed."""
        wallets = self.custodian("GET", "")["wallets"]
        states = {pair["status"] for wallet in wallets for pair in wallet["backupSharePairs"]}
        assert states == {"completed"}
        return {wallet["curve"]: wallet["id"] for wallet in wallets}

    def enable(self, wallet: str) -> str:
        """Open a wallet's window for 7 days and answer its end."""
        until = (datetime.now(UTC) + timedelta(days=7)).isoformat()
        opened = self.custodian("PATCH", "/enable-eject", json={"walletId": wallet, "ejectableUntil": until})
        return str(opened["ejectableUntil"])

    def ejected_at(self) -> str | None:
        """Read `ejectedAt` as the client itself."""
        at: str | None = self.me("GET", "")["ejectedAt"]
        return at


def pair_in(shares: dict[str, Any]) -> str:
    """Answer which pair the fetched shares belong to, flat or under `data`."""
    shares = shares.get("data", shares)
    pair = json.loads(shares["custodianBackupShare"])["backupSharePairId"]
    assert shares["encryptedClientBackupShare"] == f"cipher text of {pair}"
    return str(pair)


def fetched_by_custodian(service: Service) -> dict[str, Any]:
    """Walk a client whose custodian fetches and who completes as a whole."""
    client = Client(service)
    seen: dict[str, Any] = {"id": client.id, "pairs": client.back_up(), "wallets": client.wallets()}
    seen["until"] = {curve: client.enable(wallet) for curve, wallet in seen["wallets"].items()}
    seen["fetched"] = {
        curve: pair_in(client.custodian("GET", f"/wallets/{wallet}/ejectable-backup-shares"))
        for curve, wallet in seen["wallets"].items()
    }
    seen["before"] = client.ejected_at()
    client.me("POST", "/eject", json={"clientPlatform": "by-hand", "clientPlatformVersion": "1"})
    seen["ejectedAt"] = client.ejected_at()
    return seen


def fetched_by_client(service: Service) -> dict[str, Any]:
    """Walk a client who fetches by itself, wallet by wallet, and completes so too."""
    client = Client(service)
    seen: dict[str, Any] = {"id": client.id, "pairs": client.back_up(), "wallets": client.wallets()}
    seen["until"] = {curve: client.enable(wallet) for curve, wallet in seen["wallets"].items()}
    seen["fetched"] = {
        curve: pair_in(
            client.me("GET", f"/wallets/{wallet}/ejectable-backup-shares", params={"backupMethod": "PASSKEY"})
        )
        for curve, wallet in seen["wallets"].items()
    }
    seen["before"] = client.ejected_at()
    for wallet in seen["wallets"].values():
        client.me("PATCH", f"/wallets/{wallet}/complete-eject")
    seen["ejectedAt"] = client.ejected_at()
    return seen


def main() -> None:
    """Walk both clients."""
    service = Service(sys.argv[1])
    seen = {"custodian": fetched_by_custodian(service), "client": fetched_by_client(service)}
    sys.stdout.write(json.dumps(seen))


if __name__ == "__main__":
    main()
