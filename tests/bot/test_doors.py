"""The other doors of `web`: health, webhooks, expiring downloads; the manifest, the charts, the chores, the log."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import io
import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.testclient import TestClient

from bot import charts, http, logs, manifest
from bot.links import LIFE_SECONDS, Links
from bot.periodic import Chore, Periodic
from bot.views.kit import Chart
from storage.blobs_memory import MemoryBlobs
from storage.memory import MemoryState

ROOT = Path(__file__).resolve().parents[2]
SECRET = "whsec_" + base64.b64encode(b"of the training").decode()


class House:
    """The HTTP face with memory behind it."""

    def __init__(self) -> None:
        self.now = time.time()
        self.blobs = MemoryBlobs()
        self.news = 0
        self.well = True
        self.links = Links(
            blobs=self.blobs, secret="s", base_url="https://bot.example", clock=lambda: self.now
        )
        self.doors = http.Doors(
            slack=self,
            ready=self.ready,
            links=self.links,
            blobs=self.blobs,
            training_secret=SECRET,
            training_news=self.told,
        )
        self.client = TestClient(http.app(lambda: self.doors, _no_lifespan))

    def told(self) -> None:
        self.news += 1

    async def ready(self) -> dict[str, bool]:
        return {"slack": True, "redis": self.well}

    async def handle(self, req: Any) -> Response:
        return PlainTextResponse("slack")


@asynccontextmanager
async def _no_lifespan(app: Starlette) -> AsyncIterator[None]:
    yield


def test_health_and_readiness() -> None:
    house = House()
    assert house.client.get("/healthz").status_code == 200
    assert house.client.get("/readyz").status_code == 200
    house.well = False
    assert house.client.get("/readyz").status_code == 503
    assert house.client.post("/slack/events").text == "slack"


def signed(body: bytes, *, at: float, secret: bytes = b"of the training") -> dict[str, str]:
    content = f"evt_1.{int(at)}.".encode() + body
    signature = base64.b64encode(hmac.new(secret, content, hashlib.sha256).digest()).decode()
    return {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(int(at)),
        "webhook-signature": f"v1,bogus v1,{signature}",
    }


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (lambda body: signed(body, at=time.time()), 200),
        (lambda body: signed(body, at=time.time() - 900), 401),
        (lambda body: signed(body, at=time.time(), secret=b"other"), 401),
        (lambda body: signed(b"another body", at=time.time()), 401),
        (lambda body: {"webhook-timestamp": "soon"}, 401),
        (lambda body: {}, 401),
    ],
)
def test_a_webhook_is_only_a_reason_to_ask_and_only_when_signed(headers: Any, status: int) -> None:
    house, body = House(), b'{"type": "fine_tuning.job.succeeded", "data": {"id": "job-1"}}'
    assert house.client.post("/webhooks/training", content=body, headers=headers(body)).status_code == status
    assert house.news == (1 if status == 200 else 0)


def test_a_download_works_until_its_link_expires() -> None:
    house = House()
    house.blobs.put("-/T1/exports/e1", [b"rows\n"])
    link = house.links.make("-/T1/exports/e1", "rows ü.jsonl")
    path = urlsplit(link).path
    answer = house.client.get(path)
    assert answer.content == b"rows\n" and "rows%20%C3%BC.jsonl" in answer.headers["content-disposition"]
    house.now += LIFE_SECONDS + 1
    assert house.client.get(path).status_code == 404


def test_a_link_cannot_be_bent_to_another_object() -> None:
    house = House()
    house.blobs.put("-/T2/exports/e1", [b"secret"])
    token = urlsplit(house.links.make("-/T1/exports/e1", "x")).path.split("/")[2]
    body, _, signature = token.partition(".")
    claim = json.loads(base64.urlsafe_b64decode(body + "=="))
    bent = (
        base64.urlsafe_b64encode(json.dumps({**claim, "p": "-/T2/exports/e1"}).encode()).decode().rstrip("=")
    )
    for tried in (f"{bent}.{signature}", f"{body}.", body, "…", f"{body}.!!!"):
        assert house.links.open(tried) is None


def test_the_manifest_in_the_repository_is_what_the_code_uses() -> None:
    assert (ROOT / "manifest.json").read_text() == manifest.as_text()


@pytest.mark.parametrize("url", ["", "https://bot.example"])
def test_slacks_own_schema_takes_the_manifest(url: str) -> None:
    schema = json.loads((ROOT / "tests/data/slack/manifest.schema.2.0.0.json").read_text())
    jsonschema.validate(manifest.manifest(url), schema)


def test_every_method_that_is_called_has_its_scopes_in_the_manifest() -> None:
    called: set[str] = set()
    for path in (ROOT / "bot").rglob("*.py"):
        if "sandbox" not in path.parts and path.name not in ("buckets.py", "manifest.py"):
            text = path.read_text()
            called |= set(re.findall(r'"((?:[a-z]+\.)+[a-zA-Z]+)"', text)) & _known_methods(text)
    assert called == set(manifest.METHOD_SCOPES)


def _known_methods(text: str) -> set[str]:
    """What looks like a Web API method where it is called, or chosen to be."""
    calls = re.findall(r'(?:\.call\(\s*|\.hint\(\s*|api_call\(\s*|method = )"([a-zA-Z.]+)"', text)
    return {*calls, *re.findall(r'else "(conversations\.[a-z]+)"', text)}


def test_the_listener_hears_the_events_that_the_manifest_subscribes_to() -> None:
    source = (ROOT / "bot/listeners/parse.py").read_text()
    for event in manifest.EVENT_SCOPES:
        assert f'"{event.partition(".")[0]}"' in source


@pytest.mark.parametrize(
    "chart",
    [
        Chart(
            "bars",
            "Rows $x^2$",
            ("Billing $", "<b>", "x" * 99),
            (("Share", (50.0, 0.0, 1.0)), ("Target", (33.0, None, 1.0))),
            "alt",
        ),
        Chart("histogram", "Scores", ("0", "1"), (("n", (3.0, None)),), "alt", "answers"),
        Chart(
            "curve",
            "Reward",
            ("1", "2", "3"),
            (("train", (0.1, None, 0.3)), ("valid", (None, 0.2, None))),
            "alt",
        ),
    ],
)
def test_a_chart_is_a_picture(chart: Chart) -> None:
    picture = Image.open(io.BytesIO(charts.png(chart)))
    assert picture.format == "PNG" and picture.width >= 600


@pytest.mark.anyio
async def test_chores_are_done_by_one_leader_and_outlive_a_failure() -> None:
    state, done = MemoryState(), []

    async def sweep() -> None:
        done.append("sweep")
        raise RuntimeError("bug")

    async def ask() -> None:
        done.append("ask")

    chores = [Chore("sweep", 0.0, sweep), Chore("ask", 1e9, ask)]
    both = [Periodic(leases=state, chores=chores, tick_seconds=0.005) for _ in range(2)]
    tasks = [asyncio.create_task(one.run()) for one in both]
    async with asyncio.timeout(5):
        while done.count("sweep") < 4:
            await asyncio.sleep(0.005)
    assert done.count("ask") == 1  # the other process does not lead
    both[0].poke("ask")
    async with asyncio.timeout(5):
        while done.count("ask") < 2:
            await asyncio.sleep(0.005)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def test_no_secret_reaches_the_log() -> None:
    line: dict[str, Any] = {"event": "call with xoxb-123-abc and Bearer abc.def", "n": 3}
    logged = logs.without_secrets(None, "info", line)
    assert "123-abc" not in str(logged) and "abc.def" not in str(logged) and logged["n"] == 3
