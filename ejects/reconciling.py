"""What to do about each client after a loss: one state, one sentence, the commands; decided without I/O."""

import shlex
from datetime import datetime

from contracts.stages import End
from contracts.window import CLOSES_ANYWAY
from custody.shelf import says_ejected
from ejects.advice import Advice, State
from ejects.standing import Standing, Standings, Trace

SWEEP = "python starter.py sweep"
_OWNERS = "; the completed backup is not this eject's and the only one: ask the owner before you replace it"
_OURS = (
    "; --replace-backup is right where the lost eject made that backup, not where it had --backup existing"
)
_ANEW = (
    "The lost eject's bundle and proofs count for nothing in a new one, whose id and challenge are new: the "
    "owner claims and proves again, with the same age identity"
)


def advise(found: Standings, now: datetime) -> list[Advice]:
    """What to do, what concerns everybody first; clients of whom there is nothing to say are left out."""
    lines = []
    if not found.temporal:
        lines.append(
            Advice(
                client_id=None,
                state=State.TEMPORAL_SILENT,
                facts="Temporal does not answer, so nobody knows which ejects run",
                advice="Bring it back, with its database if that can be saved, and reconcile again before "
                "anything below is done",
            )
        )
    if found.chain:
        more = f" (and {len(found.chain) - 1} more)" if len(found.chain) > 1 else ""
        lines.append(
            Advice(
                client_id=None,
                state=State.CHAIN_BROKEN,
                facts=found.chain[0] + more,
                advice="Put what is missing back from a backup of the vault; a receipt that no entry names "
                "was cut off by the loss, or is nobody's: verify it by itself",
                commands=("python starter.py verify-receipt --chain DIR --key PUBLIC",),
            )
        )
    lines += [
        Advice(
            client_id=None,
            state=State.UNKNOWN_FILES,
            facts=f"eject {trace.eject_id} left {'released' if trace.released else 'held'} files, and Portal "
            "shows no client with its wallets",
            advice="See that no eject of another Temporal or Portal environment uses this vault, then sweep",
            commands=(SWEEP,),
        )
        for trace in found.strays
    ]
    return lines + [line for standing in found.all if (line := judge(standing, now))]


def judge(standing: Standing, now: datetime) -> Advice | None:
    """What to do about one client; None where there is nothing to say."""
    shown = standing.shown
    if standing.stage is not None:
        return _line(
            standing,
            State.RUNNING,
            f"its eject is {standing.stage}",
            "Nothing for recovery; see how it is",
            _status(standing),
        )
    if shown is None:
        last = standing.receipts[-1] if standing.receipts else None
        told = f"its last receipt says {last.end}" if last else "it has a deposit"
        return _line(
            standing,
            State.GONE_AT_PORTAL,
            f"Portal does not show this client, and {told}",
            "See that EJECT_CUSTODIAN_API_KEY is of the right environment; a client that was removed at "
            "Portal needs nothing",
        )
    if shown.ejected_at is not None:
        return _ejected(standing, shown.ejected_at)
    if any(receipt.end is End.EJECTED for receipt in standing.receipts):
        return _line(
            standing,
            State.RECEIPT_ALONE,
            "a receipt says ejected, and Portal does not",
            "Verify the receipt, then ask Portal: neither ejects nor this command can undo or repeat that",
        )
    return _unfinished(standing, now)


def _ejected(standing: Standing, at: datetime) -> Advice:
    told = f"Portal says ejected at {_time(at)}"
    left = bool(standing.traces)
    if any(says_ejected(each, at, End.EJECTED, End.ALREADY_EJECTED) for each in standing.receipts):
        advice = "Sweep what is left, an hour after its last change" if left else "Nothing"
        if standing.deposited:
            advice += f"; remove deposits/{standing.client_id}/ from the vault, which nobody needs any more"
        return _line(
            standing, State.EJECTED, f"{told}, and a receipt says so", advice, *((SWEEP,) if left else ())
        )
    record = start_again(standing, "to record an eject whose receipt was lost")
    if standing.ended and standing.ended.stage == End.EJECTED:
        return _line(
            standing,
            State.EJECTED_UNRECORDED,
            f"{told}, and so does Temporal; the receipt is gone from the vault",
            "Put it back from a backup of the vault; else save what Temporal still has, and start again to "
            "have a record in the chain, which ends already_ejected",
            _status(standing),
            record,
        )
    if left or standing.deposited:
        traces = "sealed files" if left else "a deposit"
        return _line(
            standing,
            State.EJECTED_UNRECORDED,
            f"{told}, no receipt says so, and {traces} of ours lie in the vault",
            "See in your own records that it was asked of us, then start it again: it ends already_ejected, "
            "touches nothing at Portal, and its receipt is the record",
            record,
            *((SWEEP,) if left else ()),
        )
    return _line(
        standing,
        State.EJECTED_ELSEWHERE,
        f"{told}, and neither a receipt nor a file of ours knows of it",
        "Find out who did it (an eject of ours whose receipt was lost just before it was written looks the "
        "same); then start one to record it, which ends already_ejected",
        record,
    )


