"""The kill matrix: every point of every step, and every process that may die there."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from tests.harness.moments import ITSELF, NOTICE, VAULT, Moment, Point

ACCESSES: Mapping[str, tuple[str, ...]] = {
    "check": ("read_client",),
    "back_up": ("mint_session", "read_client_as_itself", "back_up", VAULT),
    "confirm_backup": ("mint_session", "store_cipher_text", "confirm_backup", "read_client_as_itself"),
    "enable_eject": ("read_client", "enable_eject"),
    "fetch_shares": ("fetch_shares", VAULT),
    "fetch_shares_as_client": ("read_client", "mint_session", "fetch_shares_as_client", VAULT),
    "read_cipher_texts": ("mint_session", "read_cipher_text", VAULT),
    "restore_backup": ("mint_session", "read_cipher_text", VAULT),
    "release": (VAULT,),
    "verify": (),
    "verify_approval": (),
    "complete": ("mint_session", "read_client_as_itself", "complete_client"),
    "purge": (VAULT,),
    "shrink_window": ("read_client", "enable_eject"),
    "delete_deposit": (VAULT,),
    "write_receipt": (VAULT,),
    "send_notice": (NOTICE,),
}
"""What each step reaches for, in the order of its first time; a test holds it against a recorded run."""


WATCHES = frozenset(
    ("watch_page", "look_again", "report_drift", "look_at_ejects", "read_requests", "compare_request")
)
"""The steps of the drift watch and of the mass exit: they change nothing, and are simply made again."""


class Process(StrEnum):
    """Who is killed with SIGKILL, and started again on the same state."""

    WORKER = "worker"
    SERVER = "server"
    SANDBOX = "sandbox"


@dataclass(frozen=True)
class Cell:
    """One case of the matrix."""

    point: Point
    killed: Process

    @property
    def reply_is_lost(self) -> bool:
        """Whether the sandbox dies between its work and its reply, which it then has to hold itself."""
        portal = self.point.access not in (VAULT, NOTICE, ITSELF)
        return portal and self.point.moment is Moment.ACTED and self.killed is Process.SANDBOX

    def __str__(self) -> str:
        return f"{self.point}/{self.killed}"


def points_of(step: str) -> list[Point]:
    """The points of a step: three for each call, one for the vault, at least one before its work."""
    found = []
    calls = [access for access in ACCESSES[step] if access != VAULT]
    for call in calls:
        found += [Point(step, call, moment) for moment in (Moment.BEFORE, Moment.ACTED, Moment.REPLIED)]
    if not calls:
        found.append(Point(step, ACCESSES[step][0] if ACCESSES[step] else ITSELF, Moment.BEFORE))
    if VAULT in ACCESSES[step]:
        found.append(Point(step, VAULT, Moment.WRITTEN))
    return found


POINTS = [point for step in ACCESSES for point in points_of(step)]


def _cells(killed: Process, *points: str) -> list[Cell]:
    return [Cell(Point.read(point), killed) for point in points]


SPREAD: Mapping[Process, list[Cell]] = {
    Process.WORKER: _cells(
        Process.WORKER,
        "back_up/back_up/REPLIED",
        "fetch_shares/vault/WRITTEN",
        "complete/complete_client/ACTED",
        "delete_deposit/vault/BEFORE",
        "shrink_window/enable_eject/REPLIED",
        "fetch_shares_as_client/fetch_shares_as_client/REPLIED",
    ),
    Process.SERVER: _cells(
        Process.SERVER,
        "release/vault/WRITTEN",
        "verify/itself/BEFORE",
        "verify_approval/itself/BEFORE",
        "write_receipt/vault/WRITTEN",
        "enable_eject/enable_eject/ACTED",
    ),
    Process.SANDBOX: _cells(
        Process.SANDBOX,
        "check/read_client/BEFORE",
        "confirm_backup/confirm_backup/ACTED",
        "restore_backup/read_cipher_text/REPLIED",
        "purge/vault/WRITTEN",
        "send_notice/notice/REPLIED",
        "complete/complete_client/ACTED",
        "fetch_shares_as_client/fetch_shares_as_client/ACTED",
        "read_cipher_texts/read_cipher_text/ACTED",
    ),
}
"""What every run of the tests tries: each step, and each moment and each process more than once."""

# Cells that share a Temporal server, a sandbox and one kill; more would not all stand within a time-out.
TOGETHER = 12


_GROUPS = -(-len(POINTS) // TOGETHER)
BATCHES: Mapping[str, list[Cell]] = {
    f"{killed}-{number}": [Cell(point, killed) for point in POINTS[number::_GROUPS]]
    for killed in Process
    for number in range(_GROUPS)
}
"""The whole matrix, in groups that one kill serves."""


def table(outcomes: Mapping[str, str]) -> str:
    """The matrix as Markdown: the death of how many processes ended right at each point, and whose did not.

    `outcomes` are by the name of their cell, and empty where all is right.
    """
    moments = list(Moment)
    lines = ["| step | reaches for | " + " | ".join(moments) + " |", "| --- " * (2 + len(moments)) + "|"]
    for step, accesses in ACCESSES.items():
        for access in accesses or (ITSELF,):
            shown = [_shown(Point(step, access, moment), outcomes) for moment in moments]
            lines.append(f"| {step} | {access} | " + " | ".join(shown) + " |")
    right = sum(not outcome for outcome in outcomes.values())
    return "\n".join([f"{right} of {len(outcomes)} cases ended right.", "", *lines])


def _shown(point: Point, outcomes: Mapping[str, str]) -> str:
    if point not in POINTS:
        return "-"
    tried = {killed: outcomes[name] for killed in Process if (name := str(Cell(point, killed))) in outcomes}
    wrong = [killed for killed, outcome in tried.items() if outcome]
    right = f"{len(tried) - len(wrong)}/{len(tried)}" if tried else "not tried"
    return f"{right}, not {', '.join(wrong)}" if wrong else right
