"""No secret outside sealed files, in whichever way an eject goes; and the search finds what is put there."""

from collections.abc import Callable

import pytest
import pytest_asyncio

from tests.planted.control import EXPECTED
from tests.planted.evidence import Evidence, gather
from tests.planted.known import CONTROL
from tests.planted.table import ALL, SPREAD


def controlled(evidence: Evidence, channel: str) -> bool:
    """Whether the control's secret of a channel was found there, encoded as it was put there."""
    secret, encoding = EXPECTED[channel]
    return any(
        # A hex without a letter is the same in capitals.
        name.startswith(CONTROL) and name.endswith(secret) and form.startswith(encoding.split(" ")[0])
        for name, form in evidence.found[channel]
    )


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def spread(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """What a spread of the scenarios wrote, and the control."""
    return await gather(tmp_path_factory.mktemp("planted"), SPREAD)


async def test_no_planted_secret_is_found_anywhere(spread: Evidence) -> None:
    """Server's file, histories, attributes, memos, failures, logs, metrics, vault, notices, command line."""
    assert spread.leaks == []
    assert len(spread.search.secrets) > 1000, "there is something to search for"


@pytest.mark.parametrize("channel", EXPECTED)
async def test_a_secret_that_is_put_into_a_channel_is_found(spread: Evidence, channel: str) -> None:
    """The search can fail: each channel has a secret of the control's, and the scenarios write there too."""
    assert controlled(spread, channel), sorted(n for n in spread.found[channel] if CONTROL in n[0])
    assert spread.found.keys() == EXPECTED.keys()


@pytest.mark.chaos
async def test_no_planted_secret_is_found_over_all_scenarios(
    tmp_path_factory: pytest.TempPathFactory, record_property: Callable[[str, object], None]
) -> None:
    """Every end, every park and every fault, in one place; and its controls."""
    evidence = await gather(tmp_path_factory.mktemp("planted"), ALL)
    record_property("secrets", evidence.figures)
    assert evidence.leaks == []
    assert len(evidence.scenarios) >= 40
    assert [channel for channel in EXPECTED if not controlled(evidence, channel)] == []
