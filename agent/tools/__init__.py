"""The agent's tools in their fixed order: the order is part of what providers cache, so new ones go to the end of a group."""

from __future__ import annotations

from collections.abc import Sequence

from agent.tooling import Tool, lacking
from agent.tools.cleaning import CLEANING_TOOLS
from agent.tools.coverage import COVERAGE_TOOLS
from agent.tools.data import DATA_TOOLS
from agent.tools.deployment import DEPLOYMENT_TOOLS
from agent.tools.export import EXPORT_TOOLS
from agent.tools.files import FILE_TOOLS
from agent.tools.generation import GENERATION_TOOLS
from agent.tools.knowledge import KNOWLEDGE_TOOLS
from agent.tools.reward import REWARD_TOOLS
from agent.tools.topics import TOPIC_TOOLS
from agent.tools.training import TRAINING_TOOLS
from agent.tools.workflow import WORKFLOW_TOOLS
from storage.records import Workflow

TOOLS: tuple[Tool, ...] = (
    *WORKFLOW_TOOLS,
    *DATA_TOOLS,
    *EXPORT_TOOLS,
    *FILE_TOOLS,
    *CLEANING_TOOLS,
    *KNOWLEDGE_TOOLS,
    *TOPIC_TOOLS,
    *COVERAGE_TOOLS,
    *GENERATION_TOOLS,
    *REWARD_TOOLS,
    *TRAINING_TOOLS,
    *DEPLOYMENT_TOOLS,
)
BY_NAME: dict[str, Tool] = {tool.name: tool for tool in TOOLS}


def allowed_tools(workflow: Workflow | None, tools: Sequence[Tool] = TOOLS) -> tuple[str, ...]:
    """Names of the tools whose needs are met now. Advice to the model: `Tool.call` refuses the others whatever it thinks."""
    return tuple(tool.name for tool in tools if not lacking(workflow, tool))
