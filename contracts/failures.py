"""The closed set of failures that a step can report, and what each one asks for.

A failure's name is the type of the Temporal failure; the workflow branches on it and never on prose.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class Failure(StrEnum):
    """Why a step did not do its work."""

    PORTAL_UNAVAILABLE = "PortalUnavailable"
    PORTAL_THROTTLED = "PortalThrottled"
    REPLY_LOST = "ReplyLost"
    VAULT_UNAVAILABLE = "VaultUnavailable"
    VAULT_REFUSED = "VaultRefused"
    RECEIVER_UNAVAILABLE = "ReceiverUnavailable"
    UNEXPECTED = "Unexpected"

    CREDENTIAL_REJECTED = "CredentialRejected"
    NOT_FOUND = "NotFound"
    PORTAL_REFUSED = "PortalRefused"
    REPLY_UNREADABLE = "ReplyUnreadable"
    DEPOSIT_MISSING = "DepositMissing"
    DEPOSIT_UNREADABLE = "DepositUnreadable"
    SHARE_UNREADABLE = "ShareUnreadable"
    PAIR_MISMATCH = "PairMismatch"
    CIPHER_TEXT_CHANGED = "CipherTextChanged"
    WALLETS_CHANGED = "WalletsChanged"
    HELD_MISSING = "HeldMissing"
    MESSAGE_INVALID = "MessageInvalid"

    WINDOW_SPENT = "WindowSpent"
    WINDOWS_USED_UP = "WindowsUsedUp"

    WINDOW_AGED = "WindowAged"
    WINDOW_CLOSED = "WindowClosed"


@dataclass(frozen=True)
class Rule:
    """Whether the step is simply tried again, and otherwise what a person does before `retry`."""

    retried: bool
    mend: str = ""


RULES: dict[Failure, Rule] = {
    Failure.PORTAL_UNAVAILABLE: Rule(True),
    Failure.PORTAL_THROTTLED: Rule(True),
    Failure.REPLY_LOST: Rule(True),
    Failure.VAULT_UNAVAILABLE: Rule(True),
    Failure.RECEIVER_UNAVAILABLE: Rule(True),
    # A bug of ours: the run waits for the mended worker, which then simply succeeds.
    Failure.UNEXPECTED: Rule(True, "find the cause in the worker's log, update the worker, then retry"),
    Failure.CREDENTIAL_REJECTED: Rule(
        False,
        "give the role a credential that Portal takes (the worker's settings and a restart, or "
        "`starter.py deposit --api-key` for the client's own), then retry",
    ),
    Failure.VAULT_REFUSED: Rule(
        False,
        "give the worker's role access to the vault again "
        "(its policy, credentials, bucket, region or key), then retry",
    ),
    Failure.NOT_FOUND: Rule(False, "find out with Portal why it does not know this any more, then retry"),
    Failure.PORTAL_REFUSED: Rule(False, "mend at Portal what it refuses, then retry"),
    Failure.REPLY_UNREADABLE: Rule(
        False, "Portal answers in a form that this version does not know: update the worker, then retry"
    ),
    Failure.DEPOSIT_MISSING: Rule(
        False, "deposit what is missing (`starter.py deposit`, `--api-key` for the API key), then retry"
    ),
    Failure.DEPOSIT_UNREADABLE: Rule(
        False,
        "deposit again what cannot be read, this client's own (`starter.py deposit`, `--api-key` for the "
        "API key), or put the identity back that it was sealed to, then retry",
    ),
    Failure.SHARE_UNREADABLE: Rule(
        False, "ask Portal why its share is not in the documented form, then retry"
    ),
    Failure.PAIR_MISMATCH: Rule(
        False, "ask Portal why it answers with another backup share pair than the one backed up, then retry"
    ),
    Failure.CIPHER_TEXT_CHANGED: Rule(
        False, "find out who replaced the cipher text that this eject stored with Portal, then retry"
    ),
    Failure.WALLETS_CHANGED: Rule(
        False, "put the client's wallets back to what was checked, then retry, or start a new eject"
    ),
    Failure.HELD_MISSING: Rule(
        False,
        "put the eject's files back into the vault's held/ folder from a backup, "
        "remove what is not its own from released/, then retry",
    ),
    Failure.MESSAGE_INVALID: Rule(False, "this is a defect of ours: update the worker, then retry"),
    Failure.WINDOW_SPENT: Rule(
        False, "find out who else fetched shares in the window that this eject opened, then retry"
    ),
    Failure.WINDOWS_USED_UP: Rule(
        False, "find out with Portal why the client's fetch fails again and again, then retry"
    ),
    Failure.WINDOW_AGED: Rule(False),
    Failure.WINDOW_CLOSED: Rule(False),
}


class StepError(Exception):
    """A step could not do its work; `sentence` is for people and holds ids, statuses and times only.

    `retry_after` is how long the other side asks to be left alone, where it said so.
    """

    def __init__(self, failure: Failure, sentence: str, retry_after: timedelta | None = None) -> None:
        super().__init__(sentence)
        self.failure = failure
        self.sentence = sentence
        self.retry_after = retry_after
