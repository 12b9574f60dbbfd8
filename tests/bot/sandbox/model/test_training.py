"""Files and fine-tuning jobs by the real client; time passes only by hand."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator

import httpx2
import openai
import pytest
from openai import AsyncOpenAI

from bot.sandbox.model import ModelConfig, create_model_server
from bot.sandbox.model.jobs import Job
from bot.sandbox.model.webhooks import event_of, signed_headers
from tests.scripted_model import free_port, serving

pytestmark = pytest.mark.anyio

QUESTIONS = (
    "My parcel number 4521 has not arrived after two weeks, where is it?",
    "I was charged twice for my subscription this month, please refund one.",
    "How do I reset my password when the email never comes?",
    "The app crashes every time I open the settings on Android.",
    "Can I change the delivery address after placing an order?",
)
GRADER = {
    "type": "score_model",
    "name": "judge",
    "model": "standin-judge",
    "input": [{"role": "user", "content": "x"}],
}
RFT = {"type": "reinforcement", "reinforcement": {"grader": GRADER, "hyperparameters": {"n_epochs": 2}}}


@pytest.fixture
def slow_server() -> Iterator[str]:
    """Its clock stands still but for what is advanced."""
    port = free_port()
    with serving(create_model_server(ModelConfig(port=port, speed=0.0)), port) as url:
        yield url


@pytest.fixture
async def client(slow_server: str) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(api_key="any", base_url=f"{slow_server}/v1", max_retries=0) as made:
        yield made


async def advance(client: AsyncOpenAI, seconds: float) -> None:
    url = str(client.base_url).removesuffix("/v1/") + "/standin/clock"
    async with httpx2.AsyncClient() as http:
        (await http.post(url, json={"advance_seconds": seconds})).raise_for_status()


async def upload(client: AsyncOpenAI, rows: list[dict]) -> str:
    content = "\n".join(json.dumps(row) for row in rows).encode()
    made = await client.files.create(file=("train.jsonl", content), purpose="fine-tune")
    return made.id


def rft_rows(count: int = 25) -> list[dict]:
    return [
        {"messages": [{"role": "user", "content": f"{QUESTIONS[place % 5]} ({place})"}]}
        for place in range(count)
    ]


async def start(client: AsyncOpenAI, file: str, **settings: object) -> str:
    asked = {
        "model": "standin-base",
        "method": RFT,
        "suffix": "team",
        "metadata": {"idempotency_key": "k1"},
    } | settings
    return (await client.fine_tuning.jobs.create(training_file=file, **asked)).id


async def test_files_are_kept_listed_and_deleted(client: AsyncOpenAI) -> None:
    file = await upload(client, [{"a": 1}])
    assert (await client.files.content(file)).content == b'{"a": 1}'
    assert [one.id async for one in client.files.list(purpose="fine-tune")] == [file]
    assert (await client.files.retrieve(file)).status == "processed"
    await client.files.delete(file)
    with pytest.raises(openai.NotFoundError):
        await client.files.retrieve(file)


async def test_a_job_runs_through_its_statuses_by_the_clock(client: AsyncOpenAI) -> None:
    job = await start(
        client, await upload(client, rft_rows()), validation_file=await upload(client, rft_rows(6))
    )
    seen = []
    for seconds in (0, 20, 20, 30, 600):
        await advance(client, seconds)
        seen.append((await client.fine_tuning.jobs.retrieve(job)).status)
    assert seen == ["validating_files", "queued", "running", "running", "succeeded"]
    done = await client.fine_tuning.jobs.retrieve(job)
    assert done.fine_tuned_model == f"ft:standin-base:sandbox:team:{job.removeprefix('ftjob-')[-8:]}"
    assert done.metadata == {"idempotency_key": "k1"}
    assert done.trained_tokens > 0
    table = (await client.files.content(done.result_files[0])).text
    assert table.splitlines()[0].startswith("step,train_loss")


async def test_metrics_come_step_by_step_and_the_reward_rises(client: AsyncOpenAI) -> None:
    job = await start(
        client, await upload(client, rft_rows()), validation_file=await upload(client, rft_rows(6))
    )
    await advance(client, 40 + 60)
    early = [
        event.data
        for event in (await client.fine_tuning.jobs.list_events(job, limit=100)).data
        if event.type == "metrics"
    ]
    assert [data["step"] for data in early] == [2, 1]
    await advance(client, 10_000)
    late = [event.data async for event in client.fine_tuning.jobs.list_events(job) if event.type == "metrics"]
    assert late[0]["train_reward_mean"] > late[-1]["train_reward_mean"] + 0.05
    assert late[0]["valid_reward_mean"] > 0
    checkpoints = (await client.fine_tuning.jobs.checkpoints.list(job)).data
    assert checkpoints[0].step_number == late[0]["step"]
    answer = await client.chat.completions.create(
        model=checkpoints[-1].fine_tuned_model_checkpoint,
        messages=[{"role": "user", "content": QUESTIONS[0]}],
    )
    assert answer.choices[0].message.content


async def test_an_earlier_attempt_is_found_by_its_key(client: AsyncOpenAI) -> None:
    file = await upload(client, rft_rows())
    first = await start(client, file)
    await start(client, file, metadata={"idempotency_key": "k2"})
    listed = [job async for job in client.fine_tuning.jobs.list(limit=1)]
    assert [job.metadata["idempotency_key"] for job in listed] == ["k2", "k1"]
    found = (await client.fine_tuning.jobs.list(metadata={"idempotency_key": "k1"})).data
    assert [job.id for job in found] == [first]


async def test_a_job_pauses_resumes_and_is_cancelled(client: AsyncOpenAI) -> None:
    job = await start(client, await upload(client, rft_rows()))
    await advance(client, 75)
    assert (await client.fine_tuning.jobs.pause(job)).status == "paused"
    await advance(client, 10_000)
    assert (await client.fine_tuning.jobs.retrieve(job)).status == "paused"
    assert (await client.fine_tuning.jobs.resume(job)).status == "running"
    assert (await client.fine_tuning.jobs.cancel(job)).status == "cancelled"
    await advance(client, 10_000)
    ended = await client.fine_tuning.jobs.retrieve(job)
    assert (ended.status, ended.fine_tuned_model) == ("cancelled", None)
    with pytest.raises(openai.BadRequestError):
        await client.fine_tuning.jobs.cancel(job)


async def test_a_model_exists_only_once_its_job_has_succeeded(client: AsyncOpenAI) -> None:
    job = await start(client, await upload(client, rft_rows()))
    name = f"ft:standin-base:sandbox:team:{job.removeprefix('ftjob-')[-8:]}"
    question = [{"role": "user", "content": QUESTIONS[0]}]
    with pytest.raises(openai.NotFoundError):
        await client.chat.completions.create(model=name, messages=question)
    await advance(client, 10_000)
    assert (await client.chat.completions.create(model=name, messages=question)).choices[0].message.content
    assert name in [model.id async for model in client.models.list()]


@pytest.mark.parametrize(
    ("rows", "method", "message"),
    [
        ([{"messages": [{"role": "assistant", "content": "x"}]}], RFT, "Line 1"),
        ([{"messages": [{"role": "user", "content": "x"}]}], {"type": "supervised"}, "Line 1"),
        ([{"input": {}, "preferred_output": []}], {"type": "dpo"}, "non_preferred_output"),
        ([], RFT, "no rows"),
    ],
)
async def test_a_bad_file_fails_the_job(
    client: AsyncOpenAI, rows: list[dict], method: dict, message: str
) -> None:
    job = await start(client, await upload(client, rows), method=method)
    await advance(client, 30)
    failed = await client.fine_tuning.jobs.retrieve(job)
    assert failed.status == "failed"
    assert message in failed.error.message


async def test_supervised_and_preference_jobs_run_too(client: AsyncOpenAI) -> None:
    taught = [
        {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": "Because."}]}
        for question in QUESTIONS
    ]
    turn = [{"role": "assistant", "content": "x"}]
    preferred = [
        {
            "input": {"messages": [{"role": "user", "content": question}]},
            "preferred_output": turn,
            "non_preferred_output": turn,
        }
        for question in QUESTIONS
    ]
    for rows, kind in ((taught, "supervised"), (preferred, "dpo")):
        job = await start(client, await upload(client, rows), method={"type": kind})
        await advance(client, 10_000)
        assert (await client.fine_tuning.jobs.retrieve(job)).status == "succeeded"


async def test_what_openai_refuses_at_once_is_refused(client: AsyncOpenAI) -> None:
    file = await upload(client, rft_rows())
    for settings in (
        {"model": "gpt-real"},
        {"training_file": "file-none"},
        {"method": {"type": "osmosis"}},
        {"method": {"type": "reinforcement", "reinforcement": {}}},
        {"suffix": "x" * 65},
        {"metadata": {"k": "v" * 600}},
    ):
        with pytest.raises(openai.BadRequestError):
            await client.fine_tuning.jobs.create(
                **({"model": "standin-base", "training_file": file, "method": RFT} | settings)
            )


async def test_a_tuned_model_recalls_what_it_was_taught(client: AsyncOpenAI) -> None:
    rows = [
        {
            "messages": [
                {"role": "user", "content": question},
                {"role": "assistant", "content": f"Answer {place}."},
            ]
        }
        for place, question in enumerate(QUESTIONS)
    ]
    job = await start(client, await upload(client, rows), method={"type": "supervised"})
    await advance(client, 10_000)
    model = (await client.fine_tuning.jobs.retrieve(job)).fine_tuned_model
    answers = []
    for question in QUESTIONS:
        made = await client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": question}], temperature=0
        )
        answers.append(made.choices[0].message.content)
    assert sum(answer == f"Answer {place}." for place, answer in enumerate(answers)) >= 4


async def test_a_webhook_passes_the_clients_check() -> None:
    secret = "whsec_" + "c2VjcmV0LXNlY3JldC1zZWNyZXQ="
    event = event_of(_job(), "succeeded")
    body = json.dumps(event).encode()
    client = AsyncOpenAI(api_key="x", webhook_secret=secret)
    import time

    headers = signed_headers(body, event_id=event["id"], secret=secret, at=time.time())
    assert client.webhooks.unwrap(body, headers).data.id == "ftjob-1"
    with pytest.raises(openai.InvalidWebhookSignatureError):
        client.webhooks.unwrap(body + b" ", headers)


async def test_the_end_of_a_job_is_posted_to_the_configured_url() -> None:
    import anyio
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    got: list[tuple[bytes, dict[str, str]]] = []

    async def hook(request: Request) -> Response:
        got.append((await request.body(), dict(request.headers)))
        return Response(status_code=500 if len(got) == 1 else 204)

    there, here = free_port(), free_port()
    secret = "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQ="
    config = ModelConfig(
        port=here, speed=100_000.0, webhook_url=f"http://127.0.0.1:{there}/hook", webhook_secret=secret
    )
    receiver = Starlette(routes=[Route("/hook", hook, methods=["POST"])])
    with serving(receiver, there), serving(create_model_server(config), here) as url:
        async with AsyncOpenAI(api_key="any", base_url=f"{url}/v1") as client:
            job = await start(client, await upload(client, rft_rows(5)))
            with anyio.fail_after(20):
                while len(got) < 2:
                    await anyio.sleep(0.02)
            event = client.webhooks.unwrap(*got[1], secret=secret)
    assert (event.type, event.data.id) == ("fine_tuning.job.succeeded", job)
    assert got[0][1]["webhook-id"] == got[1][1]["webhook-id"]


def _job() -> Job:
    return Job(
        id="ftjob-1", base_model="standin-base", method="supervised", training_file="f", validation_file=None,
        hyperparameters={}, grader=None, suffix="s", metadata={}, seed=1, created_at=0.0, trained_tokens=1,
        lessons=(), rewards=((0.5, 0.5), (0.6, 0.6)),
    )  # fmt: skip
