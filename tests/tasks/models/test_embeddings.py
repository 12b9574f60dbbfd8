"""Embeddings: from a server and without one."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tasks.models.offline import OfflineEmbedder
from tasks.models.port import ModelAnswerInvalid
from tests.tasks.models.wires import Json, Wire

pytestmark = pytest.mark.anyio
TEXTS = [
    "my invoice is wrong, please refund the invoice",
    "refund this invoice, it is wrong",
    "the app crashes with an error at start",
    "an error crashes the app when I start it",
]


def vectors(path: str, body: Json) -> Any:
    data = [{"index": place, "embedding": [3.0, 4.0]} for place in range(len(body["input"]))]
    return 200, {"data": list(reversed(data))}


async def test_vectors_come_back_in_order_normalised_and_in_batches() -> None:
    wire = Wire(vectors)
    found = await wire.embedder().embed(["a", "", "x" * 50_000] * 100)
    assert len(found) == 300 and found[0] == [0.6, 0.8]
    batches = sorted((body["input"] for _, body in wire.asked), key=len)  # they are under way together
    assert [len(batch) for batch in batches] == [44, 256]
    assert batches[1][1] == " " and len(batches[1][2]) == 20_000
    assert await wire.embedder().embed([]) == []


async def test_vectors_belong_to_their_texts_although_batches_are_under_way_together() -> None:
    def numbered(path: str, body: Json) -> Any:
        data = [{"index": place, "embedding": [1.0, float(text)]} for place, text in enumerate(body["input"])]
        return 200, {"data": data}

    found = await Wire(numbered).embedder().embed([str(number) for number in range(900)])
    assert [round(vector[1] / vector[0]) for vector in found] == list(range(900))


@pytest.mark.parametrize(
    "data",
    [None, [], [{"embedding": "x"}], [{"embedding": [1.0]}, {"embedding": [1.0]}], [{"index": 0}]],
)
async def test_an_answer_that_does_not_fit_is_invalid(data: Any) -> None:
    with pytest.raises(ModelAnswerInvalid):
        await Wire(lambda path, body: (200, {"data": data})).embedder().embed(["a"])


def similarity(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


async def test_offline_vectors_bring_like_texts_together() -> None:
    found = await OfflineEmbedder().embed(TEXTS)
    assert {len(vector) for vector in found} == {len(found[0])}
    assert all(math.isclose(similarity(vector, vector), 1.0, rel_tol=1e-6) for vector in found)
    assert similarity(found[0], found[1]) > 0.7 > 0.3 > similarity(found[0], found[2])


async def test_a_fitted_space_takes_new_texts_and_is_repeatable() -> None:
    fitted = OfflineEmbedder().fit(TEXTS)
    assert fitted.vectors(["wrong invoice"]) == OfflineEmbedder().fit(TEXTS).vectors(["wrong invoice"])
    invoice, crash = fitted.vectors(["wrong invoice", "crashes at start"])
    assert similarity(invoice, fitted.vectors(TEXTS)[0]) > similarity(crash, fitted.vectors(TEXTS)[0])


@pytest.mark.parametrize(
    "texts", [["one"], ["the of and"], ["", ""], ["?!", "…"], ["日本語のテキスト", "別の文章"]]
)
async def test_odd_texts_still_give_vectors(texts: list[str]) -> None:
    found = await OfflineEmbedder().embed(texts)
    assert len(found) == len(texts) and len({len(vector) for vector in found}) == 1
