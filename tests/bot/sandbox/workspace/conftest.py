from __future__ import annotations

from collections.abc import Iterator

import pytest

from .serving import Place, a_workspace


@pytest.fixture
def place() -> Iterator[Place]:
    with a_workspace() as running:
        yield running
