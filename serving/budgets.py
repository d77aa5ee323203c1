"""Portal's budgets, kept by the rates of the queues whose steps call Portal.

A queue's rate counts attempts, retries too, across all of its workers. An attempt is taken for the most calls
that any step of its queue makes, and each budget is shared out among the queues that spend it.
"""

from collections.abc import Mapping
from enum import StrEnum

from contracts.names import TaskQueue
from contracts.providers import Completion
from contracts.wallets import Curve
from portal.profiles import PROFILES
from runtime.settings import ClientCredential, Settings, WorkerRole
from workflows import policies


class Budget(StrEnum):
    """What Portal limits, in calls a minute; a gateway's calls are the custodian's."""

    CUSTODIAN = "custodian"
    CLIENT = "client"
    ENCLAVE = "enclave"


Calls = Mapping[Budget, int]

_WALLETS = len(Curve)
"""The check refuses a client with two wallets of one curve."""

# How often a usual eject needs each queue. Budgets are shared out so that as many ejects a minute pass each
# of them: whatever more one queue took, the next could not follow.
PER_EJECT: Mapping[TaskQueue, float] = {
    TaskQueue.CUSTODIAN: 3,  # check, enable, fetch
    TaskQueue.SESSION: 0.5,  # two, for few ejects
    TaskQueue.CLIENT: 2,  # confirm, complete
    TaskQueue.ENCLAVE: 1,  # back up
}

# A partition of a queue has its own share of the rate, and may begin a second's worth of it and one attempt
# more at once (Temporal's matching service, `ratelimit_manager.go`); unless set otherwise there are four.
_PARTITIONS = 4
_MINUTE = 60 + 1


def calls_of(*, completion: Completion, minting: bool) -> dict[str, Calls]:
    """The most calls that one attempt of a step makes, by the step's name.

    `minting` is whether the client role asks for a session token each time, with the custodian's key.
    """
    wallets = _WALLETS
    # By wallet, one more read where a refusal may mean that the client is marked already.
    marks = 1 if completion is Completion.CLIENT else wallets + 1
    custodian: dict[str, Calls] = {
        policies.CHECK.name: {Budget.CUSTODIAN: 1},
        policies.ENABLE_EJECT.name: {Budget.CUSTODIAN: 1 + wallets},
        policies.SHRINK_WINDOW.name: {Budget.CUSTODIAN: 1 + wallets},
        policies.FETCH_SHARES.name: {Budget.CUSTODIAN: wallets},
        policies.FETCH_SHARES_AS_CLIENT.name: {Budget.CUSTODIAN: 2, Budget.CLIENT: 1},
    }
    minted = {Budget.CUSTODIAN: 1} if minting else {}
    client: dict[str, Calls] = {
        policies.BACK_UP.name: {Budget.CLIENT: 1, Budget.ENCLAVE: 1} | minted,
        policies.CONFIRM_BACKUP.name: {Budget.CLIENT: wallets + 2} | minted,
        policies.READ_CIPHER_TEXTS.name: {Budget.CLIENT: wallets} | minted,
        policies.RESTORE_BACKUP.name: {Budget.CLIENT: wallets} | minted,
        policies.COMPLETE.name: {Budget.CLIENT: 1 + marks + 1} | minted,
    }
    return custodian | client


def calls_as_set(role: WorkerRole, settings: Settings) -> dict[str, Calls]:
    """`calls_of` with what the settings choose."""
    return calls_of(
        completion=settings.completion or PROFILES[settings.provider].completion,
        minting=settings.credential(role) is ClientCredential.SIMPLE,
    )


def rates_of(role: WorkerRole, settings: Settings) -> dict[TaskQueue, float]:
    """How many attempts a second each queue begins, so that no minute holds more calls than its budget."""
    calls = calls_as_set(role, settings)
    most: dict[Budget, dict[TaskQueue, int]] = {
        budget: {
            queue: max(calls[step.name].get(budget, 0) for step in policies.STEPS if step.queue is queue)
            for queue in PER_EJECT
        }
        for budget in Budget
    }
    limits = {
        Budget.CUSTODIAN: settings.budget_custodian,
        Budget.CLIENT: settings.budget_client,
        Budget.ENCLAVE: settings.budget_enclave,
    }
    ejects = min(
        (limits[budget] - _PARTITIONS * sum(by_queue.values()))
        / (_MINUTE * sum(PER_EJECT[queue] * count for queue, count in by_queue.items()))
        for budget, by_queue in most.items()
    )
    return {queue: often * ejects for queue, often in PER_EJECT.items()}


def ejects_a_minute(role: WorkerRole, settings: Settings) -> float:
    """How many usual ejects a minute pass Portal's budgets."""
    return rates_of(role, settings)[TaskQueue.CUSTODIAN] * 60 / PER_EJECT[TaskQueue.CUSTODIAN]
