"""How far a mass exit is: the rate, when all are started, and what a person sees of it in the Temporal UI."""

from datetime import datetime, timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from contracts.mass import MOST_TROUBLES, MassExitRequest, MassProgress, MassStatus, Started
    from contracts.stages import Stage

from workflows.details import plain

_HOUR = timedelta(hours=1)
_BUCKET = timedelta(minutes=5)
# The first minutes tell nothing of the rate: what there is room for is started at once.
_TOO_EARLY = timedelta(minutes=10)
WAITING = (
    Stage.AWAITING_APPROVAL,
    Stage.COOLING_OFF,
    Stage.AWAITING_CLAIM,
    Stage.AWAITING_PROOF,
    Stage.UNRESOLVED,
)


def started_now(recent: tuple[Started, ...], now: datetime, count: int) -> tuple[Started, ...]:
    """The starts of the last hour with these; never more than thirteen numbers."""
    at = now - timedelta(minutes=now.minute % 5, seconds=now.second, microseconds=now.microsecond)
    kept = [one for one in recent if one.at > now - _HOUR - _BUCKET]
    if kept and kept[-1].at == at:
        return (*kept[:-1], Started(at=at, count=kept[-1].count + count))
    return (*kept, Started(at=at, count=count))[-13:]


def status_of(request: MassExitRequest, progress: MassProgress, now: datetime, *, over: bool) -> MassStatus:
    """Where a mass exit is."""
    look, left = progress.look, request.count - progress.next
    rate = sum(one.count for one in progress.recent if one.at > now - _HOUR)
    per_minute = look.per_minute if look else 0
    if (age := now - (progress.began or now)) >= _TOO_EARLY and rate:
        per_minute = min(per_minute, rate / (min(age, _HOUR) / timedelta(minutes=1)))
    ends, bound = None, "all are started"
    if progress.ended:
        bound = "the mass exit was ended"
    elif left and progress.paused:
        bound = "paused"
    elif left:
        bound = "not known before the first look"
        if look and per_minute:
            ends = now + timedelta(minutes=left / per_minute)
            bound = (
                f"Portal's budgets let {look.per_minute:.0f} ejects a minute through; "
                f"{look.at_once} at most are at work at once"
            )
    stages = look.stages if look else {}
    troubles = (*progress.troubles, *(look.troubles if look else ()))
    return MassStatus(
        name=request.name,
        count=request.count,
        not_started=left,
        started=progress.started,
        joined=progress.joined,
        differing=progress.differing,
        stages=stages,
        ends=look.ends if look else {},
        waiting=sum(stages.get(stage, 0) for stage in WAITING),
        in_trouble=stages.get(Stage.PARKED, 0) + progress.differing + (look.broken if look else 0),
        troubles=troubles[:MOST_TROUBLES],
        looked=look.at if look else None,
        rate=rate,
        starting_ends=ends,
        bound=bound,
        paused=progress.paused,
        ended=progress.ended,
        over=over,
    )


def markdown(status: MassStatus) -> str:
    """How far it is, who is in trouble, and the command that goes on."""
    lines = [f"**{status.count - status.not_started} of {status.count} have had their turn.**"]
    if status.over:
        lines[0] += " The mass exit is over."
    lines.append(
        f"{status.started} started, {status.joined} ran already, {status.waiting} await people, "
        f"{status.in_trouble} in trouble."
    )
    if status.paused:
        pause = status.paused
        lines.append(f"**Paused** by {plain(pause.by)} since {_time(pause.since)}: {plain(pause.why)}.")
        lines.append(_command(status, "mass-exit-resume", "--by NAME --why WHY"))
    elif status.not_started and not status.over:
        if status.starting_ends:
            lines.append(f"All are started at about {_time(status.starting_ends)}: {status.bound}.")
        lines.append(_command(status, "mass-exit-pause", "--by NAME --why WHY"))
    counts = {**status.stages, **status.ends}
    if status.looked and counts:
        told = ", ".join(f"{number} `{name}`" for name, number in counts.items())
        lines.append(f"At {_time(status.looked)}: {told}.")
    lines += [f"- client `{one.client_id}`, {one.stage}: {one.reason}" for one in status.troubles]
    lines.append(_command(status, "mass-exit-report"))
    return "\n\n".join(lines)


def _command(status: MassStatus, command: str, words: str = "") -> str:
    return f"`python starter.py {command} --name {status.name}{' ' if words else ''}{words}`"


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
