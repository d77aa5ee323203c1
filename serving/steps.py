"""The steps of each role, with what they need of the settings."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
from pydantic import SecretStr

from activities.back_up import BackUpStep
from activities.check import CheckStep
from activities.close import DeleteDepositStep, PurgeStep, WriteReceiptStep
from activities.complete import CompleteStep
from activities.confirm_backup import ConfirmBackupStep
from activities.enable_eject import EnableEjectStep
from activities.fetch_shares import FetchSharesStep
from activities.mass_exit import MassExitStep
from activities.read_cipher_texts import ReadCipherTextsStep
from activities.release import ReleaseStep
from activities.restore_backup import RestoreBackupStep
from activities.send_notice import SendNoticeStep
from activities.shrink_window import ShrinkWindowStep
from activities.verify import VerifyApprovalStep, verify
from activities.watch_drift import WatchDriftStep
from contracts.names import TaskQueue
from custody.chain import Receipts
from custody.deposits import Deposits
from ejects.mass_look import compare, look
from ejects.visibility import stage_of
from portal.client import Clients
from portal.custodian import CustodianApi
from portal.hosts import Hosts, open_hosts
from portal.profiles import PROFILES
from runtime.fitting import fit
from runtime.settings import ClientCredential, Settings, WorkerRole
from serving.budgets import ejects_a_minute
from serving.fitting import identities_of, receipt_key_of, vault_of, webhooks_of


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
    fit(role, settings)
    vault = vault_of(settings)
    profile = PROFILES[settings.provider]
    portal = CustodianApi(hosts.custodian, settings.custodian_api_key or SecretStr(""), profile)
    queues: dict[TaskQueue, list[Callable[..., Any]]] = {}
    if role is not WorkerRole.CLIENT:
        # With a minted session token, whatever the client role's credential is.
        fetching = FetchSharesStep(portal, vault, Clients(hosts.portal, hosts.enclave, portal.mint_session))
        watching = WatchDriftStep(portal, vault, stage_of, notices=settings.notify_url is not None)
        queues[TaskQueue.CUSTODIAN] = [
            CheckStep(
                portal,
                settings.guards,
                notices=settings.notify_url is not None,
                shown_after=settings.stage_shown_after,
            ).check,
            EnableEjectStep(portal).enable_eject,
            fetching.fetch_shares,
            ShrinkWindowStep(portal).shrink_window,
            watching.watch_page,
            watching.look_again,
        ]
        queues[TaskQueue.SESSION] = [fetching.fetch_shares_as_client]
        leaving = MassExitStep(vault, look, compare, ejects_a_minute(role, settings))
        queues[TaskQueue.EJECT] = [
            # What ejects have asked for before these steps got queues of their own.
            *queues[TaskQueue.CUSTODIAN],
            *queues[TaskQueue.SESSION],
            ReleaseStep(vault).release,
            PurgeStep(vault).purge,
            WriteReceiptStep(Receipts(vault, receipt_key_of(settings))).write_receipt,
            verify,
            VerifyApprovalStep(settings.approvers).verify_approval,
            watching.report_drift,
            leaving.look_at_ejects,
            leaving.read_requests,
            leaving.compare_request,
            *notices_of(settings, hosts.portal),
        ]
        queues[TaskQueue.NEXUS] = []
    if role is not WorkerRole.CUSTODIAN:
        deposits = Deposits(vault, identities_of(settings))
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


def notices_of(settings: Settings, http: httpx.AsyncClient) -> list[Callable[..., Any]]:
    """The step that sends notices, where there is a receiver."""
    webhooks = webhooks_of(settings)
    if settings.notify_url is None or not webhooks:
        return []
    return [SendNoticeStep(http, settings.notify_url, webhooks).send_notice]
