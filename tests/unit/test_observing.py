"""What a call to Portal counts as, whatever it came to."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from temporalio.common import MetricMeter

from contracts.failures import RULES, Failure
from contracts.metrics import Outcome
from contracts.names import TaskQueue
from portal.observer import Exchange
from serving.observing import Observing, show_from_nought


class Meter:
    """Keeps what is counted, by name and labels."""

    def __init__(self) -> None:
        self.counted: dict[tuple[str, ...], int] = {}
        self.took: list[dict[str, str]] = []

    def create_counter(self, name: str, description: str = "") -> Any:
        """One counter."""

        def add(value: int, labels: dict[str, str]) -> None:
            key = (name, *labels.values())
            self.counted[key] = self.counted.get(key, 0) + value

        return SimpleNamespace(add=add)

    def create_histogram_timedelta(self, *_: str) -> Any:
        """One histogram."""
        return SimpleNamespace(record=lambda _, labels: self.took.append(labels))

    def with_additional_attributes(self, _: dict[str, str]) -> "Meter":
        """The same one."""
        return self


def counted(exchange: Exchange) -> dict[tuple[str, ...], int]:
    """What one call counts as."""
    meter = Meter()
    with Observing(cast(MetricMeter, meter)).portal_call(exchange.call) as one:
        one.answered, one.failure, one.status = exchange.answered, exchange.failure, exchange.status
    assert meter.took == [{"call": exchange.call}]
    return meter.counted


@pytest.mark.parametrize(
    ("exchange", "outcome"),
    [
        (Exchange("c", "", 200, answered=True), Outcome.OK),
        (Exchange("c", "", 429, failure=Failure.PORTAL_THROTTLED), Outcome.THROTTLED),
        (Exchange("c", "", 503, failure=Failure.PORTAL_UNAVAILABLE), Outcome.UNAVAILABLE),
        (Exchange("c", "", failure=Failure.REPLY_LOST), Outcome.LOST),
        (Exchange("c", "", 401, failure=Failure.CREDENTIAL_REJECTED), Outcome.CREDENTIAL_REJECTED),
        (Exchange("c", "", 404, failure=Failure.NOT_FOUND), Outcome.REFUSED),
        (Exchange("c", "", 400, failure=Failure.PORTAL_REFUSED), Outcome.REFUSED),
        (Exchange("c", "", 200, failure=Failure.REPLY_UNREADABLE), Outcome.UNREADABLE),
        (Exchange("c", ""), Outcome.GIVEN_UP),
    ],
    ids=lambda value: value if isinstance(value, Outcome) else "",
)
def test_every_end_of_a_call_is_counted_once(exchange: Exchange, outcome: Outcome) -> None:
    """Also that of a call which its step gave up."""
    assert counted(exchange) == {("eject_portal_calls", "c", outcome): 1}


def test_a_call_that_is_cut_short_is_counted() -> None:
    """By whatever: a cancellation, or a defect."""
    meter = Meter()
    with pytest.raises(KeyError), Observing(cast(MetricMeter, meter)).portal_call("c"):
        raise KeyError
    assert meter.counted == {("eject_portal_calls", "c", Outcome.GIVEN_UP): 1}


def test_counters_begin_at_nought() -> None:
    """All that this queue's worker may count, and parks where the workflow runs."""
    ours, others = Meter(), Meter()
    show_from_nought(cast(MetricMeter, ours), TaskQueue.EJECT, ["check"])
    show_from_nought(cast(MetricMeter, others), TaskQueue.CLIENT, ["complete"])
    assert set(ours.counted.values()) == set(others.counted.values()) == {0}
    assert ("eject_attempts_failed", "check") in ours.counted
    assert ("eject_attempts_failed", "complete") in others.counted
    assert ("eject_parked", "write_receipt", Failure.VAULT_REFUSED) in ours.counted
    assert not [key for key in others.counted if key[0] == "eject_parked"]
    assert {key[2] for key in ours.counted if key[0] == "eject_parked"} == {f for f in RULES if RULES[f].mend}
