"""What one server has been seen not to take, per base URL and model, so that it is asked only once the hard way.

A request field that a 400 names is left out from then on; nothing here sends or retries.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Field = Literal["temperature", "response_format", "tool_choice", "max_completion_tokens", "prompt_cache_key"]

_SIGNS: dict[Field, tuple[str, ...]] = {
    "temperature": ("temperature",),
    "response_format": ("response_format", "json_schema", "text.format", "structured output"),
    "tool_choice": ("tool_choice", "allowed_tools"),
    "max_completion_tokens": ("max_completion_tokens",),
    "prompt_cache_key": ("prompt_cache_key",),
}


@dataclass(slots=True)
class Quirks:
    """Mutable memory of one server and model, kept for the life of the process."""

    refused: set[Field] = field(default_factory=set)

    def takes(self, name: Field) -> bool:
        return name not in self.refused

    def learn(self, complaint: str, *, sent: frozenset[Field]) -> bool:
        """Note which of the fields just `sent` a refusal names. True when asking again without them is worth it."""
        text = complaint.casefold()
        named = {
            name for name, signs in _SIGNS.items() if name in sent and any(sign in text for sign in signs)
        }
        new = named - self.refused
        self.refused |= new
        return bool(new)
