"""JavaScript graders: what they may do, and what three dozen hostile ones cannot."""

from __future__ import annotations

import pytest

from storage.records import Json
from tasks import graders
from tasks.graders import javascript
from tasks.graders.port import Bench, Grade, NotExportable, Sample
from tests.tasks.graders.test_script import SAMPLE

pytestmark = pytest.mark.anyio


async def graded(source: str, sample: Sample = SAMPLE) -> Grade:
    async with graders.bench(chat=None, judge_model="", meter=lambda model, usage: None) as bench:  # type: ignore[arg-type]
        return await one(source, bench, sample)


async def one(source: str, bench: Bench, sample: Sample = SAMPLE) -> Grade:
    return await graders.grade("script", {"language": "javascript", "source": source}, sample, bench)


def problems(source: str) -> list[str]:
    return [
        problem.code for problem in graders.check("script", {"language": "javascript", "source": source}, [])
    ]


@pytest.mark.parametrize(
    ("source", "score", "reasoning"),
    [
        ("function evaluate(input) { return 0.25 }", 0.25, ""),
        ("const evaluate = input => input.sample.output_json.answer === 4", 1.0, ""),
        ("function evaluate({response, item}) { return response.includes(item.reference_answer) }", 1.0, ""),
        ("function evaluate(input) { return {score: 0.5, reasoning: 'half ☂'} }", 0.5, "half ☂"),
        ("function evaluate(input) { return input.messages.length / 4 }", 0.25, ""),
        ("function evaluate(i) { return /\\d/.test(i.response) ? Math.min(1, 2) : 0 }", 1.0, ""),
        ("function evaluate(i) { return new Map([['a', 1]]).get('a') }", 1.0, ""),
    ],
)
async def test_a_script_gives_a_score(source: str, score: float, reasoning: str) -> None:
    assert await graded(source) == Grade(score, reasoning=reasoning)


def evaluate(body: str) -> str:
    return f"function evaluate(input) {{ {body} }}"


