"""The only connection to Temporal."""

import logging
from functools import cache

from temporalio.client import Client
from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    PrometheusConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)

from contracts.metrics import ALL
from runtime.converter import data_converter
from runtime.profile import read_profile, unreachable
from runtime.settings import Settings, SettingsError, load_settings
from runtime.tracing import interceptors
from runtime.uses import Program


class TemporalUnreachableError(Exception):
    """Temporal does not answer; the text says where it was looked for."""


async def connect(settings: Settings | None = None, *, metrics: str | None = None) -> Client:
    """Connect as Temporal's own environment and profiles say; localhost:7233 where they say nothing.

    What is encrypted follows from these settings, or from those of the environment, so that nobody writes
    plain text by forgetting them. `metrics` is the host:port at which this process shows its metrics to
    Prometheus.
    """
    converter = data_converter((settings or load_settings(Program.STARTER)).codec())
    config, runtime = read_profile(), _runtime(metrics)
    try:
        return await Client.connect(
            **config, data_converter=converter, interceptors=interceptors(), runtime=runtime
        )
    except (RuntimeError, ValueError) as error:
        raise TemporalUnreachableError(unreachable(error, config)) from None


@cache
def _runtime(metrics: str | None) -> Runtime:
    """The SDK's core, whose own lines would otherwise go to standard output as text."""
    forwarded = LogForwardingConfig(logger=logging.getLogger("temporalio.core"))
    levels = TelemetryFilter(core_level="WARN", other_level="ERROR")
    shown = None
    if metrics:
        shown = PrometheusConfig(
            metrics,
            counters_total_suffix=True,
            unit_suffix=True,
            durations_as_seconds=True,
            histogram_bucket_overrides={metric.name: metric.buckets for metric in ALL if metric.buckets},
        )
    try:
        return Runtime(
            telemetry=TelemetryConfig(logging=LoggingConfig(levels, forwarding=forwarded), metrics=shown)
        )
    except ValueError:
        raise SettingsError(
            f"EJECT_METRICS_ADDRESS {metrics} cannot be listened at: name a free ip:port of this machine"
        ) from None
