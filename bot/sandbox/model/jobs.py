"""Fine-tuning jobs as pure functions of a record and the clock: nothing runs, a job is where its clock says it is.

What a job shows while it "trains" is not invented: each step's reward is the stand-in judge's mean score of answers
that the writer gives at that step's skill, on rows of the job's own files.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from typing import Literal

from bot.sandbox.model.asks import Ask, Json, Message
from bot.sandbox.model.structured.judge import judge
from bot.sandbox.model.words import content_words, number_from, seeded, token_count
from bot.sandbox.model.writer import Lesson, Skill, is_formal, teach, write_reply

Method = Literal["supervised", "dpo", "reinforcement"]
Status = Literal["validating_files", "queued", "running", "paused", "succeeded", "failed", "cancelled"]

VALIDATING_SECONDS = 20.0
QUEUED_SECONDS = 20.0
SECONDS_PER_STEP = 30.0
MAX_STEPS = 20
CHECKPOINTS_SHOWN = 3
SCORED_ROWS = 24
MAX_LESSONS = 500
JUDGED_BY = (
    ("accuracy", "answers the question", 0.4),
    ("tone", "polite and friendly", 0.25),
    ("completeness", "gives all steps", 0.2),
    ("restraint", "promises nothing it cannot keep", 0.15),
)


@dataclass(frozen=True, slots=True)
class Job:
    """Times are seconds of the job clock. `rewards` holds (train, validation) per step, from 0 = before training."""

    id: str
    base_model: str
    method: Method
    training_file: str
    validation_file: str | None
    hyperparameters: Json
    grader: Json | None
    suffix: str
    metadata: dict[str, str]
    seed: int
    created_at: float
    trained_tokens: int
    lessons: tuple[Lesson, ...]
    rewards: tuple[tuple[float, float], ...]
    failure: str = ""
    paused_at: float | None = None
    paused_seconds: float = 0.0
    cancelled_at: float | None = None
    result_file: str = ""

    @property
    def steps(self) -> int:
        return len(self.rewards) - 1

    @property
    def tuned_model(self) -> str:
        return f"ft:{self.base_model}:sandbox:{self.suffix}:{self.id.removeprefix('ftjob-')[-8:]}"


def status(job: Job, now: float) -> Status:
    if job.cancelled_at is not None:
        return "cancelled"
    worked = worked_seconds(job, now)
    if job.failure and worked >= VALIDATING_SECONDS:
        return "failed"
    if job.paused_at is not None:
        return "paused"
    if worked < VALIDATING_SECONDS:
        return "validating_files"
    if worked < VALIDATING_SECONDS + QUEUED_SECONDS:
        return "queued"
    return "running" if steps_done(job, now) < job.steps else "succeeded"


def worked_seconds(job: Job, now: float) -> float:
    """Clock seconds that the job was not paused; stands still once paused or cancelled."""
    stops = [moment for moment in (job.paused_at, job.cancelled_at) if moment is not None]
    return min([now, *stops]) - job.created_at - job.paused_seconds


def steps_done(job: Job, now: float) -> int:
    if job.failure:
        return 0
    training = worked_seconds(job, now) - VALIDATING_SECONDS - QUEUED_SECONDS
    return max(0, min(job.steps, int(training // SECONDS_PER_STEP)))


def moment_of(job: Job, worked: float) -> float:
    """When on the clock the job had worked so long (pauses counted as if they all lay before)."""
    return job.created_at + job.paused_seconds + worked


def ends_at(job: Job) -> float:
    if job.cancelled_at is not None:
        return job.cancelled_at
    if job.failure:
        return moment_of(job, VALIDATING_SECONDS)
    return moment_of(job, VALIDATING_SECONDS + QUEUED_SECONDS + job.steps * SECONDS_PER_STEP)


def pause(job: Job, now: float) -> Job:
    return replace(job, paused_at=now)


def resume(job: Job, now: float) -> Job:
    paused_at = now if job.paused_at is None else job.paused_at
    return replace(job, paused_at=None, paused_seconds=job.paused_seconds + now - paused_at)


def cancel(job: Job, now: float) -> Job:
    return replace(job, cancelled_at=now)


def skill_at(job: Job, step: int) -> Skill:
    """What the model can do after so many steps; recall of reference answers comes with the second half."""
    share = step / job.steps if job.steps else 1.0
    return _skill(share, job.lessons)


def metrics_at(job: Job, step: int) -> Json:
    """Numbers of one step. Losses fall with skill; a reinforcement job also has rewards and what surrounds them."""
    share, rng = step / max(1, job.steps), seeded("metrics", job.id, step)
    train_reward, valid_reward = job.rewards[step]
    loss = round(1.9 * math.exp(-1.6 * share) + 0.25 + rng.uniform(-0.03, 0.03), 4)
    metrics: Json = {"step": step, "train_loss": loss}
    if job.validation_file:
        metrics["valid_loss"] = round(loss + 0.05 + rng.uniform(0, 0.04), 4)
    if job.method == "supervised":
        return metrics | {
            "train_mean_token_accuracy": round(0.55 + 0.3 * share + rng.uniform(-0.01, 0.01), 4)
        }
    metrics |= {"train_reward_mean": train_reward}
    if job.validation_file:
        metrics |= {"valid_reward_mean": valid_reward}
    return metrics | {
        "kl": round(0.02 + 0.08 * share, 4),
        "entropy": round(1.2 - 0.4 * share, 4),
        "reward_std": round(0.18 - 0.06 * share, 4),
    }


def count_steps(rows: int, hyperparameters: Json) -> int:
    """Steps shown: one a batch and epoch, between 4 and MAX_STEPS, whatever the file's size."""
    epochs = _number(hyperparameters.get("n_epochs"), 2)
    batch = _number(hyperparameters.get("batch_size"), 16)
    return max(4, min(MAX_STEPS, math.ceil(rows / max(1, batch)) * epochs))


