"""What most tests of the device begin with."""

import pytest

from contracts.wallets import Curve
from device.identity import Identity
from tests.device import bundles
from tests.device.bundles import Made


@pytest.fixture
def identity() -> Identity:
    """The owner's identity."""
    return Identity.generate()


@pytest.fixture(params=list(Curve))
def made(request: pytest.FixtureRequest) -> Made:
    """A wallet of either curve."""
    return bundles.random_wallet(request.param, "w")
