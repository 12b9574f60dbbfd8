"""Sides of a dataset version: families together, a test set that stays, and what leaks said."""

from __future__ import annotations

import pytest

from storage.manifests import Manifest
from storage.rows import Row
from tasks.rules.validation import check_row
from tasks.steps.splitting import Sides, leakage_facts, locked, sides
from tests.makers import World, row, rows

LONG = "please tell me where the parcel with my new lamp is because the courier said it was {what} on {n}"


def homes(world: World, manifest: Manifest, chosen: Sides) -> dict[str, str]:
    """Row id → side."""
    return {
        one.id: side
        for side in ("train", "validation", "test", "left_out")
        for one in world.datasets.pick(manifest, chosen.where(side))  # type: ignore[arg-type]
    }


def filler(count: int, *, start: int = 0) -> list[Row]:
    return [
        row(f"Filler {n * 7919} of {n * 104729}: about the {n}th thing in room {n * n + 3}", id=f"f{n}")
        for n in range(start, start + count)
    ]


def with_more(world: World, manifest: Manifest, more: list[Row]) -> Manifest:
    return world.datasets.append_rows(manifest, more, check=check_row, operation="add", by="U1", at=2.0)


def test_families_are_joined_through_seed_document_thread_and_likeness() -> None:
    world = World()
    family = [
        row("The first of a chain, asked by a person", id="a"),
        row(
            "Grown from the first, said otherwise",
            id="b",
            is_generated=True,
            provenance={"seed": "a", "document": "D1"},
        ),
        row("Another passage of the same document", id="c", provenance={"document": "D1", "chunk": 4}),
        row(LONG.format(what="delivered", n="Monday"), id="d", provenance={"document": "D1"}),
        row(LONG.format(what="delivered", n="Mondays"), id="e", provenance={"permalink": "https://s/1"}),
        row("Somebody else in the same thread", id="f", provenance={"permalink": "https://s/1"}),
    ]
    manifest = world.dataset([*filler(40), *family])
    for seed in range(6):
        chosen = sides(world.datasets, manifest, train=0.6, seed=seed)
        found = homes(world, manifest, chosen)
        assert len({found[one.id] for one in family}) == 1
        assert chosen.leakage.rows == 0


def test_the_same_version_is_always_split_the_same_way() -> None:
    world = World()
    manifest = world.dataset(rows({"billing": 60, "login": 40}, labelled=True))
    first = sides(world.datasets, manifest, train=0.9)
    again = sides(world.datasets, manifest, train=0.9, blobs=world.blobs)
    assert first.split == again.split
    assert list(first.where("validation")) == list(again.where("validation"))


def test_a_test_set_is_locked_for_every_later_version() -> None:
    world = World()
    manifest = world.dataset(filler(100))
    first = sides(world.datasets, manifest, train=0.8, validation=0.1, test=0.1, blobs=world.blobs, at=5.0)
    held = {id for id, side in homes(world, manifest, first).items() if side == "test"}
    assert len(held) == 10
    assert first.lock
    grown = with_more(world, manifest, filler(100, start=100))
    again = sides(world.datasets, grown, train=0.8, validation=0.1, test=0.1, blobs=world.blobs, at=9.0)
    found = homes(world, grown, again)
    assert {id for id, side in found.items() if side == "test"} == held
    assert (again.lock, leakage_facts(again)["locked_test"]) == (first.lock, 10)


def test_training_never_sees_a_locked_test_row_nor_what_resembles_it() -> None:
    world = World()
    manifest = world.dataset([*filler(60), row(LONG.format(what="late", n="Friday"), id="lamp")])
    sides(world.datasets, manifest, train=0.9, locked_test={"lamp"})
    grown = with_more(world, manifest, [row(LONG.format(what="late", n="Fridays"), id="lamp2")])
    chosen = sides(world.datasets, grown, train=0.9, locked_test={"lamp"})
    found = homes(world, grown, chosen)
    assert (found["lamp"], found["lamp2"]) == ("test", "left_out")
    assert leakage_facts(chosen)["left_out"] == 1


def test_rows_that_left_are_missing_from_the_test_set_and_return_with_a_roll_back() -> None:
    world = World()
    manifest = world.dataset(filler(100))
    first = sides(world.datasets, manifest, train=0.8, test=0.1, validation=0.1, blobs=world.blobs)
    held = [id for id, side in homes(world, manifest, first).items() if side == "test"]
    fewer = world.datasets.drop_rows(
        manifest, lambda one: one.id == held[0], operation="delete", by="U1", at=3.0
    )
    assert sides(world.datasets, fewer, train=0.9, blobs=world.blobs).split.count("test") == 9
    assert sides(world.datasets, manifest, train=0.9, blobs=world.blobs).split.count("test") == 10


def test_a_training_from_before_the_lock_is_told_again_as_it_was() -> None:
    world = World()
    manifest = world.dataset(filler(100))
    trained = sides(world.datasets, manifest, train=0.9, blobs=world.blobs)
    sides(world.datasets, manifest, train=0.8, validation=0.1, test=0.1, blobs=world.blobs, at=50.0)
    told = sides(world.datasets, manifest, train=0.9, blobs=world.blobs, before=40.0)
    assert told.split == trained.split
    now = sides(world.datasets, manifest, train=0.9, blobs=world.blobs)
    assert now.split.count("test") == 10
    lock = locked(manifest, world.blobs)
    assert lock is not None
    assert (lock.at, lock.version) == (50.0, manifest.version)


@pytest.mark.parametrize(("level", "sections"), [("section", 30), ("passage", 9), ("passage", 1)])
def test_one_large_document_is_divided_by_section_or_passage_and_that_is_said(
    level: str, sections: int
) -> None:
    world = World()
    read = [
        row(
            f"What does passage {n // 3} say of {n * 7919} and {n * 31}?",
            id=f"p{n}",
            provenance={
                "document": "D",
                "source": f"s{n * sections // 90}",
                "chunk": n // 3 if sections < 30 else n,
            },
        )
        for n in range(90)
    ]
    manifest = world.dataset([*read, *filler(10)])
    chosen = sides(world.datasets, manifest, train=0.9)
    found = homes(world, manifest, chosen)
    together = 3
    assert all(len({found[f"p{n + k}"] for k in range(together)}) == 1 for n in range(0, 90, together))
    assert len(set(found.values())) == 2
    assert any(f"rows of one {level}" in note and "both sides" in note for note in chosen.split.notes)
    report = leakage_facts(chosen)
    assert report["near"] == report["exact"] == report["same_source"] == 0, (
        "what was kept together is not torn"
    )


def test_what_leaks_is_counted_with_examples_where_there_is_only_one_source() -> None:
    world = World()
    alike = [row(LONG.format(what="lost", n=f"{n}"), id=f"r{n}") for n in range(20)]
    manifest = world.dataset(alike)
    chosen = sides(world.datasets, manifest, train=0.9)
    report = leakage_facts(chosen)
    assert chosen.split.leakage
    assert (report["held_out"], report["near"]) == (2, 2)
    assert report["examples"][0]["text"] != report["examples"][0]["in_training"]


@pytest.mark.parametrize("given", [[], filler(1)])
def test_next_to_nothing_is_split_without_a_fuss(given: list[Row]) -> None:
    world = World()
    manifest = world.dataset(given)
    chosen = sides(world.datasets, manifest, train=0.9, blobs=world.blobs)
    assert chosen.split.count("train") == len(given)
    assert leakage_facts(chosen)["held_out"] == 0
