"""How fast 100,000 rows are sorted into topics, how many of them reach a model, and how often the topic is right.

Every run is a child process of its own, so that its CPU time and peak memory are its own; rows rest in a memory store, as a
worker's parts do. The rows are invented (`labelled.py` says how). 99 % come from the "test" templates, and only those are judged;
1 % come from the "train" templates, and in "known" these carry the team's own label. Elsewhere nothing is known of any row.

The model is simulated and says so: it knows the truth, errs on 4 % of the plain rows and on 20 % of the ambiguous ones, by a seed of the
text, and costs no time. So its accuracy is an assumption; what is measured is what the cascade makes of such a model. The
peers read the same texts in the same run: scikit-learn's TF-IDF + SVD + k-means (a cluster's topic is its most frequent true one,
which flatters it), and the simulated model asked about every row.

    python -m benchmarks.categorise
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.labelled import Labelled, rows, tree

ROWS = 100_000
KNOWN_SHARE = 0.01
WRONG, WRONG_WHERE_AMBIGUOUS = 0.04, 0.20
PEER = "scikit-learn TF-IDF + SVD + k-means, same texts"
ALL_TO_MODEL = "every row to the same simulated model"


def run(count: int = ROWS) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        write(path, count)
        found = {name: child(name, path) for name in ("offline", "known", "cascade", "sklearn", "oracle")}
    for name, facts in found.items():
        print(f"{name}: {json.dumps(facts)}", file=sys.stderr)
    ours, peer, model = found["offline"], found["sklearn"], found["oracle"]
    cascade = found["cascade"]
    return [
        figure("categorise_rows_per_s", ours["rows_per_s"], "rows/s of CPU", peer["rows_per_s"], PEER),
        figure("categorise_rss_mb", ours["rss_mb"], "MB above the imports", peer["rss_mb"], PEER),
        figure("categorise_offline_accuracy", ours["accuracy"], "share", peer["accuracy"], PEER),
        figure("categorise_known_accuracy", found["known"]["accuracy"], "share, 1 % labelled", ours["accuracy"], "none labelled"),
        figure("categorise_known_ece", found["known"]["ece"], "true calibration error", found["known"]["ece_said"], "as the card says"),
        figure("categorise_model_share", cascade["model_share"], "of rows", 1.0, ALL_TO_MODEL),
        figure("categorise_token_share", cascade["token_share"], "of tokens", 1.0, ALL_TO_MODEL),
        figure("categorise_accuracy", cascade["accuracy"], "share", model["accuracy"], ALL_TO_MODEL),
    ]  # fmt: skip


def figure(name: str, ours: float, unit: str, peer: float, peer_name: str) -> dict[str, Any]:
    ratio = ours / peer if peer else None
    return {"name": name, "ours": ours, "unit": unit, "peer": peer, "peer_name": peer_name, "ratio": ratio}


def write(path: Path, count: int) -> None:
    """Rows of the "test" templates, and every hundredth of the "train" ones."""
    tested, trained = rows(count, seed=7), rows(count, seed=8, templates="train")
    with path.open("w") as out:
        for place in range(count):
            row = next(trained if is_train(place) else tested)
            out.write(json.dumps([row.text, row.topic, row.ambiguous]) + "\n")


def is_train(place: int) -> bool:
    return place % round(1 / KNOWN_SHARE) == 0


def child(name: str, path: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.categorise", name, str(path)]
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # waiting threads would count as work
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env={**os.environ, **one_thread}
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def read(path: Path) -> list[Labelled]:
    with path.open() as lines:
        return [Labelled(*json.loads(line)) for line in lines]


# ---------------------------------------------------------------- what is measured


class SimulatedModel:
    """Implements `ChatModel` for `topic_labels`: the truth, wrong by a seed of each text. Ambiguous rows it is less sure of."""

    def __init__(self, truth: Sequence[Labelled]) -> None:
        self.truth = {row.text[:1_500]: row for row in truth}
        self.topics = [topic.id for topic in tree()]
        self.rows = self.tokens = 0

    def label(self, text: str) -> tuple[str, float]:
        row = self.truth[text]
        chance = random.Random(zlib.crc32(text.encode()))
        wrong = chance.random() < (WRONG_WHERE_AMBIGUOUS if row.ambiguous else WRONG)
        others = [topic for topic in self.topics if topic != row.topic]
        return chance.choice(others) if wrong else row.topic, 0.8 if row.ambiguous else 0.96

    async def complete(self, request: Any) -> Any:
        from tasks.models.port import ChatReply, Usage

        asked = json.loads(request.messages[-1].content)["rows"]
        self.rows += len(asked)
        sent = sum(len(str(message.content)) for message in request.messages) // 4
        said = [(row["row"], *self.label(row["text"])) for row in asked]
        labels = [{"row": row, "topic": topic, "confidence": sure} for row, topic, sure in said]
        text = json.dumps({"labels": labels})
        self.tokens += sent + len(text) // 4
        return ChatReply(text, (), Usage(sent, len(text) // 4), request.model)

    async def close(self) -> None:
        """Nothing is open."""


def sorted_rows(path: Path, *, known: bool, asks: bool) -> dict[str, Any]:
    """Our own pipeline, from stored rows to labelled columns of a new version."""
    from tests.makers import TENANT, World, row, settings

    truth = read(path)
    model = SimulatedModel(truth if asks else ())
    world = World(
        settings=settings() if asks else settings(openai_base_url="", openai_api_key="", allowed_providers=())
    )
    stored = world.deps.datasets.__class__(world.blobs)
    given = [one.topic if known and is_train(place) else "" for place, one in enumerate(truth)]
    manifest = _stored(stored, truth, given, row)

    async def measured() -> dict[str, Any]:
        workflow = await world.workflow(manifest, topics=tree())
        ctx = world.context(workflow, "categorize")
        ctx.deps = _with(ctx.deps, chat=model, datasets=stored)
        import sklearn.linear_model  # noqa: F401  imports are everybody's

        report, cost = await _timed(ctx)
        labelled = stored.manifest(TENANT, "d1", report.facts["dataset_version"])
        return {**cost, **report_of(stored, labelled, truth, report.facts)}

    facts = asyncio.run(measured())
    return {**facts, **model_facts(model, truth)} if asks else facts


async def _timed(ctx: Any) -> tuple[Any, dict[str, float]]:
    """Finding topics in the rows, and sorting all of them; into the tree that is judged, whatever was found."""
    from tasks.steps.categorize import CATEGORIZE
    from tasks.steps.propose_topics import PROPOSE_TOPICS

    before, cpu = peak_mb(), time.process_time()
    if not ctx.deps.settings.allowed_providers:
        await PROPOSE_TOPICS.run(ctx, {})
    report = await CATEGORIZE.run(ctx, {})
    spent = time.process_time() - cpu
    count = ctx.workflow.valid_rows
    return report, {
        "rows_per_s": round(count / spent),
        "cpu_s": round(spent, 2),
        "rss_mb": round(peak_mb() - before),
    }


def report_of(datasets: Any, manifest: Any, truth: Sequence[Labelled], facts: Any) -> dict[str, Any]:
    """Accuracy, and how far confidence is off, over the rows of the "test" templates; by the truth that the pipeline never saw."""
    import numpy as np

    from tasks.sorting.calibration import reliability

    found = [
        (topic == one.topic, sure or 0.0, one.ambiguous)
        for place, ((topic, sure), one) in enumerate(zip(_labels(datasets, manifest), truth, strict=True))
        if not is_train(place)
    ]
    right, sure = np.array([one[0] for one in found], float), np.array([one[1] for one in found])
    clear = np.array([not one[2] for one in found])
    return {
        "accuracy": round(float(right.mean()), 4),
        "clear": round(float(right[clear].mean()), 4),
        "ambiguous": round(float(right[~clear].mean()), 4),
        "ece": reliability(sure, right)["ece"],
        "ece_said": facts["reliability"].get("ece", 0.0),
        "said_on": facts["reliability"]["measured_on"],
        "rows_by_stage": facts["rows_by_stage"],
        "asked": facts["asked_count"],
        "learned_from": facts["learned_from"],
    }


def model_facts(model: SimulatedModel, truth: Sequence[Labelled]) -> dict[str, Any]:
    """Shares of rows and of tokens against asking about every row, in full batches of the same size."""
    per_batch = 32
    rows_tokens = sum(len(row.text) // 4 + 30 for row in truth)
    overhead = len(truth) / per_batch * (sum(len(str(topic)) for topic in tree()) // 4 + 350)
    return {
        "model_share": round(model.rows / len(truth), 4),
        "token_share": round(model.tokens / (rows_tokens + overhead), 4),
    }


def clustered(path: Path) -> dict[str, Any]:
    """The peer: one vocabulary, 128 dimensions, as many clusters as topics."""
    truth = read(path)
    texts = [row.text for row in truth]
    from sklearn.cluster import KMeans
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.preprocessing import normalize

    before, cpu = peak_mb(), time.process_time()
    weights = TfidfVectorizer(
        ngram_range=(1, 2), stop_words="english", sublinear_tf=True, max_features=30_000
    ).fit_transform(texts)
    points = normalize(TruncatedSVD(128, random_state=0).fit_transform(weights))
    clusters = KMeans(len(tree()), n_init=3, random_state=0).fit_predict(points)
    spent = time.process_time() - cpu
    counts: dict[int, Counter[str]] = {}
    for cluster, row in zip(clusters, truth, strict=True):
        counts.setdefault(int(cluster), Counter())[row.topic] += 1
    right = sum(count.most_common(1)[0][1] for count in counts.values())
    return {
        "rows_per_s": round(len(texts) / spent),
        "rss_mb": round(peak_mb() - before),
        "accuracy": round(right / len(texts), 4),
    }


def oracle(path: Path) -> dict[str, Any]:
    truth = read(path)
    model = SimulatedModel(truth)
    return {"accuracy": round(sum(model.label(row.text)[0] == row.topic for row in truth) / len(truth), 4)}


def _stored(datasets: Any, truth: Sequence[Labelled], given: Sequence[str], row: Any) -> Any:
    """Version 1 of a dataset of these rows, as an upload leaves it."""
    from dataclasses import replace

    from storage.manifests import Manifest
    from tasks.rules.validation import check_row
    from tests.makers import TENANT

    first = datasets.write_version(TENANT, "d1", (), (), operation="upload", by="U1", at=1.0)
    empty = Manifest(head=replace(first.head, version=0), parts=())
    made = (
        row(one.text, id=str(place), **({"item": {"label": label}} if label else {}))
        for place, (one, label) in enumerate(zip(truth, given, strict=True))
    )
    return datasets.append_rows(empty, made, check=check_row, operation="upload", by="U1", at=1.0)


def _labels(datasets: Any, manifest: Any) -> list[tuple[str, float]]:
    found: list[tuple[str, float]] = []
    for part in range(len(manifest.parts)):
        columns = datasets.columns(manifest, part, ("topic", "topic_confidence"))
        found += zip(columns["topic"], columns["topic_confidence"], strict=True)
    return found


def _with(deps: Any, **fields: Any) -> Any:
    from dataclasses import replace

    return replace(deps, **fields)


def peak_mb() -> float:
    """Of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        1024 if sys.platform != "darwin" else 1024**2
    )


CHILDREN = {
    "offline": lambda path: sorted_rows(path, known=False, asks=False),
    "known": lambda path: sorted_rows(path, known=True, asks=False),
    "cascade": lambda path: sorted_rows(path, known=False, asks=True),
    "sklearn": clustered,
    "oracle": oracle,
}

if __name__ == "__main__":
    if len(sys.argv) > 2:
        print(json.dumps(CHILDREN[sys.argv[1]](Path(sys.argv[2]))))
    else:
        for row in run(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS):
            print(row)
