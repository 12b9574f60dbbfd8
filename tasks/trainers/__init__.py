"""Training backends by name. Adding one is a file beside `openai_wire.py` and one line in `TRAINERS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tasks.settings import Settings
from tasks.trainers.openai_wire import OpenAITrainer
from tasks.trainers.port import Trainer

TRAINERS: Mapping[str, Callable[[Settings], Trainer]] = {
    "openai": lambda settings: OpenAITrainer(
        base_url=settings.openai_base_url, api_key=settings.openai_api_key.get_secret_value()
    ),
}


def build(settings: Settings) -> dict[str, Trainer]:
    """Every backend, not yet connected to anything."""
    return {name: make(settings) for name, make in TRAINERS.items()}
