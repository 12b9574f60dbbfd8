"""One question to the base and to the trained model, side by side, each scored by the current grader where there is one.

What somebody types here is sent to the model because they asked for just that. The rows' common system message goes with it
only where rows may be sent.
"""

from __future__ import annotations

import asyncio

from storage.records import Json
from storage.rows import Input, Row, content_text
from tasks import graders
from tasks.models.port import ModelAnswerInvalid, ModelRefused
from tasks.step import Step, StepContext, StepError, StepReport
from tasks.steps.answering import Judge, current_grader, respond, sample_of
from tasks.steps.answering import bench as opened_bench
from tasks.steps.common import cut, has_model, may_send_rows, pinned_manifest

SHOWN_CHARACTERS = 2_800
LOOKED_AT = 5


async def run(ctx: StepContext, params: Json) -> StepReport:
    """params: `prompt`."""
    prompt = str(params.get("prompt") or "").strip()
    if not prompt:
        raise StepError("Say what to ask the models.", code="prompt", next="try_model")
    if not has_model(ctx):
        raise StepError("No model server is configured (OPENAI_API_KEY or OPENAI_BASE_URL).", code="no_model")
    training = ctx.workflow.training
    if training is None:
        raise StepError(
            "There is no trained model yet: train one.", code="trained_model", next="start_training"
        )
    row = Row(id="try", input=Input(messages=[*await _system(ctx), {"role": "user", "content": prompt}]))
    judge = await _judge(ctx)
    base = await _answer(ctx, "base", training.base_model, row, judge)
    tuned = await _answer(ctx, "tuned", training.model, row, judge)
    facts: Json = {"prompt": cut(prompt, 1_000), "base": base, "tuned": tuned}
    return StepReport(facts=facts, view="tried", summary="answered side by side")


async def _answer(ctx: StepContext, name: str, model: str, row: Row, judge: Judge | None) -> Json:
    saved = ctx.done.get(name)
    if saved is not None:
        return saved
    try:
        reply = await respond(ctx, model, row)
    except (ModelRefused, ModelAnswerInvalid) as error:
        words = f"{model} would not answer. It may still be loading; try again in a minute."
        raise StepError(words, code="model_refused", next="try_model") from error
    answer: Json = {"model": model, "text": cut(reply.text, SHOWN_CHARACTERS)}
    if judge is not None:
        async with opened_bench(ctx) as bench:
            grade = await graders.grade(judge.kind, judge.config, sample_of(row, reply), bench)
        answer["score"] = None if grade.score is None else round(grade.score, 4)
    await ctx.checkpoint(name, answer)
    return answer


async def _judge(ctx: StepContext) -> Judge | None:
    try:
        return await current_grader(ctx)
    except StepError:
        return None


async def _system(ctx: StepContext) -> list[Json]:
    """The system message that the rows share, since that is what the model was trained with; none when they differ."""
    if not await may_send_rows(ctx):
        return []
    manifest = await pinned_manifest(ctx)
    rows = await asyncio.to_thread(ctx.deps.datasets.sample, manifest, LOOKED_AT, seed=0)
    firsts = [row.input.messages[0] for row in rows if row.input.messages]
    systems = {
        content_text(first.get("content")) for first in firsts if first.get("role") in ("system", "developer")
    }
    same = len(systems) == 1 and len(firsts) == len(rows)
    return [{"role": "system", "content": systems.pop()}] if same else []


TRY_MODEL = Step(
    name="try_model",
    title="Asking both models",
    body=run,
    needs=("trained_model",),
    finishes=False,
    timeout_seconds=600,
)
