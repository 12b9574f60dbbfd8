"""What a gateway must be able to do: make a trained model answer somewhere, and say where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from storage.records import Json

Mode = Literal["new_endpoint", "replace_gateway", "ab_test"]


class GatewayError(Exception):
    """It cannot be deployed this way; the message is plain words with what to do instead."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`url` takes Chat Completions; `example` is a request body to try it with; `note` says what it is not."""

    url: str
    model: str
    example: Json
    note: str = ""


class Gateway(Protocol):
    name: str

    async def deploy(self, *, key: str, model: str, mode: str) -> Endpoint:
        """Make the model answer. The same key again changes nothing. Raises `GatewayError`."""
        ...
