"""Structured logs: one line per event on standard error, each with the correlation id of what it belongs to."""

import logging
import sys
from collections.abc import Callable
from typing import Any

import orjson
import structlog
from structlog.types import EventDict, Processor

from domain.tracing import tracer
from server.settings import Settings

QUIET = {
    "uvicorn.error": logging.WARNING,  # `agora serve` says itself that it is ready and that it stops.
    "alembic": logging.WARNING,
    "asyncio": logging.WARNING,
    "httpx": logging.WARNING,
}
"""Libraries that tell more than an operator wants to know."""


def configure(settings: Settings) -> None:
    """Sends structlog's and the standard library's logs through one formatter.

    Whatever is bound with `structlog.contextvars` (the correlation id of a request, an event or a job) is on every line.
    """
    json = settings.log_format == "json" or (settings.log_format == "auto" and not sys.stderr.isatty())
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_shared(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_shared(),
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *(_json() if json else _console())],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name, least in QUIET.items():
        logging.getLogger(name).setLevel(max(level, least))


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        _with_trace,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]


def _with_trace(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Add the ids of trace and span, where there are any."""
    if (listening := tracer()) is not None and (ids := listening.ids()) is not None:
        event["trace_id"], event["span_id"] = ids
    return event


def _json() -> list[Processor]:
    # A traceback as text: the structured one shows local variables, which may hold secrets.
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_dumps)]


def _console() -> list[Processor]:
    plain: Callable[..., None] = structlog.dev.plain_traceback
    return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]


def _dumps(event: Any, default: Callable[[Any], Any]) -> str:
    return orjson.dumps(event, default=default, option=orjson.OPT_NON_STR_KEYS).decode()
