"""What an augmentation will make, before anybody approves it: which rows, by which methods, at what price. Reads no row."""

from __future__ import annotations

from collections.abc import Mapping

from storage.manifests import Summary
from storage.records import Json, Workflow
from tasks.rules import topics as topic_rules
from tasks.rules.costs import Estimate, estimate_generation
from tasks.settings import Settings
from tasks.step import Draft, StepError
from tasks.steps import coverage
from tasks.steps.planning import price_table

METHODS = ("paraphrase", "backtranslate")
MOST_ROWS, MOST_NAMED = 2_000, 500
CALLS = {"paraphrase": 1, "backtranslate": 2}  # there and back
PROMPT_TOKENS = 350


def topics_of(workflow: Workflow, totals: Summary, params: Mapping[str, object]) -> list[str]:
    """The leaf topics whose rows are said again: those named, else the under-represented ones. Raises `StepError`."""
    named, records = params.get("topics"), params.get("record_ids")
    if records:
        return []
    if isinstance(named, list) and named:
        return [str(topic) for topic in named]
    if not workflow.topics:
        raise StepError(
            "Name the rows by their record_ids: there are no topics yet.", next="get_dataset_records"
        )
    under = coverage.measure(workflow, totals).under
    if not under:
        raise StepError("No topic lacks rows. Name topics or rows to say again.", next="analyze_coverage")
    return list(under)


def count_of(totals: Summary, params: Mapping[str, object]) -> int:
    """How many rows that will make at most. Raises `StepError`."""
    methods, records, topics = (_listed(params.get(name)) for name in ("methods", "record_ids", "topics"))
    unknown = [str(method) for method in methods if method not in METHODS]
    if unknown:
        raise StepError(f"There is no method {unknown[0]!r}; there are: {', '.join(METHODS)}.")
    if len(records) > MOST_NAMED:
        raise StepError(f"{len(records):,} rows are too many to name; name up to {MOST_NAMED}, or a topic.")
    rows = len(records) or sum(_real_rows(totals, str(topic)) for topic in topics)
    count = rows * len(methods)
    if not count:
        raise StepError(
            "These topics have no rows that people wrote; name others, or rows by their record_ids."
        )
    if count > MOST_ROWS:
        raise StepError(f"That would be {count:,} rows; 1 to {MOST_ROWS:,} can be made at once.")
    return count


def proposal(
    settings: Settings, workflow: Workflow, totals: Summary, params: Json, count: int
) -> tuple[Draft, Json]:
    """The card that asks for approval, and its figures."""
    cost = estimate(settings, totals, methods=params["methods"], count=count)
    names = {leaf.id: leaf.name for leaf in topic_rules.leaves(workflow.topics)}
    facts: Json = {
        "total": count,
        "methods": params["methods"],
        "rows": count // max(1, len(params["methods"])),
        "topics": [names.get(topic, topic) for topic in params["topics"]][:40],
        "cost_usd": cost.usd,
    }
    payload = {"params": params, "pivot": params["pivot"], "formula": cost.formula, **facts}
    draft = Draft("augmentation", f"Add {count} rows in other words", payload, ceiling_usd=cost.high or 0.0)
    return draft, facts


def estimate(settings: Settings, totals: Summary, *, methods: list[str], count: int) -> Estimate:
    """A paraphrase is one answer a row, a back-translation two."""
    model = settings.generator_model
    asked = count * sum(CALLS[method] for method in methods) // max(1, len(methods))
    average = totals.input_tokens / max(1, totals.valid)
    return estimate_generation(
        price_table(settings, model),
        model,
        count=asked,
        average_tokens=average,
        prompt_tokens=int(PROMPT_TOKENS + 10 * (average + 20)),
        retry_share=0.1,
    )


def _real_rows(totals: Summary, topic: str) -> int:
    """Rows of a topic that people wrote; in a dataset that has none of those, all of them."""
    found = totals.topics.get(topic)
    if found is None:
        return 0
    return found.rows - found.generated if has_real_rows(totals) else found.rows


def has_real_rows(totals: Summary) -> bool:
    return totals.valid > totals.valid_generated


def _listed(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else []
