"""The only connection to Temporal."""

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfig

DATA_CONVERTER = pydantic_data_converter


class TemporalUnreachableError(Exception):
    """Temporal does not answer; the text says where it was looked for."""


async def connect() -> Client:
    """Connect as Temporal's own environment and profiles say; localhost:7233 where they say nothing."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    try:
        return await Client.connect(**config, data_converter=DATA_CONVERTER)
    except RuntimeError:
        raise TemporalUnreachableError(
            f"Temporal does not answer at {config['target_host']}: start it, or set TEMPORAL_ADDRESS"
        ) from None
