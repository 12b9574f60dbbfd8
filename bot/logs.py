"""How processes log: one JSON object a line (or readable lines in a terminal), with nothing that looks like a secret."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Literal

import structlog

_SECRET = re.compile(r"(xox[a-z]-|xapp-|sk-|Bearer\s+|whsec_)[A-Za-z0-9._/+=-]{4,}")
_QUIET = (
    "slack_bolt",
    "slack_bolt",
    "slack_sdk",
    "aiohttp",
    "httpx2",
    "openai",
    "uvicorn",
    "matplotlib",
    "rq",
    "botocore",
    "urllib3",
    "asyncio",
)


def configure(style: Literal["json", "text"] = "json", level: int = logging.INFO) -> None:
    """Set up structlog and the standard library's logging for this process. Called by the command line only."""
    last: Any = (
        structlog.processors.JSONRenderer()
        if style == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        without_secrets,
    ]
    structlog.configure(
        processors=[*shared, last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[_drop_meta, last])
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def without_secrets(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Tokens and keys are cut from every string, whoever logged it."""
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = _SECRET.sub(lambda match: f"{match[1]}…", value)
    return event


def _drop_meta(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {name: value for name, value in event.items() if not name.startswith("_")}
