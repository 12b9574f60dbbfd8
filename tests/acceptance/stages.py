"""The way to each stop of the pipeline, walked as people walk it, for tests that begin there.

Sixty rows in three topics; the owner decides by buttons, the agent does what it is told.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from storage.records import Json
from tests.acceptance.data import TopicPlan, sheet, teach
from tests.acceptance.house import House
from tests.acceptance.model import use

GOAL = "Friendly answers to customers"
PLANS = (
    TopicPlan(("Billing",), ("refund", "invoice"), "reimbursement", 30),
    TopicPlan(("Login",), ("password", "locked"), "credentials", 20),
    TopicPlan(("Shipping",), ("parcel", "courier"), "tracking", 10),
)
MODEL = "ft:base-1:tuned"
HEALTHY = [0.27, 0.63] * 25  # mean 0.45, std 0.18
RISING = tuple(
    {"step": step, "valid_reward": reward} for step, reward in ((10, 0.45), (20, 0.55), (30, 0.65))
)


async def uploaded(
    house: House | None = None, *, plans: Sequence[TopicPlan] = PLANS, goal: str = GOAL, **many: Any
) -> House:
    """A file is read, the goal said, topics are proposed."""
    house, rows = house or House(), sheet(plans, **many)
    teach(house, plans, rows)
    house.model.structured["synthetic_rows"] = fresh
    house.model.script.append(use("start_finetune_workflow", training_goals=goal))
    await house.upload(rows.rows, text=goal)
    return house


async def in_coverage(house: House | None = None, **many: Any) -> House:
    """Topics approved, rows sorted, coverage shown."""
    house = await uploaded(house, **many)
    await house.approve()
    return house


async def graded(house: House | None = None, **many: Any) -> House:
    """A judge with one criterion."""
    house = await in_coverage(house, **many)
    await house.say("judge by quality", use("configure_grader", preset="quality"))
    await house.approve()
    return house


async def dry_run(house: House, scores: Sequence[float | None], **params: Any) -> Json:
    """A dry run of the present versions with exactly these scores; its facts."""
    if scores:
        house.scores.deal(scores)
    size = {} if params.get("sample_percentage") or not scores else {"sample_size": len(scores)}
    await house.say("upload it", use("upload_dataset"))
    await house.say("try the dry run", use("run_dry_run", **{**size, **params}))
    return house.last("dry_run")


async def ready_to_train(house: House | None = None, **many: Any) -> House:
    house = await graded(house, **many)
    await dry_run(house, HEALTHY)
    return house


async def training(house: House | None = None, **many: Any) -> House:
    """The job is at the provider, and runs."""
    house = await ready_to_train(house, **many)
    house.model.answers[MODEL] = house.scores.better
    house.scores.tuned = {"": 0.62}
    await house.say("train", use("start_training"))
    await house.approve()
    await house.poll(status="running", progress=0.1)
    return house


async def trained(house: House | None = None, *, curve: Sequence[Json] = RISING, **job: Any) -> House:
    """The job is over and was judged."""
    house = await training(house)
    house.scores.deal([0.4, 0.5])
    await house.poll(
        **{"status": "completed", "progress": 1.0, "metrics": tuple(curve), "model": MODEL, **job}
    )
    return house


def fresh(data: Json) -> Json:
    """Rows that resemble nothing: the batch's round and a place make every word of them."""
    return {"rows": [_row(1_000 * data["round"] + place) for place in range(data["count"])]}


def _row(number: int) -> Json:
    rng = random.Random(number)
    words = " ".join("".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=6)) for _ in range(9))
    return {"seed": number % 3, "persona": "somebody", "text": f"Please look at {words}"}


def plans_of(counts: dict[tuple[str, ...], int]) -> tuple[TopicPlan, ...]:
    """Plans whose keywords and hints are made from the leaf's name."""
    made = []
    for path, count in counts.items():
        plain = path[-1].casefold().replace(" ", "")
        made.append(TopicPlan(path, (f"{plain}xa", f"{plain}xb"), f"{plain}xc", count))
    return tuple(made)
