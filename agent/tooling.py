"""What a tool of the agent is: a typed async function, its schema taken from signature and docstring, its errors in words.

A model's arguments are parsed strictly, once, here; inside a tool the types can be trusted. What a tool needs of the
workflow is declared beside it and checked before its body runs, so a refusal has no effect outside, whoever asks. A bug is
not a tool result: it is logged under an id, and the model hears only the id.
"""

from __future__ import annotations

import inspect
import json
import logging
import re
import typing
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from storage.errors import LostLease, StorageError, Unavailable
from storage.records import Change, Json, OutboxEvent, Tenant, Workflow
from tasks import workflow as flow
from tasks.deps import Deps
from tasks.desk import Desk
from tasks.drafting import Person, Refusal, short_id
from tasks.models.port import ModelError, ToolSchema, Usage
from tasks.rules.approvals import ExplicitOrder
from tasks.step import Need, StepError
from tasks.workflow import Missing

RESULT_CHARACTERS = 12_000
WORKFLOW_ID = (
    "workflow_id"  # every tool takes it and it means the thread's; no schema spends tokens on saying so
)
log = logging.getLogger(__name__)
ToolResult = Json


@dataclass(frozen=True, slots=True)
class Order:
    """An explicit order found in a person's message by code: the words that may decide what is free."""

    order: ExplicitOrder
    person: Person
    evidence: str


def unmetered(model: str, usage: Usage) -> None:
    """For callers that do not count tokens."""


@dataclass(frozen=True, slots=True)
class ToolContext:
    """Everything a tool may touch, for one call. `call_id` is the key of its effects: the same call acts once.

    `evidence` is the ts of the message that led here, or "button"; `workflow` is the thread's, as it was when the call began.
    """

    tenant: Tenant
    channel: str
    thread_ts: str
    actor: Person
    deps: Deps
    desk: Desk
    call_id: str
    workflow: Workflow | None = None
    evidence: str = ""
    orders: tuple[Order, ...] = ()
    meter: Callable[[str, Usage], None] = unmetered

    @property
    def flow(self) -> Workflow:
        """The workflow, for tools that declare needs: `Tool.call` has refused before when there is none."""
        if self.workflow is None:
            raise StepError(
                "There is no workflow in this thread yet: upload a JSONL file here.", next="upload a file"
            )
        return self.workflow

    async def fresh(self) -> Workflow:
        """The workflow as it is now. Raises `StepError` when it is gone."""
        found = await self.desk.workflow(self.tenant, self.flow.id)
        if found is None:
            raise StepError("This workflow was deleted.", code="deleted")
        return found

    async def show(self, kind: str, data: Json, *, once: bool = False) -> None:
        """Post a card of that kind in the thread, once per call; or `once` per message, however often the model asks."""
        asked_by = (self.evidence if once else "") or self.call_id
        event = OutboxEvent(
            kind=kind,
            channel=self.channel,
            thread_ts=self.thread_ts,
            data=data,
            key=f"tool:{asked_by}:{kind}",
        )
        await self.deps.state.commit(self.tenant, Change(events=(event,)))


Body = Callable[..., Awaitable[ToolResult]]


