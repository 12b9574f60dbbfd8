"""The composition root of the work: every client the operations use, built once from settings.

`web` and `worker` both call `build`; tests make a `Deps` of fakes themselves.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from storage.blobs import BlobStore, open_store
from storage.datasets import Datasets
from storage.ports import State
from storage.redis_state import connect
from tasks import trainers
from tasks.models.embeddings import build_embedder
from tasks.models.port import ChatModel, Embedder
from tasks.models.wire import build_chat, shared_limiter
from tasks.queue import Queue, Waker
from tasks.settings import Settings, SettingsError
from tasks.trainers.port import Trainer


@dataclass(frozen=True, slots=True)
class Deps:
    """What every operation may ask for. Fields are ports, except `settings`."""

    settings: Settings
    state: State
    blobs: BlobStore
    datasets: Datasets
    chat: ChatModel
    embedder: Embedder
    trainers: Mapping[str, Trainer]
    queue: Waker
    clock: Callable[[], float] = time.time

    async def close(self) -> None:
        """Close every client that keeps connections open; on the event loop that used them."""
        for trainer in self.trainers.values():
            await trainer.close()
        await self.embedder.close()
        await self.chat.close()
        await self.state.close()


def build(settings: Settings) -> Deps:
    """The configured clients; none connects before it is used. `settings.redis_url` must name a server by now.

    Raises `SettingsError` for a URL that names no store."""
    blobs = blob_store(settings)
    return Deps(
        settings=settings,
        state=connect(settings.redis_url),
        blobs=blobs,
        datasets=Datasets(blobs),
        chat=build_chat(settings, limiter=shared_limiter(settings)),
        embedder=build_embedder(settings, limiter=shared_limiter(settings)),
        trainers=trainers.build(settings),
        queue=Queue(settings.redis_url),
    )


def blob_store(settings: Settings) -> BlobStore:
    """The store of STORAGE_URL, or a folder under DATA_DIR."""
    url = settings.storage_url or (settings.home / "storage").absolute().as_uri()
    try:
        return open_store(url)
    except ValueError as error:
        raise SettingsError(str(error)) from error
