"""One S3 server for all tests of this folder in one process, with an empty bucket for each test."""

from collections.abc import Iterator

import pytest

from tests.harness.s3 import S3Server, s3_server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """The server, with a user for each policy."""
    with s3_server(tmp_path_factory.mktemp("s3") / "node") as running:
        yield running


@pytest.fixture
def s3(server: S3Server) -> S3Server:
    """The same with an empty bucket."""
    server.new_bucket()
    return server