@dataclass(frozen=True)
class Tool:
    """One tool. `needs` is checked before the body; `title` is what people read in a refusal."""

    name: str
    title: str
    description: str
    parameters: Json
    needs: tuple[Need, ...]
    body: Body
    arguments: type[BaseModel]
    nullable: frozenset[str] = field(default_factory=frozenset)

    @cached_property
    def schema(self) -> ToolSchema:
        return ToolSchema(name=self.name, description=self.description, parameters=self.parameters)

    async def call(self, ctx: ToolContext, arguments: str | Json) -> ToolResult:
        """Parse, check, run. Every trouble comes back as a result; `LostLease` and an unreachable state store are raised."""
        parsed = self._parsed(arguments)
        if isinstance(parsed, str):
            return failed(
                f"The arguments of {self.name} cannot be used: {parsed} Call it again with this changed."
            )
        named = parsed.pop(WORKFLOW_ID, None)
        if named and (ctx.workflow is None or named != ctx.workflow.id):
            return failed(
                "There is no such workflow in this thread; leave workflow_id out to mean this thread's."
            )
        missing = flow.may_start(ctx.workflow, self.needs, parsed) if self.needs else ()
        if missing:
            return refused(missing)
        return bounded(await self._run(ctx, parsed))

    def _parsed(self, arguments: str | Json) -> Json | str:
        """The parameters as the body takes them, or what is wrong."""
        value: Any = arguments
        if isinstance(arguments, str):
            try:
                value = json.loads(arguments or "{}")
            except (ValueError, RecursionError):
                return "they are not valid JSON."
        if not isinstance(value, dict):
            return "they must be one JSON object."
        named = value.get(WORKFLOW_ID)
        given = {name: item for name, item in value.items() if item is not None or name in self.nullable}
        given.pop(WORKFLOW_ID, None)
        try:
            model = self.arguments.model_validate_json(json.dumps(given), strict=True)
        except ValidationError as error:
            return _complaint(error, self.arguments.model_fields)
        return {WORKFLOW_ID: named, **{name: getattr(model, name) for name in self.arguments.model_fields}}

    async def _run(self, ctx: ToolContext, parameters: Json) -> ToolResult:
        try:
            return await self.body(ctx, **parameters)
        except StepError as error:
            return failed(str(error), next=error.next, code=error.code)
        except LostLease:
            raise
        except Unavailable:
            await ctx.deps.state.ping()  # raises when it is the state that is gone: the turn waits then
            return failed("Storage cannot be reached just now. Nothing was changed; try again in a minute.")
        except ModelError as error:
            log.warning("tool %s: the model server: %s", self.name, error)
            return failed("The model server did not give a usable answer just now; try again in a minute.")
        except Exception as error:  # noqa: BLE001  a bug must not end the turn; operators find it by its id
            return _internal(self.name, ctx.call_id, error)


def lacking(workflow: Workflow | None, tool: Tool) -> tuple[Missing, ...]:
    """What keeps a tool from being of any use now, whatever its arguments: seed rows can always be named."""
    return flow.may_start(workflow, tool.needs, {"record_ids": ["some"]}) if tool.needs else ()


def tool(*, title: str, needs: Sequence[Need] = ()) -> Callable[[Body], Tool]:
    """Make a tool of `async def name(ctx: ToolContext, *, parameter: type = default) -> ToolResult`.

    The docstring's text up to `Parameters:` is the description; the indented `name: text` lines after it describe each
    parameter. Raises TypeError for a parameter without type or description.
    """

    def made(body: Body) -> Tool:
        name = body.__name__
        description, about = _documented(inspect.getdoc(body) or "")
        arguments = _arguments_model(name, body, about)
        return Tool(
            name=name,
            title=title,
            description=description,
            parameters=_schema(arguments),
            needs=tuple(needs),
            body=body,
            arguments=arguments,
            nullable=frozenset(_nullable(arguments)),
        )

    return made


# ---------------------------------------------------------------- results


def ok(**facts: Any) -> ToolResult:
    return {"ok": True, **facts}


def failed(error: str, *, next: str = "", code: str = "", **facts: Any) -> ToolResult:
    """Not done, and why, in words that the model can act on or pass on."""
    extra = {"code": code} if code else {}
    return {"ok": False, "error": error, "missing": [], "next": next, **extra, **facts}


def refused(missing: Iterable[Missing]) -> ToolResult:
    """Not done, because of everything listed, in order."""
    listed = [{"code": item.code, "message": item.message} for item in missing]
    first = listed[0]["code"] if listed else ""
    words = " ".join(item["message"] for item in listed)
    return {
        "ok": False,
        "error": f"Not yet: {words}",
        "missing": listed,
        "next": flow.NEXT_ACTION.get(first, ""),
    }


def from_refusal(refusal: Refusal) -> ToolResult:
    """The desk's refusal as a result."""
    listed = [{"code": item.code, "message": item.message} for item in refusal.missing]
    return {"ok": False, "error": refusal.error, "missing": listed, "next": refusal.next}


