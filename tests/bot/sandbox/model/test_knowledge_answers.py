"""The stand-in as a reader of documents: rows in the shape that was asked for, of the passages' own sentences, and a second reading."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from bot.sandbox.model.asks import Ask, Message
from bot.sandbox.model.structured.answers import structured_answer
from tasks import schemas
from tasks.rules import grounding

WARRANTY = "The warranty lasts 24 months from the day of purchase. Batteries are covered for 6 months."
RETURN = "1. Open the order in Harbour.\n2. Choose Return and a reason.\n3. Press Send label."


def ask(schema: Any, data: Any) -> Any:
    request = Ask(
        "standin-writer",
        (Message("system", "prose"), Message("user", json.dumps(data))),
        schema_name=schema.name,
        schema=schema.schema,
    )
    answer = structured_answer(request, seed=7)
    jsonschema.validate(answer, schema.schema)
    return answer


def passages(*texts: tuple[str, str], count: int = 3) -> Any:
    return {
        "goal": "",
        "passages": [
            {"passage": n, "document": "a.md", "headings": [heading], "text": text, "count": count}
            for n, (heading, text) in enumerate(texts)
        ],
    }


@pytest.mark.parametrize("kind", ["concepts", "facts"])
def test_answers_are_sentences_of_the_passage_and_questions_differ(kind: str) -> None:
    rows = ask(schemas.knowledge_rows(kind), passages(("Warranty", WARRANTY)))["rows"]
    assert len(rows) == 3 == len({row["question"] for row in rows})
    for row in rows:
        assert row["answer"] in WARRANTY
        assert (
            grounding.check(
                question=row["question"], answer=row["answer"], quote=row["quote"], passage=WARRANTY
            )
            is None
        )


def test_a_procedure_keeps_all_its_steps_and_prose_has_none() -> None:
    data = passages(("How to start a return", RETURN), ("Warranty", WARRANTY), count=2)
    rows = ask(schemas.knowledge_rows("procedures"), data)["rows"]
    assert [row["question"] for row in rows] == [
        "How do I start a return?",
        "What are the steps to start a return?",
    ]
    assert rows[0]["steps"] == [
        "Open the order in Harbour.",
        "Choose Return and a reason.",
        "Press Send label.",
    ]


def test_the_second_reading_supports_what_is_there_and_nothing_else() -> None:
    answers = [
        "The warranty lasts 24 months from the day of purchase.",
        "The warranty lasts 36 months from the day of purchase.",
        "Tents are made of cotton by hand in Portugal.",
    ]
    data = {
        "passages": [{"passage": 0, "text": WARRANTY}],
        "rows": [
            {"row": n, "passage": 0, "question": "How long?", "answer": answer}
            for n, answer in enumerate(answers)
        ],
    }
    checks = ask(schemas.knowledge_check(), data)["checks"]
    assert [one["supported"] for one in checks] == [True, False, False]
    assert grounding.is_quoted(checks[0]["quote"], WARRANTY) and checks[1]["quote"] == ""
