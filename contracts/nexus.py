"""The inputs of the Nexus operations: each is the command's own message, and whose eject it is for."""

from contracts.base import Id, Message
from contracts.commands import Cancel
from contracts.owner import Claim, Prove


class Whose(Message):
    """The client whose latest eject is meant."""

    client_id: Id


class ClaimFor(Claim, Whose):
    """The input of the operation `claim`."""


class ProveFor(Prove, Whose):
    """The input of the operation `prove`."""


class CancelFor(Cancel, Whose):
    """The input of the operation `cancel`."""
