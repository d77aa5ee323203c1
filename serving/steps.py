"""The steps of each role, with what they need of the settings."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import SecretStr
from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook

from activities.back_up import BackUpStep
from activities.check import CheckStep
from activities.close import DeleteDepositStep, PurgeStep, WriteReceiptStep
from activities.complete import CompleteStep
from activities.confirm_backup import ConfirmBackupStep
from activities.enable_eject import EnableEjectStep
from activities.fetch_shares import FetchSharesStep
from activities.read_cipher_texts import ReadCipherTextsStep
from activities.release import ReleaseStep
from activities.restore_backup import RestoreBackupStep
from activities.send_notice import SendNoticeStep
from activities.shrink_window import ShrinkWindowStep
from activities.verify import verify, verify_approval
from contracts.names import TaskQueue
from custody.chain import Receipts
from custody.deposits import Deposits
from custody.keys import read_key
from custody.sealing import recipient_of
from custody.vault import Vault
from portal.client import Clients
from portal.custodian import CustodianApi
from portal.hosts import Hosts, open_hosts
from portal.profiles import PROFILES
from runtime.settings import ClientCredential, Settings, SettingsError, WorkerRole


def hosts_of(settings: Settings) -> AbstractAsyncContextManager[Hosts]:
    """Connections to the hosts that the settings name."""
    return open_hosts(
        settings.provider,
        portal_url=settings.portal_url,
        enclave_url=settings.enclave_url,
        gateway_url=settings.gateway_url,
    )


def activities_of(
    role: WorkerRole, settings: Settings, hosts: Hosts
) -> dict[TaskQueue, list[Callable[..., Any]]]:
    """The steps of a role with what they need, by queue; `SettingsError` for a missing or wrong setting."""
    settings.fit(role)
    try:
        vault = Vault(str(settings.vault_url))
    except ValueError as error:
        raise SettingsError(f"EJECT_VAULT_URL {error}") from None
    profile = PROFILES[settings.provider]
    portal = CustodianApi(hosts.custodian, settings.custodian_api_key or SecretStr(""), profile)
    queues: dict[TaskQueue, list[Callable[..., Any]]] = {}
    if role is not WorkerRole.CLIENT:
        # With a minted session token, whatever the client role's credential is.
        fetching = FetchSharesStep(portal, vault, Clients(hosts.portal, hosts.enclave, portal.mint_session))
        queues[TaskQueue.CUSTODIAN] = [
            CheckStep(portal, settings.guards, notices=settings.notify_url is not None).check,
            EnableEjectStep(portal).enable_eject,
            fetching.fetch_shares,
            ShrinkWindowStep(portal).shrink_window,
        ]
        queues[TaskQueue.SESSION] = [fetching.fetch_shares_as_client]
        queues[TaskQueue.EJECT] = [
            # What ejects have asked for before these steps got queues of their own.
            *queues[TaskQueue.CUSTODIAN],
            *queues[TaskQueue.SESSION],
            ReleaseStep(vault).release,
            PurgeStep(vault).purge,
            WriteReceiptStep(Receipts(vault, receipt_key_of(settings))).write_receipt,
            verify,
            verify_approval,
            *notices_of(settings, hosts.portal),
        ]
        queues[TaskQueue.NEXUS] = []
    if role is not WorkerRole.CUSTODIAN:
        identity = settings.client_identity or SecretStr("")
        try:
            recipient_of(identity)
        except ValueError as error:
            raise SettingsError(f"EJECT_CLIENT_IDENTITY {error}") from None
        deposits = Deposits(vault, identity)
        strict = settings.credential(role) is ClientCredential.STRICT
        clients = Clients(hosts.portal, hosts.enclave, deposits.api_key if strict else portal.mint_session)
        queues[TaskQueue.CLIENT] = [
            ConfirmBackupStep(clients, vault).confirm_backup,
            ReadCipherTextsStep(clients, vault).read_cipher_texts,
            RestoreBackupStep(clients, vault).restore_backup,
            CompleteStep(clients, settings.completion or profile.completion).complete,
            DeleteDepositStep(vault).delete_deposit,  # asked for before it got a queue of its own
        ]
        queues[TaskQueue.DEPOSITS] = [DeleteDepositStep(vault).delete_deposit]
        queues[TaskQueue.ENCLAVE] = [BackUpStep(clients, vault, deposits).back_up]
    return queues


def receipt_key_of(settings: Settings) -> Ed25519PrivateKey | None:
    """The key that signs receipts, None where none is set; `SettingsError` where it is no such key."""
    if settings.receipt_key is None:
        return None
    try:
        return read_key(settings.receipt_key.get_secret_value().encode())
    except ValueError as error:
        raise SettingsError(f"EJECT_RECEIPT_KEY {error}") from None


def notices_of(settings: Settings, http: httpx.AsyncClient) -> list[Callable[..., Any]]:
    """The step that sends notices, where there is a receiver; `SettingsError` where the secret is none."""
    if settings.notify_url is None:
        return []
    try:
        webhook = Webhook((settings.notify_secret or SecretStr("")).get_secret_value())
    except (ValueError, RuntimeError, EmptyWebhookSecretError):
        raise SettingsError("EJECT_NOTIFY_SECRET is not a Standard Webhooks secret (whsec_...)") from None
    return [SendNoticeStep(http, settings.notify_url, webhook).send_notice]