HOSTILE = {
    "loops": evaluate("while (true) {}"),
    "loops when it is read": "while (true) {}",
    "allocates strings": evaluate("let s = 'x'; while (true) s += s"),
    "allocates arrays": evaluate("const a = []; while (true) a.push(new Array(1e6).fill(1))"),
    "allocates objects": evaluate("const a = []; while (true) a.push({a: [], b: 'x' + a.length})"),
    "allocates outside the heap": evaluate(
        "const a = []; while (true) a.push(new ArrayBuffer(1e8)); return 1"
    ),
    "allocates typed arrays": evaluate("const a = []; while (true) a.push(new Uint8Array(1e8)); return 1"),
    "allocates a sparse giant": evaluate(
        "const a = []; for (let i = 0; i < 1e9; i++) a[i] = i; return a.length"
    ),
    "compiles WebAssembly": evaluate("new WebAssembly.Memory({initial: 30000}); return 1"),
    "shares memory": evaluate("new SharedArrayBuffer(1e9); return 1"),
    "reads a file": evaluate("return require('fs').readFileSync('/etc/passwd', 'utf8').length"),
    "imports": evaluate("return import('fs')"),
    "reads the environment": evaluate("return process.env.SECRET_OF_TESTS.length"),
    "runs a process": evaluate("return require('child_process').execSync('id')"),
    "connects": evaluate("return fetch('http://127.0.0.1:80/')"),
    "connects in the old way": evaluate(
        "const x = new XMLHttpRequest(); x.open('GET', 'http://127.0.0.1'); return 1"
    ),
    "waits": evaluate("setTimeout(() => {}, 1e9); return 1"),
    "waits with Atomics": evaluate("Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0); return 1"),
    "recurses": evaluate("return evaluate(input)"),
    "backtracks": evaluate("return /^(a+)+$/.test('a'.repeat(40) + 'b') ? 1 : 0.5"),
    "forges the parser": "JSON.parse = () => ({}); function evaluate(i) { return i.response.length > 0 ? NaN : 1 }",
    "forges too much": evaluate("return 7"),
    "forges too little": evaluate("return -0.5"),
    "forges infinity": evaluate("return Infinity"),
    "forges nothing": evaluate("return NaN"),
    "returns a text": evaluate("return '1.0'"),
    "returns an object that is a number": evaluate("return {valueOf: () => 1, toString: () => '1'}"),
    "returns a number in a box": evaluate("return new Number(1)"),
    "returns a big integer": evaluate("return 1n"),
    "returns a symbol": evaluate("return Symbol('1')"),
    "returns a promise": "async function evaluate(input) { return 1 }",
    "returns nothing": evaluate(""),
    "returns null": evaluate("return null"),
    "throws": evaluate("throw new Error('no')"),
    "throws something odd": evaluate("throw {toString() { while (true) {} }}"),
    "a getter that loops": evaluate("return {get score() { while (true) {} }}"),
    "a proxy that loops": evaluate("return new Proxy({}, {get() { while (true) {} }})"),
    "names what is not there": evaluate("return input.item.missing.length"),
    "writes a second answer": evaluate('return \'1\\n{"value": [1, ""]}\''),
    "eats the stack in a getter": evaluate("const o = {get score() { return o.score }}; return o"),
}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize("source", HOSTILE.values(), ids=HOSTILE.keys())
async def test_a_hostile_or_broken_script_is_an_error_and_never_a_score(
    source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_TESTS", "token-1234")
    grade = await graded(source)
    assert grade.score is None and grade.error
    assert "token-1234" not in grade.error and "root:" not in grade.error


POISONS = [
    "Number.prototype.toString = () => '1'; String.prototype.concat = () => '1'; ",
    "Object.prototype.score = 1; ",
    'JSON.stringify = () => \'{"value": [1, ""]}\'; ',
    "Array.prototype.toJSON = () => [1, '']; Object.prototype.toJSON = () => 1; ",
    "String.prototype.slice = () => '1\\n'; ",
]


@pytest.mark.parametrize("poison", POISONS)
async def test_rewriting_what_is_built_in_forges_no_score(poison: str) -> None:
    assert (await graded(poison + evaluate("return 0"))).score == 0.0


async def test_nothing_is_carried_from_one_grade_to_the_next() -> None:
    source = "globalThis.seen = (globalThis.seen || 0) + 1; Array.prototype.n = (Array.prototype.n || 0) + 1;"
    async with graders.bench(chat=None, judge_model="", meter=lambda model, usage: None) as bench:  # type: ignore[arg-type]
        found = [await one(source + evaluate("return (seen + [].n) / 10"), bench) for _ in range(3)]
    assert [grade.score for grade in found] == [0.2, 0.2, 0.2]


async def test_the_next_call_works_after_a_child_was_killed() -> None:
    async with graders.bench(chat=None, judge_model="", meter=lambda model, usage: None) as bench:  # type: ignore[arg-type]
        assert (await one(evaluate("return 0.5"), bench)).score == 0.5
        child = bench.sandbox.javascript._child
        assert child is not None
        child.kill()
        assert (await one(evaluate("return 0.5"), bench)).error
        assert (await one(evaluate("return 0.25"), bench)).score == 0.25


async def test_a_child_is_replaced_after_many_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(javascript, "CALLS", 2)
    async with graders.bench(chat=None, judge_model="", meter=lambda model, usage: None) as bench:  # type: ignore[arg-type]
        pids = []
        for _ in range(3):
            assert (await one(evaluate("return 1"), bench)).score == 1.0
            child = bench.sandbox.javascript._child
            pids.append(child.pid if child else 0)
    assert pids[0] == pids[1] != pids[2]


@pytest.mark.parametrize(
    ("source", "codes"),
    [
        (evaluate("return 1"), []),
        ("const evaluate = () => 1", []),
        ("function grade(input) { return 1 }", ["no_evaluate_function"]),
        ("let evaluate = 3", ["no_evaluate_function"]),
        ("function evaluate(input) {\n  return (1\n}", ["syntax_error"]),
        ("while (true) {}", ["syntax_error"]),
        ("", ["missing_source"]),
    ],
)
def test_what_cannot_be_a_script_is_said_when_it_is_configured(source: str, codes: list[str]) -> None:
    assert problems(source) == codes


def test_a_fault_names_its_line() -> None:
    config: Json = {"language": "javascript", "source": "function evaluate(input) {\n  return (1\n}"}
    assert graders.check("script", config, [])[0].message.startswith("Line 3: SyntaxError")


@pytest.mark.parametrize(
    ("config", "word"),
    [
        ({"language": "javascript", "source": evaluate("return 1")}, "Python"),
        ({"source": "def grade(sample, item):\n    return bleu('a', 'b')"}, "bleu"),
    ],
)
def test_what_a_provider_would_not_run_is_not_exported(config: Json, word: str) -> None:
    with pytest.raises(NotExportable, match=word):
        graders.to_openai("script", config)
