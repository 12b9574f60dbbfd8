"""Which role a request wants, by its shape alone, and that role's answer.

An output schema: a structured answer. Tools of ours: the agent. A tuned model's name: that model. Else: the base model.
"""

from __future__ import annotations

import json
from dataclasses import replace

from bot.sandbox.model.agent.policy import agent_reply
from bot.sandbox.model.agent.situation import context_block
from bot.sandbox.model.asks import Ask, Reply
from bot.sandbox.model.structured.answers import structured_answer
from bot.sandbox.model.words import token_count
from bot.sandbox.model.writer import BASE, Skill, write_reply

WORKFLOW_TOOLS = {
    "start_finetune_workflow",
    "get_workflow_status",
    "generate_topics",
    "configure_grader",
    "start_training",
}


def role_of(ask: Ask) -> str:
    """ "agent", "tuned", "base", or the name of the output schema."""
    if ask.schema_name:
        return ask.schema_name
    if ask.model.startswith("ft:"):
        return "tuned"
    offered = {tool.name for tool in ask.tools}
    has_context = any(
        context_block(message.text) is not None for message in ask.messages if message.role == "system"
    )
    return "agent" if has_context or offered & WORKFLOW_TOOLS else "base"


def answer(ask: Ask, *, skill: Skill | None, seed: int) -> Reply:
    """`skill` is that of a tuned model, None otherwise. Cut at `max_tokens` as a model would be."""
    role = role_of(ask)
    if ask.schema_name:
        reply = Reply(json.dumps(structured_answer(ask, seed=seed), ensure_ascii=False))
    elif role == "agent":
        reply = agent_reply(ask)
    else:
        reply = write_reply(ask, skill or BASE, seed=seed)
    return cut(reply, ask.max_tokens)


def cut(reply: Reply, max_tokens: int | None) -> Reply:
    if max_tokens is None or token_count(reply.text) <= max_tokens:
        return reply
    return replace(reply, text=reply.text[: max_tokens * 4], finish_reason="length")
