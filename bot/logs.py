"""How processes log: one JSON object a line (or readable lines in a terminal), with nothing that looks like a secret."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Literal

import structlog

_SECRET = re.compile(
    r"(\bxox[a-z]-|\bxapp-|\bsk-|\bwhsec_|\bAKIA|\bASIA|X-Amz-Signature=|(?i:\b(?:Bearer|Basic)\s+))[A-Za-z0-9._~/+=-]{4,}"
)
_IN_A_URL = re.compile(r"(?<=://)[^\s/@]*:[^\s/@]+(?=@)")
_SECRET_NAME = re.compile(
    r"(?:proxy-)?authorization|(?:set-)?cookie|.*(?:token|secret|password|api[_-]?key)", re.IGNORECASE
)
_QUIET = (
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
    """Tokens and keys are cut from everything that will be written, however deep it stands and whoever logged it."""
    for name, value in event.items():
        if not name.startswith("_"):  # the standard library's own record, dropped before writing
            event[name] = _masked(value, name)
    return event


def _masked(value: Any, name: str = "") -> Any:
    """Objects become their text here: the renderer would make the same text of them, too late to look at it."""
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            if value and _SECRET_NAME.fullmatch(name):
                return "…"
            text = _SECRET.sub(lambda found: f"{found[1]}…", value)
            return _IN_A_URL.sub("…", text)
        case Mapping():
            return {_masked(str(key)): _masked(item, str(key)) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_masked(item, name) for item in value]
        case _:
            return _masked(repr(value), name)


def _drop_meta(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {name: value for name, value in event.items() if not name.startswith("_")}
