"""Check: is this client fit to leave?"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta

from temporalio import activity

from activities.wallets import completed_of, require_client, wallets_of
from contracts.approvals import Guards
from contracts.failures import Failure, StepError
from contracts.request import Backup
from contracts.steps import Check, Checked
from custody.sealing import is_recipient
from portal.custodian import CustodianApi
from portal.replies import ClientReply


@dataclass(frozen=True)
class CheckStep:
    """Custodian role; reads only, and says all that is wrong at once."""

    custodian: CustodianApi
    guards: Guards = field(default_factory=Guards)
    notices: bool = False
    shown_after: timedelta = timedelta(0)

    @activity.defn(name="check")
    async def check(self, what: Check) -> Checked:
        """Read the client and judge it."""
        guards, problems = guarded(what, self.guards)
        demanded = Checked(guards=guards, notices=self.notices, shown_after=self.shown_after)
        if not is_recipient(what.recipient):
            problems.append("The recipient is not an age public key: its checksum is wrong, copy it again")
        try:
            client = await self.custodian.read_client(what.client_id)
        except StepError as error:
            if error.failure is not Failure.NOT_FOUND:
                raise
            problems.append(f"Portal does not know client {what.client_id}: check the id and the environment")
            return demanded.model_copy(update={"problems": tuple(problems)})
        require_client(client, what.client_id)
        wallets = wallets_of(client)
        if client.ejected_at is None:
            problems += unfit(client, what)
        return demanded.model_copy(
            update={
                "wallets": wallets,
                "problems": tuple(problems),
                "ejected_at": client.ejected_at,
                "completed": completed_of(client),
            }
        )


def guarded(what: Check, demanded: Guards) -> tuple[Guards, list[str]]:
    """What an eject has to keep, and why it cannot be kept."""
    guards = demanded.model_copy(
        update={
            "approvals": max(demanded.approvals, what.approvals),
            "cooling_off": max(demanded.cooling_off, what.cooling_off),
        }
    )
    problems = []
    if guards.requesters and what.requested_by not in guards.requesters:
        problems.append(f"{what.requested_by} may not ask for ejects: see EJECT_REQUESTERS")
    others = [name for name in guards.approvers if name != what.requested_by]
    # Once they were given, it does not matter who of them has gone since.
    if guards.approvers and guards.approvals > len(others) and not what.approved:
        problems.append(
            f"{guards.approvals} approvals are needed, and {len(others)} approvers beside the requester set"
        )
    return guards, problems


def unfit(client: ClientReply, what: Check) -> list[str]:
    """All reasons why this client cannot be ejected with the backup that is asked for."""
    problems = []
    if client.environment.backup_with_portal_enabled is False:
        problems.append("The client's environment manages its backups itself: Portal holds no share to fetch")
    keyed = [wallet for wallet in client.wallets if wallet.public_key is not None]
    if not client.wallets:
        problems.append("The client has no wallet")
    elif not keyed:
        problems.append("No wallet of the client has a public key")
    for curve, count in Counter(wallet.curve for wallet in keyed).items():
        if count > 1:
            # A backup answers with one share per curve and does not say whose.
            problems.append(f"The client has {count} {curve} wallets, and a backup can be told for one only")
    completed = completed_of(client)
    if what.backup is Backup.EXISTING:
        problems += [
            f"Wallet {wallet} has no completed backup: start again with backup fresh"
            for wallet, pairs in completed.items()
            if not pairs
        ]
    elif any(completed.values()) and not (client.environment.is_multi_backup_enabled or what.replace_backup):
        problems.append(
            "The client has a backup and the environment keeps one only: "
            "start again with replace_backup if the eject may replace it"
        )
    return problems
