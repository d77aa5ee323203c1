"""Logging: structlog and the standard library through one renderer, as JSON lines on standard error."""

import logging
import sys

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger
from temporalio import activity, workflow

from runtime.tracing import here


def _where(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Say for which eject a line was written, and in which trace."""
    if workflow.in_workflow():
        info = workflow.info()
        event.update(workflow_id=info.workflow_id, run_id=info.run_id)
    elif activity.in_activity():
        at = activity.info()
        event.update(
            workflow_id=at.workflow_id,
            run_id=at.workflow_run_id,
            activity=at.activity_type,
            attempt=at.attempt,
        )
    event.update(here())
    return event


def configure(level: str) -> None:
    """Send every logger's lines through one chain. Inputs of activities and workflows are never logged."""
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        _where,
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(sort_keys=True),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    # Request lines hold paths and, at debug level, headers: no Portal call is logged by the HTTP client.
    for name in ("httpx", "httpcore", "hpack"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # `_where` says it shorter than the dictionaries that these put into each message.
    workflow.logger.workflow_info_on_message = False
    workflow.logger.workflow_info_on_extra = False
    activity.logger.activity_info_on_message = False
    activity.logger.activity_info_on_extra = False
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            _where,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
