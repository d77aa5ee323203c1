"""The switches: what holds for all clients where the documents leave a choice. All are off at first."""

from sandbox.control_common import Strict


class Switches(Strict):
    """The switches that are turned; those that are absent stay as they are."""

    gate_fetch_by_window: bool = False
    """The custodian's fetch wants an open window, as Tatum claims; Portal documents no gate."""

    gate_completion_by_window: bool = False
    """Completion wants open windows: every wallet's for the client, its own for one wallet."""

    complete_one_by_one: bool = False
    """The client is marked with its last wallet. Off, the first wallet marks it: Tatum's document."""

    repeat_completion_ok: bool = False
    """Completing again answers like the first time and changes nothing. Off, it is a 400."""

    wrap_client_fetch: bool = False
    """The client's fetch answers inside `{"data": ...}`. Off, its body is flat."""

    empty_200: bool = False
    """A reply without a body is a 200. Off, it is a 204."""

    signing_ends_with_eject: bool = False
    """An ejected client's key signs no more, as Tatum claims; Portal says that it only records the eject."""

    sparse_clients: bool = False
    """Clients are shown without what may be absent: only ids, curves, keys, pairs with their status, and
    the times that are set."""

    bare_clients: bool = False
    """Clients are shown as `{"id"}`, the one field that is always there."""

    gateway_credits_used_up: bool = False
    """The gateway refuses every call: the plan's credits are used up (403, in Tatum's form)."""

    gateway_credits_as_text: bool = False
    """The same 403 as Tatum's help page prints it: braces around prose, which is no JSON."""

    gateway_permission_missing: bool = False
    """The gateway refuses every call: the key may not do this (403, final)."""


SWITCHES = tuple(Switches.model_fields)
