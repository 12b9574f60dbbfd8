"""What the stand-in can be told at its start. Reads no environment; the command line and tests fill it in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

FaultKind = Literal[
    "rate_limit",  # 429 with retry-after and rate-limit headers
    "rate_limit_bare",  # 429 with nothing to go by
    "server_error",  # 500
    "hang",  # the connection stays open, nothing comes
    "nonsense",  # words without sense, or JSON that fits no schema
    "empty",  # an assistant message without text or calls
    "unknown_tool",  # a call of a tool that was not offered
    "malformed_arguments",  # a tool call whose arguments are no JSON
    "endless_tools",  # the same harmless tool again, however often it was answered
    "training_not_available",  # 403, as a closed account answers
]
FAULT_KINDS: tuple[str, ...] = get_args(FaultKind)


@dataclass(frozen=True, slots=True)
class Fault:
    """Something to do wrong, `times` times, on requests whose path starts with `path` ("" = every /v1/ path).

    `role` narrows chat requests further: "agent", "base", "tuned", or the name of an output schema ("" = any)."""

    kind: FaultKind
    times: int = 1
    path: str = ""
    role: str = ""
    retry_after_seconds: float = 1.0


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """`api_key` None accepts any non-empty bearer token. `speed` multiplies the clock of fine-tuning jobs only.

    `hang_seconds` bounds the `hang` fault, so that a forgotten connection ends. A webhook is sent for each job that
    ends when both `webhook_url` and `webhook_secret` (`whsec_…`) are set."""

    port: int = 4010
    api_key: str | None = None
    speed: float = 1.0
    seed: int = 7
    faults: tuple[Fault, ...] = ()
    requests_per_minute: int = 60_000
    hang_seconds: float = 600.0
    webhook_url: str = ""
    webhook_secret: str = ""
