"""The sandbox's processes: started in order, started again when they die, gone when it ends; the doctor's round."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from bot import doctor
from bot.sandbox.launch import Household, Part, Plan, planned
from bot.settings import SlackSettings
from tasks.settings import Settings

FOREVER = (sys.executable, "-c", "import time; time.sleep(600)")
BROKEN = (sys.executable, "-c", "import sys; sys.exit('no such port')")


def plan(folder: Path, *parts: Part) -> Plan:
    return Plan(parts, dict(os.environ), "http://localhost:1", False, folder)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    household = Household(plan(tmp_path, Part("one", FOREVER), Part("two", FOREVER)))
    household.start()
    pids = [entry.process.pid for entry in household.running]
    household.stop()
    assert len(pids) == 2 and not any(is_alive(pid) for pid in pids)


def test_what_dies_is_started_again(tmp_path: Path) -> None:
    household = Household(plan(tmp_path, Part("one", FOREVER)))
    household.start()
    try:
        first = household.running[0].process
        first.kill()
        first.wait()
        deadline = time.monotonic() + 10
        household.watch(lambda: household.running[0].restarts > 0 or time.monotonic() > deadline)
        assert household.running[0].restarts == 1 and household.running[0].process.poll() is None
    finally:
        household.stop()


def test_what_does_not_come_up_says_why(tmp_path: Path) -> None:
    household = Household(plan(tmp_path, Part("web", BROKEN, "http://127.0.0.1:9/readyz")))
    with pytest.raises(RuntimeError, match="no such port"):
        household.start()
    household.stop()


def test_without_a_key_the_stand_in_answers_and_nothing_of_the_shell_leaks_in(tmp_path: Path) -> None:
    shell = {
        "PATH": "/bin",
        "SLACK_BOT_TOKEN": "xoxb-real",
        "REDIS_URL": "redis://prod",
        "STORAGE_URL": "s3://prod/x",
        "OPENAI_BASE_URL": "https://x",
    }
    made = planned(tmp_path, workspace_port=4000, environment=shell)
    assert [part.name for part in made.parts] == ["workspace", "model", "web", "worker", "trainer"]
    assert made.environment["SLACK_BOT_TOKEN"] == "xoxb-sandbox" and made.environment["PATH"] == "/bin"
    assert "REDIS_URL" not in made.environment and "STORAGE_URL" not in made.environment
    assert made.environment["OPENAI_BASE_URL"].startswith("http://127.0.0.1:")


def test_with_a_key_the_real_model_answers(tmp_path: Path) -> None:
    shell = {"OPENAI_API_KEY": "sk-x", "OPENAI_BASE_URL": "https://models.example/v1", "AGENT_MODEL": "mine"}
    made = planned(tmp_path, workspace_port=4000, environment=shell)
    assert "model" not in [part.name for part in made.parts]
    assert (
        made.environment["OPENAI_BASE_URL"] == shell["OPENAI_BASE_URL"]
        and made.environment["AGENT_MODEL"] == "mine"
    )


@pytest.mark.anyio
async def test_the_doctor_says_what_to_mend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "SLACK_BOT_TOKEN",
        "SLACK_SIGNING_SECRET",
        "SLACK_APP_TOKEN",
        "OPENAI_API_KEY",
        "OPENAI_BASE_URL",
    ):
        monkeypatch.delenv(name, raising=False)
    settings = Settings(
        data_dir=tmp_path, redis_url="redis://127.0.0.1:1", storage_url=(tmp_path / "s").as_uri()
    )
    found = {finding.what: finding for finding in await doctor.examine(settings, SlackSettings())}
    assert "SLACK_BOT_TOKEN" in found["Slack"].says and found["Slack"].state == "wrong"
    assert "REDIS_URL" in found["Redis"].says and "OPENAI_API_KEY" in found["Models"].says
    assert found["Storage"].state == "ok" and not list((tmp_path / "s").rglob("doctor*/*"))


@pytest.mark.anyio
async def test_the_doctor_reads_how_redis_is_set_up(tmp_path: Path, redis_url: str) -> None:
    from redis import Redis

    settings = Settings(data_dir=tmp_path, redis_url=redis_url, storage_url="ftp://nowhere")
    found = {finding.what: finding for finding in await doctor.examine(settings, SlackSettings())}
    assert found["Redis append-only file"].state == "ok" and "STORAGE_URL" in found["Storage"].says
    with Redis.from_url(redis_url) as redis:
        redis.config_set("maxmemory-policy", "allkeys-lru")
        again = {finding.what: finding for finding in await doctor.examine(settings, SlackSettings())}
        redis.config_set("maxmemory-policy", "noeviction")
    assert again["Redis eviction"].state == "wrong"


def test_a_second_worker_shares_long_steps(tmp_path: Path) -> None:
    made = planned(tmp_path, workspace_port=4000, environment={}, workers=2)
    commands = {part.name: part.command for part in made.parts}
    assert commands["worker"] == commands["worker2"]
