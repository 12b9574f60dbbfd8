"""The sandbox's stand-in model: an OpenAI-compatible HTTP server that needs no key and no network.

It plays the agent, the writer of structured answers, the judge, the base and tuned models, embeddings, files and
fine-tuning jobs, deterministically, and says what it is on every answer. It reads what any model would read: messages,
tool schemas, output schemas; never the prose of our prompts. No claim about quality rests on anything it writes.
"""

from __future__ import annotations

from bot.sandbox.model.config import Fault, ModelConfig
from bot.sandbox.model.server import create_model_server

__all__ = ["Fault", "ModelConfig", "create_model_server"]