def _unfinished(standing: Standing, now: datetime) -> Advice | None:
    lost = lost_of(standing)
    claimed = any(trace.released for trace in lost)
    closes = standing.shown.open_until if standing.shown else None
    opened = closes is not None and closes > now + CLOSES_ANYWAY
    told = f"Portal's window is open until {_time(closes)}" if closes and opened else "no window is open"
    # Only a backup that the lost eject made is replaced by a command that somebody copies.
    ours = _replaces(standing) and bool(lost) and _is_ours(standing, lost)
    again = start_again(standing, "lost with Temporal", replace_backup=ours)
    owners = _OWNERS if _replaces(standing) and not ours else ""
    if lost:
        state = (
            (State.WINDOW_OPEN_CLAIMED if opened else State.CLAIMED)
            if claimed
            else (State.WINDOW_OPEN if opened else State.BACKED_UP)
        )
        what = "the owner may hold the keys" if claimed else "nobody has claimed"
        advice = f"Start again, with the recipient and the other options of the lost one. {_ANEW}"
        advice += _OURS if ours else owners
        if not standing.deposited:
            advice += "; deposit the signing shares before, or use --backup existing with the lost backup"
        ids = ", ".join(trace.eject_id for trace in lost)
        return _line(standing, state, f"eject {ids} is lost, {told}, {what}", advice, again, SWEEP)
    if opened:
        return _line(
            standing,
            State.WINDOW_OPEN_ELSEWHERE,
            f"{told}, and no file of ours belongs to it",
            "Find out who opened it; it closes by itself. If an eject of ours was lost together with its "
            f"files, start it again. {_ANEW}{owners}",
            again,
        )
    if standing.ended and all(each.eject_id != standing.ended.eject_id for each in standing.receipts):
        return _line(
            standing,
            State.ENDED,
            f"Temporal says that eject {standing.ended.eject_id} ended {standing.ended.stage}, and its "
            "receipt is not in the vault",
            "Put the receipt back from a backup of the vault, or save what Temporal still has",
            _status(standing),
            *((SWEEP,) if standing.traces else ()),
        )
    if standing.receipts:
        last = standing.receipts[-1]
        return _line(
            standing,
            State.ENDED,
            f"its last eject ended {last.end} at {_time(last.times.ended)}",
            "Sweep what a restored copy has brought back" if standing.traces else "Nothing",
            *((SWEEP,) if standing.traces else ()),
        )
    if standing.deposited:
        return _line(
            standing,
            State.DEPOSITED,
            "a deposit and nothing else: no eject has come as far as a backup",
            f"Start it if it was asked for; approvals are asked for anew{owners}",
            again,
        )
    return None


def _status(standing: Standing) -> str:
    return shlex.join(["python", "starter.py", "status", "--client", standing.client_id])


def start_again(standing: Standing, reason: str, *, replace_backup: bool = False) -> str:
    """The command; RECIPIENT and YOU are the operator's to fill in, as nobody else knows them."""
    words = ["python", "starter.py", "start", "--client", standing.client_id, "--recipient", "RECIPIENT"]
    words += ["--window", "P7D", "--requested-by", "YOU", "--reason", reason]
    return shlex.join([*words, *(["--replace-backup"] if replace_backup else [])])


def lost_of(standing: Standing) -> list[Trace]:
    """Traces of ejects that never ended; what an ended one has left came back with a restored copy."""
    ended = {receipt.eject_id for receipt in standing.receipts}
    ended |= {standing.ended.eject_id} if standing.ended else set()
    return [trace for trace in standing.traces if trace.eject_id not in ended]


def _replaces(standing: Standing) -> bool:
    """Whether a fresh backup would replace a completed one, which wants to be said."""
    shown = standing.shown
    if shown is None or shown.ejected_at is not None or shown.environment.is_multi_backup_enabled:
        return False
    return any(pair.completed for wallet in shown.wallets for pair in wallet.backup_share_pairs)


def _is_ours(standing: Standing, lost: list[Trace]) -> bool:
    ours = {pair for trace in lost for pair in trace.pairs}
    shown = standing.shown.wallets if standing.shown else ()
    return all(pair.id in ours for wallet in shown for pair in wallet.backup_share_pairs if pair.completed)


def _line(standing: Standing, state: State, facts: str, advice: str, *commands: str) -> Advice:
    return Advice(client_id=standing.client_id, state=state, facts=facts, advice=advice, commands=commands)


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
