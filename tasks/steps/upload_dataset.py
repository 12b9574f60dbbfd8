"""Takes the dataset to the training backend: split, shaped for the method, streamed, keyed so that a repeat finds itself.

The same function serves `start_training`, which needs the files in its own method's form. The rows go to a provider, so consent
is asked for here as for any model call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from storage.manifests import Manifest
from storage.records import Json, Upload, Workflow
from storage.rows import Row, to_openai_dpo, to_openai_rft, to_openai_sft
from tasks.drafting import short_id
from tasks.models.port import ModelUnavailable
from tasks.rules.training import Method
from tasks.step import Next, Step, StepContext, StepError, StepReport
from tasks.steps.common import backend, pinned_manifest, require_sending
from tasks.steps.splitting import Sides, jsonl, leakage_facts, sides
from tasks.trainers.port import Trainer, TrainerRefused, TrainerUnavailable

FORMS: dict[Method, Callable[[Row], Json | None]] = {
    "reinforcement": to_openai_rft,
    "supervised": to_openai_sft,
    "preference": to_openai_dpo,
}
TRAIN_SHARE = 0.9
_LACKING: dict[Method, str] = {
    "reinforcement": "No valid row is left to train on.",
    "supervised": "No row has a reference answer to learn from. Use reinforcement, or generate whole conversations first.",
    "preference": "No row has a preferred and a rejected answer. Use reinforcement or supervised training.",
}


@dataclass(frozen=True, slots=True)
class Files:
    """What the backend has. Counts are rows as they were sent."""

    training_id: str
    validation_id: str
    train_count: int
    validation_count: int
    sides: Sides


async def run(ctx: StepContext, params: Json) -> StepReport:
    """params: `force_reupload` false; `then` an operation to go on with, `then_params` its parameters."""
    await require_sending(ctx)
    manifest = await pinned_manifest(ctx)
    trainer = backend(ctx)
    method = method_of(ctx.workflow)
    share = train_share(ctx.workflow.configuration)
    nonce = ctx.task.id if params.get("force_reupload") else ""
    files = await ensure_files(ctx, trainer, manifest, method=method, train=share, nonce=nonce)
    upload = Upload(
        backend_dataset_id=files.training_id,
        trainer=trainer.name,
        dataset_version=manifest.version,
        record_count=files.train_count + files.validation_count,
        grader_version=ctx.workflow.grader_version or None,
        validation_id=files.validation_id,
    )

    def change(workflow: Workflow) -> Workflow:
        return replace(workflow, upload=upload)

    split = files.sides.split
    following = str(params.get("then") or "")
    facts: Json = {
        "backend_dataset_id": upload.backend_dataset_id,
        "record_count": upload.record_count,
        "train_count": files.train_count,
        "validation_count": files.validation_count,
        "has_evaluator": bool(ctx.workflow.grader_version),
        "has_topic_hierarchy": bool(ctx.workflow.topics),
        "method": method,
        "synthetic_validation": split.synthetic_validation,
        "leakage": split.leakage,
        "leakage_report": leakage_facts(files.sides),
        "notes": list(split.notes)[:10],
    }
    return StepReport(
        facts=facts,
        change=change,
        view="uploaded",
        summary=f"{upload.record_count:,} records",
        then=(Next(following, dict(params.get("then_params") or {})),) if following else (),
        say=not following,
    )


async def ensure_files(
    ctx: StepContext, trainer: Trainer, manifest: Manifest, *, method: Method, train: float, nonce: str = ""
) -> Files:
    """Both files at the backend, sent only when an earlier attempt has not. Raises `StepError`, `ModelUnavailable`."""
    datasets = ctx.deps.datasets
    await ctx.progress(0, 3, "splitting the rows")
    chosen = await asyncio.to_thread(sides, datasets, manifest, train=train, blobs=ctx.deps.blobs)
    lock = (chosen.lock,) if chosen.lock else ()
    key = short_id("u", manifest.dataset_id, manifest.hash, method, f"{train:g}", nonce, *lock)
    counts: dict[str, int] = {}
    ids: dict[str, str] = {}
    for place, side in enumerate(("train", "validation"), start=1):
        await ctx.progress(place, 3, f"sending the {side} rows")
        name = f"file.{method}.{side}"
        sent = ctx.done.get(name)
        if sent is None:
            counter = _Counter(lambda side=side: jsonl(datasets, chosen, side, FORMS[method]))  # type: ignore[misc]
            count = await asyncio.to_thread(counter.count)
            sent = {"id": await _sent(trainer, f"{key}-{side}", counter) if count else "", "count": count}
            await ctx.checkpoint(name, sent)
        ids[side], counts[side] = str(sent["id"]), int(sent["count"])
    if not counts["train"]:
        raise StepError(_LACKING[method], code="nothing_to_train", next="configure_training")
    return Files(ids["train"], ids["validation"], counts["train"], counts["validation"], chosen)


def method_of(workflow: Workflow) -> Method:
    """The configured training method; reinforcement when nothing was configured."""
    wanted = str(workflow.configuration.get("method") or "reinforcement")
    aliases: dict[str, Method] = {
        "rft": "reinforcement",
        "sft": "supervised",
        "dpo": "preference",
        "reinforcement": "reinforcement",
        "supervised": "supervised",
        "preference": "preference",
    }
    return aliases.get(wanted, "reinforcement")


def train_share(configuration: Json) -> float:
    """The share of rows that trains, between 0.5 and 0.95."""
    return min(0.95, max(0.5, float(configuration.get("train_split") or TRAIN_SHARE)))


async def _sent(trainer: Trainer, key: str, counter: _Counter) -> str:
    side = key.rpartition("-")[2]
    try:
        return await trainer.upload(key=key, file_name=f"{side}.jsonl", chunks=counter.chunks())
    except TrainerUnavailable as error:
        raise ModelUnavailable(str(error)) from error
    except TrainerRefused as error:
        raise StepError(str(error), code=error.code or "trainer_refused") from error


@dataclass(frozen=True, slots=True)
class _Counter:
    """Rows that can be streamed more than once: counted first, so that an empty file is never sent."""

    chunks: Callable[[], Iterator[bytes]]

    def count(self) -> int:
        return sum(chunk.count(b"\n") + (not chunk.endswith(b"\n")) for chunk in self.chunks())


UPLOAD_DATASET = Step(
    name="upload_dataset",
    title="Uploading the dataset",
    body=run,
    needs=("valid_rows",),
    finishes=False,
    timeout_seconds=3600,
)
