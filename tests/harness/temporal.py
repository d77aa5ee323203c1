"""One real Temporal server for all tests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from temporalio.testing import WorkflowEnvironment

from runtime.development import SERVER_SETTINGS, temporal_cli
from runtime.temporal import DATA_CONVERTER
from workflows import attributes

# Workers that are processes of their own serve this namespace, so that no other worker takes their tasks.
PROCESSES = "processes"

# Whoever asks through Nexus lives here, and no worker of ours does.
ELSEWHERE = "elsewhere"


@asynccontextmanager
async def server(ui_port: int | None = None) -> AsyncIterator[WorkflowEnvironment]:
    """The development server with its time skipping on, and with its UI where that has a port."""
    settings = (
        "frontend.WorkflowTimeSkippingEnabled=true",
        "frontend.WorkflowPauseEnabled=true",
        *SERVER_SETTINGS,
    )
    extra = [part for setting in settings for part in ("--dynamic-config-value", setting)]
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=temporal_cli(),
        dev_server_log_level="error",
        dev_server_extra_args=[*extra, "--namespace", PROCESSES, "--namespace", ELSEWHERE],
        search_attributes=attributes.ALL,
        data_converter=DATA_CONVERTER,
        ui=ui_port is not None,
        ui_port=ui_port,
    ) as environment:
        yield environment
