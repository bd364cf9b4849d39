"""How a core logs: one JSON object a line on standard error, tracebacks without the values of variables.

Rule: a log line never shows a secret (trust.md T38), so no renderer that prints locals is ever used.
"""

import sys
from typing import Any

import msgspec
import structlog


def write_json_logs() -> None:
    """Set the process's logging up; called once by whoever composes a core."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False)),
            structlog.processors.JSONRenderer(serializer=_encode),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def _encode(event: Any, **_: Any) -> str:
    """Write one line; a value of no JSON type is shown as its text, never refused."""
    return msgspec.json.encode(event, enc_hook=repr).decode()
