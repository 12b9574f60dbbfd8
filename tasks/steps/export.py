"""Writes rows of the current version into a file that people can take away: any format, whole or split, streamed.

One file, or for a whole split one .zip with a file for each side and the dataset card. What a format cannot hold is counted
and said. How the file reaches people is the business of `web`, which alone speaks to Slack.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from storage import paths
from storage.manifests import Manifest
from storage.records import Json
from tasks.exporting.files import FORMATS, Tally, Writer, gzipped, zipped
from tasks.exporting.forms import WHY
from tasks.exporting.readme import CardFacts, SplitLine, readme
from tasks.exporting.shares import AS_TRAINED, WITH_TEST, Shares, shares_of
from tasks.rules.splits import SIDES, Side
from tasks.step import Step, StepContext, StepError, StepReport
from tasks.steps.card_facts import card_facts
from tasks.steps.common import limits_of, pinned_manifest
from tasks.steps.outgoing import Outgoing, file_stem, left_out_of, not_carried_of, teller
from tasks.steps.splitting import Sides, leakage_facts, sides

MOST_NOTES = 10
MOST_EXAMPLE_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Wanted:
    """An export as it was asked for. `side` "" takes every row, "all" every side in a file of its own."""

    format: str
    side: str = ""
    shares: Shares | None = None
    include_generated: bool = True
    only_valid: bool = True
    gzip: bool = False


async def run(ctx: StepContext, params: Json) -> StepReport:
    """params: `format`, `splits` none | all | train | validation | test, `shares` "80/10/10", `include_generated` true,
    `only_valid` true, `gzip` false."""
    wanted = _wanted(params)
    manifest = await pinned_manifest(ctx)
    chosen = await divided(ctx, manifest, wanted.shares) if wanted.shares else None
    writer = FORMATS[wanted.format].make()
    rows = manifest.totals.rows
    going = Outgoing(
        ctx.deps.datasets,
        manifest,
        cancelled=ctx.cancelled,
        tell=teller(ctx, rows, "rows read"),
        only_valid=wanted.only_valid,
        include_generated=wanted.include_generated,
        sides=chosen.split.sides if chosen else None,
    )
    if writer.surveys:
        found = replace(going, tell=teller(ctx, rows, "rows looked at"))
        await asyncio.to_thread(writer.survey, found.rows(), limits_of(ctx).max_columns)
    card = await card_facts(ctx, manifest) if wanted.side == "all" else None
    job = _Job(wanted, going, writer, chosen, card)
    path = paths.export(ctx.workflow.tenant, ctx.task.id)
    size = await asyncio.to_thread(ctx.deps.blobs.put, path, job.chunks(ctx.deps.clock()))
    if not job.tally.rows:
        await asyncio.to_thread(ctx.deps.blobs.delete, path)
        raise _nothing(wanted, job.tally)
    name = f"{file_stem(ctx.workflow.name)}-v{manifest.version}{named_after(wanted.format)}{job.ending}"
    facts = {
        **job.facts(),
        "dataset_version": manifest.version,
        "path": path,
        "file_name": name,
        "size": size,
    }
    facts["files"] = [{"path": path, "file_name": name, "size": size}]
    return StepReport(facts=facts, view="export", summary=f"{job.tally.rows:,} rows exported")


async def divided(ctx: StepContext, manifest: Manifest, shares: Shares) -> Sides:
    """The same sides that a training gets; a test set is locked for the dataset when it is first asked for."""
    await ctx.progress(0, manifest.totals.rows, "splitting the rows")
    return await asyncio.to_thread(
        sides,
        ctx.deps.datasets,
        manifest,
        train=shares.train,
        validation=shares.validation,
        test=shares.test,
        blobs=ctx.deps.blobs,
        at=ctx.deps.clock(),
    )


def named_after(format: str) -> str:
    """The part of a file name that tells formats with the same ending apart; "" for the records themselves."""
    return (
        "" if format == "jsonl" or FORMATS[format].ending == f".{format}" else f"-{format.replace('_', '-')}"
    )


class _Job:
    """One export while it is written. The tallies are complete when the last chunk is out."""

    def __init__(
        self, wanted: Wanted, going: Outgoing, writer: Writer, chosen: Sides | None, card: CardFacts | None
    ) -> None:
        self._wanted, self._going, self._writer = wanted, going, writer
        self._chosen, self._card = chosen, card
        self.tally = Tally()
        self.by_side: dict[str, int] = {}

    @property
    def ending(self) -> str:
        if self._wanted.side == "all":
            return ".zip"
        side = f"-{self._wanted.side}" if self._wanted.side else ""
        return f"{side}{FORMATS[self._wanted.format].ending}{'.gz' if self._wanted.gzip else ''}"

    def chunks(self, at: float) -> Iterator[bytes]:
        if self._wanted.side == "all":
            return zipped(self._archive(), at)
        side: Side | None = next((one for one in SIDES if one == self._wanted.side), None)
        chunks = self._written(side)
        return gzipped(chunks) if self._wanted.gzip else chunks

    def _archive(self) -> Iterator[tuple[str, Iterable[bytes]]]:
        """The card comes last, because it tells what the files have."""
        ending = FORMATS[self._wanted.format].ending
        for side in SIDES:
            if self._chosen and self._chosen.split.count(side):
                yield f"{side}{ending}", self._written(side)
        if self._card:
            files = [(f"{side}{ending}", rows) for side, rows in self.by_side.items()]
            yield (
                "README.md",
                [readme(replace(self._card, files=files, split=self._split(), notes=self._told())).encode()],
            )

    def _written(self, side: Side | None) -> Iterator[bytes]:
        before = self.tally.rows
        yield from self._writer.chunks(self._going.rows(side), self.tally)
        if side:
            self.by_side[side] = self.tally.rows - before

    def _split(self) -> SplitLine:
        return split_line(self._chosen, self._wanted.shares, self.by_side)

    def _told(self) -> list[str]:
        """What the files lack, as the card says it."""
        lines = [f"Rows {one['why']} are left out: {one['rows']:,}." for one in left_out_of(self.tally)]
        names = ", ".join(str(one["name"]) for one in not_carried_of(self.tally))
        lines += [f"The format cannot hold: {names}."] if names else []
        return lines + ([] if self._wanted.include_generated else ["Generated rows are left out."])

    def facts(self) -> Json:
        """What the card in the thread says."""
        wanted, tally = self._wanted, self.tally
        generated = self._going.manifest.totals.valid_generated
        facts: Json = {
            "format": wanted.format,
            "format_title": FORMATS[wanted.format].title,
            "rows": tally.rows,
            "left_out": left_out_of(tally),
            "not_carried": not_carried_of(tally),
            "not_carried_count": len(tally.lost),
            "formulas": tally.formulas,
            "generated_left_out": 0 if wanted.include_generated else generated,
            "with_invalid": not wanted.only_valid,
        }
        if self._chosen and wanted.shares:
            facts |= {"splits": dict(self.by_side), "shares": str(wanted.shares), **split_facts(self._chosen)}
        return facts


def split_facts(chosen: Sides) -> Json:
    """Notes of the split and its leakage report, bounded for a card."""
    found = leakage_facts(chosen)
    examples = [
        {k: str(v)[:MOST_EXAMPLE_CHARACTERS] for k, v in one.items()} for one in found["examples"][:3]
    ]
    return {"notes": list(chosen.split.notes)[:MOST_NOTES], "leakage": {**found, "examples": examples}}


def split_line(chosen: Sides | None, shares: Shares | None, rows: dict[str, int]) -> SplitLine:
    """The split as the dataset card tells it."""
    if chosen is None:
        return SplitLine(str(shares or ""), rows)
    found = leakage_facts(chosen)
    told: dict[str, int] = {
        name: found[name] for name in ("held_out", "exact", "near", "same_source") if name in found
    }
    return SplitLine(str(shares or ""), rows, chosen.split.notes, told)


def _wanted(params: Json) -> Wanted:
    form, side = str(params.get("format") or "jsonl"), str(params.get("splits") or "none")
    if form not in FORMATS:
        raise StepError(
            f"I cannot export as {form[:40]!r}; there are: {', '.join(FORMATS)}.",
            code="format",
            next="export_dataset",
        )
    if side not in ("none", "all", *SIDES):
        raise StepError(
            "splits is none, all, train, validation or test.", code="splits", next="export_dataset"
        )
    return Wanted(
        format=form,
        side="" if side == "none" else side,
        shares=None if side == "none" else asked_shares(str(params.get("shares") or ""), side),
        include_generated=params.get("include_generated") is not False,
        only_valid=params.get("only_valid") is not False or side != "none",  # only valid rows are on a side
        gzip=params.get("gzip") is True,
    )


def asked_shares(text: str, side: str) -> Shares:
    """What was asked for; else as the training divides, with a test set where one is asked for. Raises `StepError`."""
    try:
        shares = shares_of(text or (WITH_TEST if side in ("all", "test") else AS_TRAINED))
    except ValueError as error:
        raise StepError(f"{error}.", code="shares", next="export_dataset") from error
    if side == "test" and not shares.test:
        raise StepError(f"With {shares} there is no test set.", code="shares", next="export_dataset")
    return shares


def _nothing(wanted: Wanted, tally: Tally) -> StepError:
    """Why no row came out, and what to try."""
    title = FORMATS[wanted.format].title
    reasons = "; ".join(f"{rows:,} {WHY[reason]}" for reason, rows in tally.left_out.most_common())  # type: ignore[index]
    why = f": {reasons}. JSONL holds every row" if reasons else ""
    return StepError(f"No row fits {title} as asked{why}.", code="nothing_to_export", next="export_dataset")


EXPORT = Step(
    name="export", title="Exporting", body=run, needs=("valid_rows",), finishes=False, timeout_seconds=3600
)
