"""The OpenAI wire against our stand-in, in this process: files, jobs, repeats, and refusals that are explained."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx2
import pytest

from bot.sandbox.model.config import Fault, ModelConfig
from bot.sandbox.model.server import create_model_server
from storage.records import Json
from tasks.trainers.openai_metrics import job_from
from tasks.trainers.openai_wire import OpenAITrainer, job_body
from tasks.trainers.port import TrainerRefused, TrainerUnavailable, TrainingRequest

pytestmark = pytest.mark.anyio
BASE = "http://standin.test/v1"
GRADER: Json = {"type": "string_check", "name": "g", "input": "a", "reference": "b", "operation": "eq"}


def trainer(*faults: Fault, speed: float = 1.0) -> OpenAITrainer:
    app = create_model_server(ModelConfig(faults=faults, speed=speed))
    return OpenAITrainer(
        base_url=BASE, api_key="key", transport=httpx2.ASGITransport(app=app), clock=lambda: 0.0
    )


def chunks(count: int = 12) -> Iterator[bytes]:
    for number in range(count):
        line = {
            "messages": [{"role": "user", "content": f"Where is parcel {number}?"}],
            "reference_answer": "It is on its way.",
        }
        yield json.dumps(line).encode() + b"\n"


async def requested(backend: OpenAITrainer, key: str = "t1") -> TrainingRequest:
    training = await backend.upload(key="u1-train", file_name="train.jsonl", chunks=chunks())
    validation = await backend.upload(key="u1-validation", file_name="validation.jsonl", chunks=chunks(3))
    return TrainingRequest(
        key=key,
        base_model="standin-base",
        method="reinforcement",
        training_file=training,
        validation_file=validation,
        grader=GRADER,
        hyperparameters={"n_epochs": 2},
        suffix="Customer Support!",
    )


async def test_a_job_runs_to_its_model_with_metrics_and_checkpoints() -> None:
    backend = trainer(speed=1e6)
    job = await backend.create(await requested(backend))
    found = await backend.get(job.id)
    assert found.status == "completed"
    assert found.model.startswith("ft:")
    assert {"step", "train_reward", "valid_reward"} <= set(found.metrics[-1])
    assert [point["step"] for point in found.metrics] == sorted(point["step"] for point in found.metrics)
    assert found.checkpoints[-1]["model"]
    await backend.close()


async def test_the_same_key_finds_the_job_and_the_file_instead_of_making_another() -> None:
    backend = trainer()
    request = await requested(backend)
    first, second = await backend.create(request), await backend.create(request)
    assert first.id == second.id
    again = await backend.upload(key="u1-train", file_name="train.jsonl", chunks=iter(()))
    assert again == request.training_file
    other = await backend.create(await requested(backend, key="t2"))
    assert other.id != first.id


async def test_a_running_job_can_be_paused_resumed_and_cancelled() -> None:
    backend = trainer()
    job = await backend.create(await requested(backend))
    assert job.status in ("pending", "queued", "running")
    assert (await backend.pause(job.id)).status == "paused"
    assert (await backend.resume(job.id)).status in ("pending", "queued", "running")
    assert (await backend.cancel(job.id)).status == "cancelled"


async def test_a_closed_account_is_explained_and_not_asked_again() -> None:
    backend = trainer(Fault("training_not_available", times=1, path="/v1/fine_tuning/jobs"))
    request = await requested(backend)
    with pytest.raises(TrainerRefused, match="closed for this account") as refusal:
        await backend.create(request)
    assert refusal.value.code == "training_not_available"


async def test_an_overloaded_backend_is_unavailable_and_later_works() -> None:
    backend = trainer(Fault("server_error", times=3, path="/v1/files"))
    with pytest.raises(TrainerUnavailable):
        await requested(backend)
    assert (await requested(backend)).training_file


async def test_a_job_that_does_not_exist_is_refused() -> None:
    with pytest.raises(TrainerRefused, match="404"):
        await trainer().get("ftjob-nothing")


async def test_a_server_that_cannot_be_reached_is_unavailable() -> None:
    def unreachable(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("no route")

    backend = OpenAITrainer(base_url=BASE, api_key="key", transport=httpx2.MockTransport(unreachable))
    with pytest.raises(TrainerUnavailable):
        await backend.cancel("j")


@pytest.mark.parametrize("body", [b"<html>login</html>", b"[]", b""])
async def test_an_unreadable_answer_is_no_failed_job(body: bytes) -> None:
    backend = OpenAITrainer(
        base_url=BASE,
        api_key="key",
        transport=httpx2.MockTransport(lambda request: httpx2.Response(200, content=body)),
    )
    with pytest.raises(TrainerUnavailable):
        await backend.cancel("j")


async def test_a_server_that_ignores_the_filter_and_has_no_events_still_works() -> None:
    jobs = [
        {"id": f"job-{n}", "status": "running", "metadata": {"idempotency_key": f"k{n}"}} for n in range(3)
    ]

    def serve(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("/jobs"):
            return httpx2.Response(200, json={"data": jobs, "has_more": False})
        if request.url.path.endswith("/job-2"):
            return httpx2.Response(200, json=jobs[2])
        return httpx2.Response(404, json={"error": {"message": "no such route"}})

    backend = OpenAITrainer(base_url=BASE, api_key="key", transport=httpx2.MockTransport(serve))
    made = await backend.create(TrainingRequest("k2", "m", "supervised", "f", "", {}))
    assert made.id == "job-2"
    assert (await backend.get("job-2")).status == "running"


@pytest.mark.parametrize(
    ("method", "kind"),
    [("reinforcement", "reinforcement"), ("supervised", "supervised"), ("preference", "dpo")],
)
def test_each_method_has_its_own_block_and_only_the_settings_it_knows(method: str, kind: str) -> None:
    request = TrainingRequest(
        "k",
        "m",
        method,
        "f",
        "v",
        GRADER,
        {"n_epochs": 2, "reasoning_effort": "low", "lora_r": 16},
        "Ünsere Firma / 1",  # type: ignore[arg-type]
    )
    body = job_body(request)
    settings = body["method"][kind]
    assert body["method"]["type"] == kind
    assert body["metadata"] == {"idempotency_key": "k"}
    assert settings["hyperparameters"].get("n_epochs") == 2
    assert "lora_r" not in settings["hyperparameters"]
    assert ("reasoning_effort" in settings["hyperparameters"]) == (method == "reinforcement")
    assert ("grader" in settings) == (method == "reinforcement")
    assert len(body["suffix"]) <= 64


@pytest.mark.parametrize(
    ("wire", "ours"),
    [
        ("validating_files", "pending"),
        ("queued", "queued"),
        ("running", "running"),
        ("pausing", "paused"),
        ("paused", "paused"),
        ("succeeded", "completed"),
        ("failed", "failed"),
        ("cancelled", "cancelled"),
        ("somewhere", "running"),
    ],
)
def test_statuses_are_translated(wire: str, ours: str) -> None:
    assert job_from({"id": "j", "status": wire}, now=0).status == ours


def test_progress_comes_from_the_steps_that_events_count() -> None:
    events = [{"message": "Step 3/12: train_loss=0.4", "data": {"step": 3, "train_loss": 0.4, "loss": "n/a"}}]
    job = job_from(
        {"id": "j", "status": "running", "estimated_finish": 130, "created_at": 40}, events=events, now=100
    )
    assert (job.progress, job.eta_seconds) == (0.25, 30)
    assert job.metrics == ({"step": 3, "train_loss": 0.4},)
