"""An eject runs longer than a version of the worker: it takes results of older and of newer ones."""

from pathlib import Path

import pytest
from pydantic import SecretStr
from temporalio.client import Client

from contracts.base import Result
from contracts.steps import BackedUp, Checked
from contracts.wallets import Curve, PublicKey, Wallet
from runtime.settings import WorkerRole
from serving import steps, workers
from tests.harness.commands import commands_of
from tests.harness.playing import recording
from tests.harness.points import WATCHES
from tests.harness.receiver import Receiver
from tests.harness.replaying import FOLDER, must_equal
from tests.harness.shapes import (
    LIST,
    MEANING,
    RESULTS,
    Reshaping,
    complaints,
    fields,
    line_of,
    listed,
    newer,
    older,
)
from tests.harness.world import World

# Scenarios in which the custodian demands or tells something, so that the check has to say so.
GUARDED = MEANING | {"Checked.guards", "Checked.notices", "Guards.approvals", "Guards.approvers"}
GUARDED |= {"Guards.cooling_off"}
# An existing backup is one only by what these say; no version that took one went without.
FROM_BEFORE = MEANING | {"Checked.completed", "SharesFetched.stored", "CipherTextsRead.files"}
SCENARIOS: dict[str, frozenset[str]] = {
    "cancelled": MEANING,
    "reopened_after_the_purge": MEANING,
    "signed_approvals_and_cooling_off": GUARDED,
    "told_of_everything": GUARDED,
    "existing_backup": FROM_BEFORE,
    "fetched_as_client": FROM_BEFORE,
}
WALLET = Wallet(id="w", curve=Curve.ED25519, public_key=PublicKey(x="1", y="2"), address="a")


@pytest.mark.parametrize("age", ["older", "newer"])
async def test_ejects_take_results_of_another_version(
    temporal: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, age: str
) -> None:
    """Results of every activity without what has a default, or with what nobody knows: the same commands."""
    seen: set[str] = set()
    for name, kept in SCENARIOS.items():
        reshaping = Reshaping(newer if age == "newer" else older(kept))
        monkeypatch.setattr(workers, "ActivityBoundary", lambda given=reshaping: given)
        (tmp_path / name).mkdir()
        played = await recording(name, temporal, tmp_path / name)
        recorded = (FOLDER / f"{name}.txt").read_text().splitlines()
        must_equal(f"{name} with {age} results", recorded, commands_of(played.histories[name]))
        seen |= reshaping.seen
    assert seen == set(RESULTS)


def test_the_shapes_are_what_they_say() -> None:
    """The first version's fields only; or one more in each model, also in those inside."""
    checked = Checked(wallets=(WALLET,), notices=True)
    old = older(MEANING)(checked)
    assert old == {
        "wallets": [{"id": "w", "curve": "ED25519", "public_key": {"x": "1", "y": "2"}, "address": "a"}],
        "problems": [],
        "ejected_at": None,
    }
    new = newer(checked)
    found = [new, new["guards"], new["wallets"][0], new["wallets"][0]["public_key"]]
    assert all("added_later" in one for one in found)
    assert "added_later" not in new["wallets"][0]["addresses"], "a mapping is data, and no model"
    assert (Checked.model_validate(old), Checked.model_validate(new)) == (
        checked.model_copy(update={"notices": False}),
        checked,
    )


async def test_every_activity_of_the_worker_is_among_them(workerless: World, tmp_path: Path) -> None:
    """A new activity without its result here makes this red."""
    receiver = Receiver()
    settings = workerless.settings.model_copy(
        update={"notify_url": receiver.url, "notify_secret": SecretStr(receiver.secret)}
    )
    async with steps.hosts_of(settings) as hosts:
        served = steps.activities_of(WorkerRole.ALL, settings, hosts)
    assert {step.__name__ for steps in served.values() for step in steps} == set(RESULTS) | WATCHES


def test_results_keep_their_fields() -> None:
    """What `tests/results.txt` lists is there, and what is new has a default and is listed."""
    assert complaints(listed(), fields(RESULTS.values())) == []
    assert LIST.read_text().splitlines() == [line_of(*field) for field in sorted(listed().items())]


class Changed(BackedUp):
    """A result with a field that older ones lack."""

    by: str


class Inside(Result):
    """A result whose inner model is looked into."""

    wallets: tuple[Wallet, ...] = ()
    first: Wallet | None = None


@pytest.mark.parametrize(
    ("then", "now", "words"),
    [
        ({"BackedUp.files": True}, {}, "BackedUp.files is gone: workers of the last version"),
        ({}, {"BackedUp.by": True}, "BackedUp.by is new and has no default: results that lie in histories"),
        ({}, {"BackedUp.by": False}, "the line `BackedUp.by may be missing`"),
        ({"Checked.notices": False}, {"Checked.notices": True}, "Checked.notices has lost its default"),
    ],
)
def test_a_changed_field_is_told_with_the_reason(
    then: dict[str, bool], now: dict[str, bool], words: str
) -> None:
    """Each way to break results of another version has its own sentence."""
    (told,) = complaints(then, now)
    assert words in told


def test_fields_are_found_in_models_inside_models() -> None:
    """Also in a tuple, beside None, and those that a subclass adds."""
    assert fields([Changed])["Changed.by"] is True
    found = fields([Inside])
    assert found["Wallet.addresses"] is False
    assert found["PublicKey.x"] is True