def measure_rewards(
    train: list[Json], valid: list[Json], *, steps: int, lessons: tuple[Lesson, ...], seed: int
) -> tuple[tuple[float, float], ...]:
    """(train, validation) mean scores at each step from 0, on at most SCORED_ROWS rows of each."""
    some_train, some_valid = _spread(train, SCORED_ROWS), _spread(valid or train, SCORED_ROWS)
    curve = []
    for step in range(steps + 1):
        skill = _skill(step / steps, lessons)
        curve.append((_mean_reward(some_train, skill, seed), _mean_reward(some_valid, skill, seed)))
    return tuple(curve)


def read_rows(content: bytes, method: Method) -> tuple[list[Json], str]:
    """Rows of a training file, and why it cannot be used ("" when it can). Stops at the first bad line."""
    rows: list[Json] = []
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            return rows, f"Line {number} is not valid JSON."
        problem = _row_problem(row, method)
        if problem:
            return rows, f"Line {number}: {problem}"
        rows.append(row)
    return rows, "" if rows else "The file has no rows."


def lessons_from(rows: list[Json], method: Method) -> tuple[Lesson, ...]:
    """What may be recalled. A reinforcement job learns from scores: labels and objects can be found out by them, sentences not."""
    pairs = []
    for row in rows[:MAX_LESSONS]:
        answer = _answer_of(row, method)
        if answer and (method != "reinforcement" or is_formal(answer)):
            pairs.append((_prompt_of(row), answer))
    return teach(pairs)


def tokens_in(rows: list[Json]) -> int:
    return sum(token_count(json.dumps(row, ensure_ascii=False)) for row in rows)


def new_id(seed: int, count: int) -> str:
    return f"ftjob-{number_from('job', seed, count):016x}"


def _skill(share: float, lessons: tuple[Lesson, ...]) -> Skill:
    level = 1 - (1 - share) ** 1.7
    return Skill(level, lessons if share >= 0.5 else ())


def _mean_reward(rows: list[Json], skill: Skill, seed: int) -> float:
    scores = [_reward(row, skill, seed) for row in rows]
    return round(sum(scores) / len(scores), 4) if scores else 0.0


def _reward(row: Json, skill: Skill, seed: int) -> float:
    prompt = _prompt_of(row)
    ask = Ask(model="", messages=(Message("user", prompt),))
    response = write_reply(ask, skill, seed=seed).text
    conversation = [{"role": "user", "content": prompt}]
    item = {"reference_answer": row.get("reference_answer")}
    scores = (
        weight
        * judge(
            criterion={"name": name, "description": about},
            conversation=conversation,
            response=response,
            item=item,
        )[0]
        for name, about, weight in JUDGED_BY
    )
    return sum(scores)


def _row_problem(row: object, method: Method) -> str:
    if not isinstance(row, dict):
        return "a row must be an object."
    if method == "dpo":
        missing = [key for key in ("input", "preferred_output", "non_preferred_output") if key not in row]
        return f"missing {', '.join(missing)}." if missing else ""
    messages = row.get("messages")
    if not isinstance(messages, list) or not messages:
        return "missing messages."
    last = messages[-1].get("role") if isinstance(messages[-1], dict) else None
    if method == "reinforcement" and last != "user":
        return "the last message must be from the user."
    return (
        "the last message must be from the assistant."
        if method == "supervised" and last != "assistant"
        else ""
    )


def _prompt_of(row: Json) -> str:
    given = row.get("input")
    messages = (
        given.get("messages")
        if isinstance(given, dict)
        else given
        if isinstance(given, list)
        else row.get("messages")
    )
    for message in reversed(messages or []):
        if isinstance(message, dict) and message.get("role") == "user":
            content = message.get("content")
            return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    return " ".join(content_words(json.dumps(row)))


def _answer_of(row: Json, method: Method) -> str:
    if method == "reinforcement":
        reference = row.get("reference_answer")
        return reference if isinstance(reference, str) else ""
    turns = row.get("messages") if method == "supervised" else row.get("preferred_output")
    last = turns[-1] if isinstance(turns, list) and turns else {}
    content = last.get("content") if isinstance(last, dict) else ""
    return content if isinstance(content, str) else ""


def _spread(rows: list[Json], count: int) -> list[Json]:
    return rows if len(rows) <= count else [rows[index * len(rows) // count] for index in range(count)]


def _number(value: object, default: int) -> int:
    return value if isinstance(value, int) and value > 0 else default
