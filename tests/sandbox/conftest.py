"""A fresh sandbox in memory for each test that asks for one."""

from collections.abc import AsyncIterator

import pytest

from tests.sandbox.harness import Box, in_process


@pytest.fixture
async def box() -> AsyncIterator[Box]:
    """Serve one sandbox."""
    async with in_process() as served:
        yield served