def bounded(result: ToolResult, limit: int = RESULT_CHARACTERS) -> ToolResult:
    """The result, or its beginning as text when it is longer than a model should read."""
    text = json.dumps(result, ensure_ascii=False, default=str)
    if len(text) <= limit:
        return result
    kept: Json = {name: result[name] for name in ("ok", "error", "missing", "next") if name in result}
    return {
        **kept,
        "cut": f"the result has {len(text)} characters; this is its beginning",
        "text": text[:limit],
    }


def _internal(name: str, call_id: str, error: Exception) -> ToolResult:
    id = short_id("e", name, call_id)[:9]
    log.error("tool %s failed, internal error %s", name, id, exc_info=error)
    kind = "storage" if isinstance(error, StorageError) else "internal"
    return failed(
        f"Internal error {id}. Tell the person that this did not work and give them the id.", code=kind
    )


# ---------------------------------------------------------------- signature and docstring to schema


def _documented(text: str) -> tuple[str, dict[str, str]]:
    description, _, rest = text.partition("\nParameters:\n")
    about: dict[str, str] = {}
    name = ""
    for line in rest.splitlines():
        match = re.fullmatch(r"    (\w+): (.+)", line)
        if match:
            name = match[1]
            about[name] = match[2].strip()
        elif name and line.strip():
            about[name] += " " + line.strip()
    return " ".join(description.split()), about


def _arguments_model(name: str, body: Body, about: Mapping[str, str]) -> type[BaseModel]:
    hints = typing.get_type_hints(body, include_extras=True)
    fields: dict[str, Any] = {}
    for parameter in list(inspect.signature(body).parameters.values())[1:]:
        if parameter.name not in about or parameter.name not in hints:
            raise TypeError(
                f"{name}: the parameter {parameter.name} needs a type and a line under Parameters"
            )
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        fields[parameter.name] = (hints[parameter.name], Field(default, description=about[parameter.name]))
    return create_model(name, __config__=ConfigDict(extra="forbid"), **fields)


def _nullable(arguments: type[BaseModel]) -> Iterable[str]:
    """Parameters for which null is a value of its own; elsewhere null means "not given", as many models write it."""
    return [name for name, info in arguments.model_fields.items() if info.is_required()]


def _schema(arguments: type[BaseModel]) -> Json:
    made = arguments.model_json_schema()
    inlined = _inlined(made, made.get("$defs", {}))
    return {
        "type": "object",
        "properties": inlined.get("properties", {}),
        "required": inlined.get("required", []),
        "additionalProperties": False,
    }


def _inlined(value: Any, definitions: Json) -> Any:
    """Without references and without pydantic's titles: what every server understands."""
    if isinstance(value, list):
        return [_inlined(item, definitions) for item in value]
    if not isinstance(value, dict):
        return value
    if "$ref" in value:
        target = definitions[value["$ref"].rpartition("/")[2]]
        beside = {name: item for name, item in value.items() if name != "$ref"}
        return {**_inlined(target, definitions), **_inlined(beside, definitions)}
    if isinstance(value.get("anyOf"), list):  # "or null" says no more than "not required"
        options = [option for option in value["anyOf"] if option != {"type": "null"}]
        if len(options) == 1:
            rest = {name: item for name, item in value.items() if name not in ("anyOf", "default")}
            return _inlined({**options[0], **rest}, definitions)
    return {
        name: _inlined(item, definitions)
        for name, item in value.items()
        if name != "$defs" and not (name == "title" and isinstance(item, str))
    }


def _complaint(error: ValidationError, known: Mapping[str, Any]) -> str:
    """The first few mistakes, each with its place, in words for the model."""
    lines = []
    for mistake in error.errors(include_url=False)[:4]:
        place = ".".join(str(part) for part in mistake["loc"]) or "arguments"
        lines.append(f"{place}: {_mistake(mistake['type'], mistake['msg'], known)}.")
    return " ".join(lines)


def _mistake(kind: str, message: str, known: Mapping[str, Any]) -> str:
    if kind == "extra_forbidden":
        return f"there is no such parameter; there are {', '.join(known) or 'none'}"
    if kind == "missing":
        return "this parameter is required"
    return message[:1].lower() + message[1:].rstrip(".")
