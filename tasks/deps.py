"""The composition root of the work: every client the operations use, built once from settings.

`web` and `worker` both call `build`; tests make a `Deps` of fakes themselves.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from storage.blobs import BlobStore
from storage.datasets import Datasets
from storage.ports import State
from tasks.models.port import ChatModel, Embedder
from tasks.queue import Waker
from tasks.settings import Settings
from tasks.trainers.port import Trainer


@dataclass(frozen=True, slots=True)
class Deps:
    """`offline_embedder` sees rows before anybody has consented to a provider."""

    settings: Settings
    state: State
    blobs: BlobStore
    datasets: Datasets
    chat: ChatModel
    embedder: Embedder
    trainers: Mapping[str, Trainer]
    queue: Waker
    clock: Callable[[], float] = time.time

    def trainer(self) -> Trainer:
        """The configured training backend; `auto` is the OpenAI wire."""
        name = "openai" if self.settings.trainer == "auto" else self.settings.trainer
        return self.trainers[name]
