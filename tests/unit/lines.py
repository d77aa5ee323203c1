"""Every call of Portal's once: what goes out, and a reply."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import SecretStr

from portal.client import ClientApi
from portal.custodian import CustodianApi
from tests.unit.fakes import CLIENT_TOKEN, CUSTODIAN_KEY, NOW

Line = tuple[Callable[[CustodianApi, ClientApi], Awaitable[object]], str, str, Any, str, Any]

SHARES = {"SECP256K1": {"share": "abc", "id": "pair-1"}}
CUSTODIANS = "https://api.portal.test/api/v3/custodians/me/clients/client-1"
CLIENTS = "https://api.portal.test/api/v3/clients/me"

# What is called; then method, URL, JSON body (None: none), credential as Portal documents it; then a reply.
LINES: dict[str, Line] = {
    "read client": (
        lambda custodian, _: custodian.read_client("client-1"),
        "GET",
        CUSTODIANS,
        None,
        CUSTODIAN_KEY,
        {"id": "client-1"},
    ),
    "list clients": (
        lambda custodian, _: custodian.list_clients("client-0"),
        "GET",
        f"{CUSTODIANS.removesuffix('/client-1')}?take=50&cursor=client-0",
        None,
        CUSTODIAN_KEY,
        {"results": [{"id": "client-1"}], "metadata": {"cursor": None, "take": 50, "total": 1}},
    ),
    "mint session token": (
        lambda custodian, _: custodian.mint_session("client-1"),
        "POST",
        f"{CUSTODIANS}/sessions",
        {},
        CUSTODIAN_KEY,
        {"clientSessionToken": "t"},
    ),
    "enable eject": (
        lambda custodian, _: custodian.enable_eject("client-1", "wallet-1", NOW),
        "PATCH",
        f"{CUSTODIANS}/enable-eject",
        {"walletId": "wallet-1", "ejectableUntil": "2026-03-04T05:06:07Z"},
        CUSTODIAN_KEY,
        {"ejectableUntil": "2026-03-04T05:06:07Z"},
    ),
    "fetch shares": (
        lambda custodian, _: custodian.fetch_shares("client-1", "wallet-1"),
        "GET",
        f"{CUSTODIANS}/wallets/wallet-1/ejectable-backup-shares",
        None,
        CUSTODIAN_KEY,
        {"custodianBackupShare": "{}"},
    ),
    "fetch shares as client": (
        lambda _, client: client.fetch_shares("wallet-1", "PASSKEY"),
        "GET",
        f"{CLIENTS}/wallets/wallet-1/ejectable-backup-shares?backupMethod=PASSKEY",
        None,
        CLIENT_TOKEN,
        {"data": {"custodianBackupShare": "{}"}},
    ),
    "complete eject of a wallet": (
        lambda _, client: client.complete_wallet("wallet-1"),
        "PATCH",
        f"{CLIENTS}/wallets/wallet-1/complete-eject",
        None,
        CLIENT_TOKEN,
        None,
    ),
    "read client as itself": (
        lambda _, client: client.read(),
        "GET",
        CLIENTS,
        None,
        CLIENT_TOKEN,
        {"id": "client-1"},
    ),
    "store cipher text": (
        lambda _, client: client.store_cipher_text("pair-1", "sealed"),
        "PATCH",
        f"{CLIENTS}/backup-share-pairs/pair-1",
        {"clientCipherText": "sealed"},
        CLIENT_TOKEN,
        None,
    ),
    "read cipher text": (
        lambda _, client: client.read_cipher_text("pair-1"),
        "GET",
        f"{CLIENTS}/backup-share-pairs/pair-1/cipher-text",
        None,
        CLIENT_TOKEN,
        {"cipherText": "sealed"},
    ),
    "confirm backup status": (
        lambda _, client: client.confirm_backup(("pair-1", "pair-2")),
        "PATCH",
        f"{CLIENTS}/backup-share-pairs",
        {"backupSharePairIds": ["pair-1", "pair-2"], "status": "STORED_CLIENT_BACKUP_SHARE"},
        CLIENT_TOKEN,
        None,
    ),
    "complete eject": (
        lambda _, client: client.complete(),
        "POST",
        f"{CLIENTS}/eject",
        {},
        CLIENT_TOKEN,
        None,
    ),
    "back up": (
        lambda _, client: client.back_up(SecretStr(json.dumps(SHARES))),
        "POST",
        "https://enclave.portal.test/v1/backup",
        {"generateResponse": json.dumps(SHARES)},
        CLIENT_TOKEN,
        SHARES,
    ),
}
