"""A stack for every module that asks for one, and, where a test fails, what its processes and its people saw."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

import pytest

from tests.journey.stack import LIVE, Stack


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One running product a module; a thread of its own is isolation enough for most tests."""
    with Stack(tmp_path_factory.mktemp("stack"), rooms=6) as running:
        yield running


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        for running in LIVE:
            report.sections.append(("logs", running.logs()))
            report.sections.append(("the channel", _scene(running)))
    return report


def _scene(running: Stack) -> str:
    try:
        return running.scene()
    except Exception as error:
        return f"cannot be seen: {error!r}"
