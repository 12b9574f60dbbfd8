"""Faults on order, for tests: which one is due for a request, and what a faulty reply looks like."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, get_args

from starlette.responses import Response

from bot.sandbox.model.asks import Ask, Json, Reply, ToolCall, tool_call
from bot.sandbox.model.config import FAULT_KINDS, Fault, FaultKind
from bot.sandbox.model.errors import WireError, bad_request
from bot.sandbox.model.words import number_from

REPLY_KINDS: frozenset[str] = frozenset(
    {"nonsense", "empty", "unknown_tool", "malformed_arguments", "endless_tools"}
)
TOOL_KINDS: frozenset[str] = frozenset({"unknown_tool", "malformed_arguments", "endless_tools"})
HARMLESS_TOOLS = ("get_workflow_status", "get_dataset_stats", "get_dataset_records")


class FaultBox:
    """Armed faults, first armed first used."""

    def __init__(self, armed: tuple[Fault, ...] = ()) -> None:
        self._armed = list(armed)

    def arm(self, fault: Fault) -> None:
        self._armed.append(fault)

    def clear(self) -> None:
        self._armed.clear()

    def armed(self) -> list[Fault]:
        return list(self._armed)

    def due_for_request(self, path: str, role: str = "") -> Fault | None:
        """A fault of the connection or status. Faults with a role wait until the role is known."""
        return self._take(lambda fault: fault.kind not in REPLY_KINDS and fault.role == role, path)

    def due_for_reply(self, path: str, role: str, *, has_tools: bool) -> Fault | None:
        def fits(fault: Fault) -> bool:
            right_kind = fault.kind in REPLY_KINDS and (has_tools or fault.kind not in TOOL_KINDS)
            return right_kind and fault.role in ("", role)

        return self._take(fits, path)

    def _take(self, fits: Any, path: str) -> Fault | None:
        for index, fault in enumerate(self._armed):
            if path.startswith(fault.path) and fits(fault):
                self._armed[index] = replace(fault, times=fault.times - 1)
                if fault.times <= 1:
                    del self._armed[index]
                return fault
        return None


def parse_fault(body: Json) -> Fault:
    """`{"kind", "times", "path", "role", "retry_after_seconds"}`; HTTP statuses are understood as kinds too."""
    kinds = {"429": "rate_limit", "500": "server_error", "403": "training_not_available"}
    given = str(body.get("kind"))
    kind: Any = kinds.get(given, given)
    if kind not in get_args(FaultKind):
        raise bad_request(f"Unknown fault; expected one of: {', '.join(FAULT_KINDS)}.", "kind")
    try:
        return Fault(
            kind=kind,
            times=max(1, int(body.get("times", 1))),
            path=str(body.get("path", "")),
            role=str(body.get("role", "")),
            retry_after_seconds=float(body.get("retry_after_seconds", 1.0)),
        )
    except (TypeError, ValueError) as error:
        raise bad_request("'times' and 'retry_after_seconds' must be numbers.") from error


async def faulty_response(fault: Fault, *, hang_seconds: float) -> Response:
    """The HTTP answer of a fault of the connection or status."""
    if fault.kind == "hang":
        await asyncio.sleep(hang_seconds)
    if fault.kind in ("rate_limit", "rate_limit_bare"):
        refused = WireError(
            "Rate limit reached for requests.", status=429, kind="requests", code="rate_limit_exceeded"
        )
        return refused.response(None if fault.kind == "rate_limit_bare" else _limit_headers(fault))
    if fault.kind == "training_not_available":
        message = "Fine-tuning is not available to this organization."
        return WireError(message, status=403, code="training_not_available").response()
    return WireError(
        "The server had an error while processing your request.", status=500, kind="server_error"
    ).response()


def faulty_reply(fault: Fault, ask: Ask) -> Reply:
    key = number_from(ask.prompt_text)
    if fault.kind == "empty":
        return Reply()
    if fault.kind == "unknown_tool":
        return Reply(tool_calls=(tool_call("reticulate_splines", {"depth": 3}, key=key),))
    if fault.kind == "malformed_arguments":
        return Reply(tool_calls=(ToolCall(f"call_{key:016x}", ask.tools[0].name, '{"limit": 5, '),))
    if fault.kind == "endless_tools":
        return Reply(tool_calls=(tool_call(_harmless(ask), {}, key=key),))
    return Reply('{"wobble": [1, 2,' if ask.schema_name else "wobble fnord 7 quux zzz")


def _harmless(ask: Ask) -> str:
    names = [tool.name for tool in ask.tools]
    return next((name for name in HARMLESS_TOOLS if name in names), names[0])


def _limit_headers(fault: Fault) -> dict[str, str]:
    seconds = fault.retry_after_seconds
    return {
        "retry-after": f"{seconds:g}",
        "retry-after-ms": str(int(seconds * 1000)),
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": f"{seconds:g}s",
    }
