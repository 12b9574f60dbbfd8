"""One structured question to a model: a prompt, delimited data, a schema, and the answer as JSON.

Rows and texts go into one JSON object in the user message, apart from the instructions. An answer that cannot be read is asked
for once more; after that `ModelAnswerInvalid` is the caller's to deal with. Schemas are in `schemas.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from storage.records import Json
from tasks.models.port import ChatModel, ChatRequest, Message, ModelAnswerInvalid, OutputSchema, Usage

Meter = Callable[[str, Usage], None]
_FENCED = re.compile(r"```(?:json)?\s*\n(.*?)```", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Asker:
    """A model to ask, and where its tokens are counted."""

    chat: ChatModel
    model: str
    meter: Meter

    async def ask(
        self,
        system: str,
        data: Json,
        schema: OutputSchema,
        *,
        temperature: float | None = None,
        max_tokens: int | None = None,
        read: Callable[[Json], bool] = bool,
    ) -> Json:
        """The answer as an object for which `read` is true; asked again once. Raises `ModelError`s."""
        request = ChatRequest(
            model=self.model,
            messages=(Message("system", system), Message("user", json.dumps(data, ensure_ascii=False))),
            schema=schema,
            temperature=temperature,
            max_tokens=max_tokens,
        )
        for attempt in (1, 2):
            try:
                return await self._once(request, read)
            except ModelAnswerInvalid:
                if attempt == 2:
                    raise
        raise AssertionError("unreachable")

    async def _once(self, request: ChatRequest, read: Callable[[Json], bool]) -> Json:
        reply = await self.chat.complete(request)
        self.meter(self.model, reply.usage)
        answer = object_in(reply.text)
        if answer is None or not read(answer):
            raise ModelAnswerInvalid(f"{request.schema.name if request.schema else ''}: {reply.text[:200]!r}")
        return answer


def object_in(text: str) -> Json | None:
    """The JSON object in a model's text, also when it is fenced or has words around it; None when there is none."""
    fenced = _FENCED.search(text)
    bare = text[text.find("{") : text.rfind("}") + 1]
    for candidate in (text, fenced.group(1) if fenced else "", bare):
        try:
            value = json.loads(candidate)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            return value
    return None
