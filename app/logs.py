"""Structured lines, one JSON object each, joined by request id. Never a name, an identifier of a patient or a token."""

from __future__ import annotations

import logging
import sys
import traceback
import uuid
from typing import TextIO

import structlog


def configure_logs(stream: TextIO | None = None) -> None:
    """JSON lines to standard error. Libraries that quote addresses (httpx) are kept to warnings."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        # Standard error as it is when a line is written: what it was on import may be closed by then.
        logger_factory=lambda *_: structlog.PrintLogger(stream or sys.stderr),
        cache_logger_on_first_use=False,
    )
    # An address of a FHIR query holds a patient id; SQL echoes hold rows.
    for name in ("httpx", "httpcore", "uvicorn.access", "sqlalchemy.engine"):
        logging.getLogger(name).setLevel(logging.WARNING)


configure_logs()  # every module that logs has imported this; standard output is for what a command was asked for

log: structlog.stdlib.BoundLogger = structlog.get_logger()


def call_id() -> str:
    """The id of the call that is being answered, as its lines in the log and its answer have it; as a UUID."""
    found = structlog.contextvars.get_contextvars().get("request_id")
    return str(uuid.UUID(found) if found else uuid.uuid4())


def where_it_broke(error: BaseException) -> list[str]:
    """The type of an unexpected error and the lines it passed; its message is left out, since it may quote a chart."""
    frames = traceback.extract_tb(error.__traceback__)
    return [type(error).__qualname__, *(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames)]
