"""The only connection to Temporal."""

import logging
from collections.abc import Sequence
from functools import cache
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticCustomError
from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import DataConverter
from temporalio.envconfig import ClientConfig
from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)

from runtime.settings import SettingsError

# What every SDK can write; without a name, nobody can read it.
_COMMON_ENCODINGS = (
    b"json/plain",
    b"binary/plain",
    b"binary/null",
    b"json/protobuf",
    b"binary/protobuf",
    b"",
)


class Converter(PydanticPayloadConverter):
    """Pydantic's converter, to which a payload that nobody could read is a wrong input, as wrong JSON is.

    One in an encoding that only this worker does not know, such as a codec's that it lacks, stays an error
    of the worker: the run waits for the mended one.
    """

    def from_payloads(
        self, payloads: Sequence[Payload], type_hints: list[type[Any]] | None = None
    ) -> list[Any]:
        """Decode; `ValidationError` where a payload is malformed."""
        try:
            return super().from_payloads(payloads, type_hints)
        except ValidationError:
            raise
        except Exception:
            if any(payload.metadata.get("encoding", b"") not in _COMMON_ENCODINGS for payload in payloads):
                raise
        unreadable = PydanticCustomError("unreadable", "must be JSON, in the encoding json/plain")
        raise ValidationError.from_exception_data(
            "payload", [{"type": unreadable, "loc": (), "input": None}], hide_input=True
        )


DATA_CONVERTER = DataConverter(payload_converter_class=Converter)


class TemporalUnreachableError(Exception):
    """Temporal does not answer; the text says where it was looked for."""


async def connect() -> Client:
    """Connect as Temporal's own environment and profiles say; localhost:7233 where they say nothing."""
    try:
        config = ClientConfig.load_client_connect_config()
    except (RuntimeError, ValueError, OSError):
        raise SettingsError("Temporal's profile cannot be read: see TEMPORAL_PROFILE and its file") from None
    config.setdefault("target_host", "localhost:7233")
    try:
        return await Client.connect(**config, data_converter=DATA_CONVERTER, runtime=_runtime())
    except RuntimeError:
        raise TemporalUnreachableError(
            f"Temporal does not answer at {config['target_host']}, or not with these credentials: "
            "start it, or set TEMPORAL_ADDRESS"
        ) from None


@cache
def _runtime() -> Runtime:
    """The SDK's core, whose own lines would otherwise go to standard output as text."""
    forwarded = LogForwardingConfig(logger=logging.getLogger("temporalio.core"))
    levels = TelemetryFilter(core_level="WARN", other_level="ERROR")
    return Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(levels, forwarding=forwarded)))
