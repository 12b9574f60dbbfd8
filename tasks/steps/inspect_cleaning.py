"""Looks at every row for what could be cleaned and proposes it: nothing is changed before a person has approved.

Workers share the parts; each writes counts and a few examples, in which personal data is masked already. Which of it is done is chosen on
the card; `clean` does it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass

from storage.manifests import Manifest
from storage.records import Json
from storage.rows import Row, last_user_message
from tasks.cleaning import Choices, safe_excerpt, scan
from tasks.near_duplicates import TEXTS, same_rows, sign_part
from tasks.rules.personal_data import MASKED
from tasks.step import Cancelled, Draft, Fan, Step, StepContext, StepReport
from tasks.steps.common import pinned_manifest, save_report
from tasks.steps.find_near_duplicates import SHOWN_EXAMPLES, copies_shown

REPORT = "cleaning"  # under the task's id: what was found in which part, by the part's name
ORDER = (
    "remove_duplicates",
    "near_duplicates",
    "fix_formatting",
    "empty_turns",
    "refusals",
    "personal_data",
)
_KINDS = {"formatting": "fix_formatting"}


async def run(ctx: StepContext, params: Json) -> StepReport:
    """params: the choices of `Choices`, which the card begins with."""
    manifest = await pinned_manifest(ctx)
    shares = {f"part{number}": part.rows for number, part in enumerate(manifest.parts)}
    if await ctx.spread(shares, label="rows looked at"):
        raise Cancelled
    parts = [ctx.done[name] for name in shares]
    await save_report(ctx, REPORT, _by_part(manifest, parts))
    findings = await asyncio.to_thread(_findings, ctx, manifest, parts)
    choices = Choices.of(params)
    facts: Json = {
        "rows": manifest.totals.rows,
        "found": {finding["code"]: finding["rows"] for finding in findings},
        "personal_data": next((dict(one["kinds"]) for one in findings if one["code"] == "personal_data"), {}),
        "dataset_version": manifest.version,
    }
    if not findings:
        return StepReport(facts=facts, view="nothing_to_clean")
    payload = proposal_payload(findings, choices, rows=manifest.totals.rows, scan=ctx.task.id)
    return StepReport(facts=facts, drafts=(Draft("clean", "Clean the data", payload),))


def proposal_payload(findings: list[Json], choices: Choices, *, rows: int, scan: str) -> Json:
    """What the card shows; the same findings with other choices make another card without another look at the rows."""
    return {"params": {**choices.params(), "scan": scan}, "rows": rows, "findings": findings}


# ---------------------------------------------------------------- one part


@dataclass(slots=True)
class _Counted:
    """What is wrong in the rows seen so far, by choice and by kind, with the first examples of each choice."""

    rows: Counter[str]
    kinds: dict[str, Counter[str]]
    examples: dict[str, list[Json]]
    masked: int = 0

    def add(self, row: Row) -> None:
        found = scan(row)
        kinds = {
            "fix_formatting": found.formatting,
            "empty_turns": ("",) * found.empty_turns,
            "refusals": ("",) * found.refusal,
            "personal_data": found.personal,
        }
        for code, named in kinds.items():
            if named:
                self.rows[code] += 1
                self.kinds.setdefault(code, Counter()).update(named)
        self.masked += bool(set(found.personal) & MASKED)
        for kind, before, after in found.excerpts:
            shown = self.examples.setdefault(_KINDS.get(kind, kind), [])
            if len(shown) < SHOWN_EXAMPLES:
                shown.append({"text": before, "after": after})


async def _prepare(ctx: StepContext, params: Json) -> Manifest:
    return await pinned_manifest(ctx)


async def _work(ctx: StepContext, manifest: Manifest, share: str) -> Json:
    return await asyncio.to_thread(_scanned, ctx, manifest, int(share.removeprefix("part")))


def _scanned(ctx: StepContext, manifest: Manifest, part: int) -> Json:
    for kind in TEXTS:
        sign_part(ctx.deps.datasets, manifest, part, kind=kind, blobs=ctx.deps.blobs)
    counted = _Counted(Counter(), {}, {})
    for place, row in enumerate(ctx.deps.datasets.rows(manifest, part)):
        counted.add(row)
        if place % 500 == 0 and ctx.cancelled():
            raise Cancelled
    return {
        "rows": dict(counted.rows),
        "kinds": {code: dict(kinds) for code, kinds in counted.kinds.items()},
        "examples": counted.examples,
        "masked": counted.masked,
    }


# ---------------------------------------------------------------- all parts


def _by_part(manifest: Manifest, parts: list[Json]) -> Json:
    return {part.digest: found["rows"] for part, found in zip(manifest.parts, parts, strict=True)}


def _findings(ctx: StepContext, manifest: Manifest, parts: list[Json]) -> list[Json]:
    found = {code: _summed(parts, code) for code in ORDER[2:]}
    found["remove_duplicates"] = _duplicates(ctx, manifest)
    found["near_duplicates"] = _copies(ctx, manifest)
    return [{"code": code, **found[code]} for code in ORDER if found[code]["rows"]]


def _summed(parts: list[Json], code: str) -> Json:
    kinds: Counter[str] = Counter()
    for part in parts:
        kinds.update(part["kinds"].get(code) or {})
    examples = [one for part in parts for one in part["examples"].get(code) or ()]
    made: Json = {
        "rows": sum(part["rows"].get(code, 0) for part in parts),
        "kinds": [[kind, count] for kind, count in kinds.most_common() if kind],
        "examples": examples[:SHOWN_EXAMPLES],
    }
    return made | ({"masked": sum(part["masked"] for part in parts)} if code == "personal_data" else {})


def _duplicates(ctx: StepContext, manifest: Manifest) -> Json:
    """Rows that validation found to be the same as an earlier one: invalid already, and still there."""
    datasets, places = ctx.deps.datasets, list[tuple[int, int]]()
    for part, ref in enumerate(manifest.parts):
        if "duplicate" in ref.summary.errors and len(places) < SHOWN_EXAMPLES:
            errors = datasets.columns(manifest, part, ("error",))["error"]
            places += [(part, at) for at, error in enumerate(errors) if error == "duplicate"]
    shown = [
        {"text": safe_excerpt(last_user_message(row)), "after": ""}
        for row in datasets.pick(manifest, places[:SHOWN_EXAMPLES])
    ]
    return {"rows": manifest.totals.errors.get("duplicate", 0), "kinds": [], "examples": shown}


def _copies(ctx: StepContext, manifest: Manifest) -> Json:
    """Valid rows that ask almost the same as an earlier one and have almost the same answer."""
    leaders = same_rows(ctx.deps.datasets, manifest, blobs=ctx.deps.blobs, stop=ctx.cancelled)
    if ctx.cancelled():
        raise Cancelled
    count, examples = copies_shown(ctx, manifest, leaders)
    return {"rows": count, "kinds": [], "examples": examples}


INSPECT_CLEANING = Step(
    name="inspect_cleaning",
    title="Looking for what to clean",
    body=run,
    needs=("valid_rows",),
    fan=Fan(_prepare, _work),
    timeout_seconds=2 * 3600,
)
