"""How far a mass exit is: rates, estimates, and a state that does not grow."""

from datetime import UTC, datetime, timedelta

from contracts.mass import Look, MassExitRequest, MassProgress, MassStatus, Pause, Started, Trouble
from workflows.mass_progress import markdown, started_now, status_of

NOON = datetime(2030, 1, 31, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def status(now: datetime = NOON, **progress: object) -> MassStatus:
    """Where a mass exit of 1,000 is, begun at noon."""
    request = MassExitRequest(name="all", digest="0" * 64, count=1000)
    return status_of(request, MassProgress.model_validate({"began": NOON} | progress), now, over=False)


def test_starts_are_kept_for_an_hour_in_thirteen_numbers() -> None:
    """However often something is started, and however long it goes on."""
    recent: tuple[Started, ...] = ()
    for second in range(0, 3 * 3600, 10):
        recent = started_now(recent, NOON + timedelta(seconds=second), 2)
        assert len(recent) <= 13
    assert sum(one.count for one in recent) <= 2 * 6 * 65
    (last,) = started_now((), NOON + 3 * MINUTE, 7)
    assert (last.at, last.count) == (NOON, 7)


def test_the_estimate_is_by_the_budgets_first_and_by_the_rate_later() -> None:
    """The first minutes start what there is room for, which is no rate."""
    look = Look(at=NOON, per_minute=20, at_once=60)
    recent = (Started(at=NOON, count=60),)
    early = status(NOON + MINUTE, look=look, next=60, recent=recent)
    assert early.starting_ends == NOON + MINUTE + 47 * MINUTE
    assert early.bound == "Portal's budgets let 20 ejects a minute through; 60 at most are at work at once"
    late = status(NOON + 30 * MINUTE, look=look, next=300, recent=(Started(at=NOON, count=300),))
    assert (late.rate, late.starting_ends) == (300, NOON + 30 * MINUTE + 70 * MINUTE)


def test_there_is_no_estimate_where_nothing_is_started() -> None:
    """Paused, ended, not looked yet, all started: each says so."""
    look, by = Look(at=NOON, per_minute=20), Pause(by="ops", why="asked to", since=NOON)
    assert status().bound == "not known before the first look"
    assert status(look=look, paused=by).bound == "paused"
    assert status(look=look, ended=by).bound == "the mass exit was ended"
    assert status(look=look, next=1000).bound == "all are started"
    assert status(look=look, paused=by).starting_ends is None


def test_people_see_the_command_that_goes_on() -> None:
    """Paused: `resume`; otherwise `pause`; always the report; words of people are not read as form."""
    look = Look(at=NOON, per_minute=20, stages={"parked": 1, "awaiting_claim": 4}, ends={"ejected": 2})
    trouble = Trouble(client_id="c1", stage="parked", reason="park 1 at back_up: why")
    shown = markdown(status(look=look, next=8, troubles=(trouble,)))
    assert "**8 of 1000 have had their turn.**" in shown
    assert "4 await people, 1 in trouble" in shown
    assert "1 `parked`, 4 `awaiting_claim`, 2 `ejected`" in shown
    assert "- client `c1`, parked: park 1 at back_up: why" in shown
    assert "`python starter.py mass-exit-pause --name all --by NAME --why WHY`" in shown
    paused = markdown(status(look=look, paused=Pause(by="**ops**", why="[x](y)", since=NOON)))
    assert "**Paused** by ops since 2030-01-31 12:00:00 UTC: xy." in paused
    assert "`python starter.py mass-exit-resume --name all --by NAME --why WHY`" in paused
    assert "mass-exit-pause" not in paused
    assert "`python starter.py mass-exit-report --name all`" in paused
