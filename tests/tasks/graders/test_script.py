"""Scripts as graders: what they may do, and a dozen that try what they may not."""

from __future__ import annotations

import os

import pytest

from storage.records import Json
from tasks import graders
from tasks.graders.port import Grade, Sample

pytestmark = pytest.mark.anyio
SAMPLE = Sample(
    messages=[{"role": "user", "content": "What is 2 + 2?"}],
    output='{"answer": 4}',
    item={"reference_answer": "4"},
)


async def graded(source: str, sample: Sample = SAMPLE) -> Grade:
    async with graders.bench(chat=None, judge_model="", meter=lambda model, usage: None) as bench:  # type: ignore[arg-type]
        return await graders.grade("script", {"source": source}, sample, bench)


def problems(config: Json) -> list[str]:
    return [problem.code for problem in graders.check("script", config, [])]


@pytest.mark.parametrize(
    ("source", "score"),
    [
        ("def grade(sample, item):\n    return 0.25", 0.25),
        (
            "def grade(sample, item):\n    return 1.0 if sample['output_json']['answer'] == int(item['reference_answer']) else 0.0",
            1.0,
        ),
        ("def grade(sample, item):\n    return '4' in sample['output_text']", 1.0),
        (
            "import json, re, math\ndef grade(sample, item):\n    return math.sqrt(json.loads(sample['output_text'])['answer']) / 4",
            0.5,
        ),
        ("def grade(sample, item):\n    return fuzzy_ratio(item['reference_answer'], '4')", 1.0),
        ("def grade(sample, item):\n    return len(item['messages']) / 2", 0.5),
    ],
)
async def test_a_script_gives_a_score(source: str, score: float) -> None:
    assert (await graded(source)).score == score


HOSTILE = {
    "loops": "def grade(s, i):\n    while True:\n        pass",
    "allocates": "def grade(s, i):\n    x = [0]\n    while True:\n        x = x * 2",
    "allocates at once": "def grade(s, i):\n    return '9' * (10 ** 9)",
    "huge number": "def grade(s, i):\n    return 10 ** 100000000",
    "reads a file": "def grade(s, i):\n    return open('/etc/passwd').read()",
    "reads the environment": "import os\ndef grade(s, i):\n    return len(os.environ.get('SECRET_OF_TESTS', ''))",
    "lists a folder": "import os\ndef grade(s, i):\n    return len(os.listdir('/'))",
    "runs a process": "import subprocess\ndef grade(s, i):\n    return subprocess.run(['id'])",
    "forks": "import os\ndef grade(s, i):\n    return os.fork()",
    "connects": "import socket\ndef grade(s, i):\n    socket.create_connection(('127.0.0.1', 80))\n    return 1.0",
    "sleeps": "import time\ndef grade(s, i):\n    time.sleep(60)\n    return 1.0",
    "recurses": "def grade(s, i):\n    return grade(s, i)",
    "climbs the classes": "def grade(s, i):\n    return ().__class__.__bases__[0].__subclasses__()",
    "evaluates": "def grade(s, i):\n    return eval('__import__(\"os\").getpid()') / 1e9",
    "prints without end": "def grade(s, i):\n    for n in range(10 ** 6):\n        print('x' * 1000)\n    return 1.0",
    "forges a score": "def grade(s, i):\n    return 7",
    "forges infinity": "def grade(s, i):\n    return float('inf')",
    "forges nothing": "def grade(s, i):\n    return float('nan')",
    "returns a text": "def grade(s, i):\n    return '1.0'",
    "returns nothing": "def grade(s, i):\n    pass",
    "raises": "def grade(s, i):\n    raise ValueError('no')",
    "names what is not there": "def grade(s, i):\n    return i['missing']",
}


@pytest.mark.parametrize("source", HOSTILE.values(), ids=HOSTILE.keys())
async def test_a_hostile_or_broken_script_is_an_error_and_never_a_zero(
    source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_TESTS", "token-1234")
    grade = await graded(source)
    assert grade.score is None
    assert grade.error
    assert "token-1234" not in grade.error
    assert "root:" not in grade.error


async def test_the_worker_lives_on_after_a_hostile_script() -> None:
    async with graders.bench(chat=None, judge_model="", meter=lambda model, usage: None) as bench:  # type: ignore[arg-type]
        bad = await graders.grade("script", {"source": HOSTILE["allocates"]}, SAMPLE, bench)
        good = await graders.grade("script", {"source": "def grade(s, i):\n    return 0.5"}, SAMPLE, bench)
    assert (bad.score, good.score) == (None, 0.5)
    assert os.getpid() > 0


async def test_nothing_is_carried_from_one_grade_to_the_next() -> None:
    source = "seen = []\ndef grade(s, i):\n    seen.append(1)\n    return len(seen) / 10"
    async with graders.bench(chat=None, judge_model="", meter=lambda model, usage: None) as bench:  # type: ignore[arg-type]
        found = [await graders.grade("script", {"source": source}, SAMPLE, bench) for _ in range(3)]
    assert [grade.score for grade in found] == [0.1, 0.1, 0.1]


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ({"language": "perl", "source": "sub grade { 1 }"}, "language_not_available"),
        ({"source": "function evaluate(input) { return 1 }"}, "syntax_error"),
        ({"source": ""}, "missing_source"),
        ({"source": "x" * 30_000}, "source_too_long"),
        ({"source": "def grade(sample, item:\n  return 1"}, "syntax_error"),
        ({"source": "def score(sample, item):\n  return 1"}, "no_grade_function"),
        ({"source": "def grade(sample):\n  return 1"}, "no_grade_function"),
        ({"source": "class A(dict):\n  pass\ndef grade(sample, item):\n  return 1"}, "not_supported"),
        ({"source": "import numpy\ndef grade(sample, item):\n  return 1"}, "not_supported"),
        ({"source": "def grade(sample, item):\n  yield 1"}, "not_supported"),
        ({"source": "(" * 5_000}, "syntax_error"),
    ],
)
def test_what_cannot_be_a_script_is_said_when_it_is_configured(config: Json, code: str) -> None:
    assert problems(config) == [code]


def test_a_fault_names_its_line() -> None:
    found = graders.check("script", {"source": "x = 1\n\ndef grade(sample, item):\n  yield 1"}, [])
    assert found[0].message.startswith("Line ")
