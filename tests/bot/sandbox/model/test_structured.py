"""Structured answers: made from the data in the user message, in the shape that was asked for."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.sandbox.model.asks import Ask, Message
from bot.sandbox.model.structured.answers import structured_answer
from bot.sandbox.model.structured.criteria import spread
from tasks import schemas
from tasks.rules import meaning, tool_chains

TOPICS = [
    {"id": "general", "name": "General", "path": ["General"]},
    {"id": "billing", "name": "Billing", "path": ["Billing"]},
    {"id": "billing/refunds", "name": "Refunds", "path": ["Billing", "Refunds"]},
    {"id": "informational", "name": "Informational", "path": ["Informational"]},
    {"id": "relationship", "name": "Relationship", "path": ["Relationship"]},
]
CLUSTERS = [
    {
        "cluster": 0,
        "size": 90,
        "terms": ["refund", "return", "money"],
        "examples": ["I want my money back for this return"],
    },
    {
        "cluster": 1,
        "size": 80,
        "terms": ["delivery", "parcel", "tracking"],
        "examples": ["Where is my parcel?", "How long does delivery take?"],
    },
    {
        "cluster": 2,
        "size": 60,
        "terms": ["password", "login", "account"],
        "examples": ["I cannot log in to my account"],
    },
    {
        "cluster": 3,
        "size": 50,
        "terms": ["invoice", "charged", "card"],
        "examples": ["I was charged twice on my card"],
    },
    {
        "cluster": 4,
        "size": 10,
        "terms": ["hours", "phone", "team"],
        "examples": ["What are your opening hours?"],
    },
    {
        "cluster": 5,
        "size": 30,
        "terms": ["address", "order", "change"],
        "examples": ["Please change the order address"],
    },
]
EXAMPLES = [
    {"seed": 11, "text": "I was charged twice for order 4521 in March. Please refund one of the payments."},
    {"seed": 12, "text": "How do I get an invoice with our VAT number? The one from last week is wrong."},
    {"seed": 13, "text": "My card was declined although the bank says it is fine. What can I do?"},
]


def ask(name: str, data: Any, schema: dict | None = None) -> Any:
    message = Message("user", json.dumps(data))
    request = Ask(
        "standin-writer", (Message("system", "prose"), message), schema_name=name, schema=schema or {}
    )
    value = structured_answer(request, seed=7)
    if schema:
        jsonschema.validate(value, schema)
    return value


def changes(instruction: str) -> list[dict]:
    answer = ask(
        "topic_changes", {"instruction": instruction, "topics": TOPICS}, schemas.topic_changes().schema
    )
    return [{key: value for key, value in one.items() if value} for one in answer["operations"]]


def criteria(instruction: str, current: list[tuple[str, float]]) -> list[tuple[str, float]]:
    data = {
        "instruction": instruction,
        "goal": "",
        "current": [{"name": n, "description": "", "weight": w} for n, w in current],
    }
    answer = ask("grader_criteria", data, schemas.grader_criteria().schema)
    return [(one["name"], one["weight"]) for one in answer["criteria"]]


def rows(**changed: Any) -> list[dict]:
    data = {
        "strategy": "few_shot", "mode": "rft", "goal": "helpful", "personas": ["frustrated customer", "busy parent"],
        "topic": {"id": "billing", "name": "Billing", "description": "", "keywords": ["invoice", "charge", "card"]},
        "examples": EXAMPLES, "count": 30, "difficulty": "medium", "base_scenario": "", "aspects": [],
        "tool_patterns": [], "round": 0,
    } | changed  # fmt: skip
    mode = str(data["mode"])
    schema = schemas.synthetic_rows(mode=mode, strategy=str(data["strategy"])).schema
    return ask("synthetic_rows", data, schema)["rows"]


def test_every_cluster_has_its_place_in_a_named_tree() -> None:
    answer = ask(
        "topic_hierarchy",
        {"goal": "", "lens": "", "max_depth": 3, "clusters": CLUSTERS},
        schemas.topic_hierarchy().schema,
    )
    paths = [tuple(topic["path"]) for topic in answer["topics"]]
    assert sorted(number for topic in answer["topics"] for number in topic["clusters"]) == [0, 1, 2, 3, 4, 5]
    assert len(set(paths)) == len(paths)
    assert any(path[0] == "General" for path in paths)
    assert any("Delivery" in path[0] for path in paths)


def test_another_lens_gives_another_tree() -> None:
    def tree(lens: str, depth: int = 3) -> set[tuple[str, ...]]:
        answer = ask("topic_hierarchy", {"goal": "", "lens": lens, "max_depth": depth, "clusters": CLUSTERS})
        return {tuple(topic["path"]) for topic in answer["topics"]}

    assert {path[0] for path in tree("customer intent")} & {"Informational", "Transactional"}
    assert tree("customer intent") != tree("")
    assert all(len(path) == 1 for path in tree("", depth=1))


@pytest.mark.parametrize(
    ("instruction", "expected"),
    [
        ("Can you add Complaints under General?", [{"op": "add", "name": "Complaints", "parent": "general"}]),
        ("add a Complaints category under General", [{"op": "add", "name": "Complaints", "parent": "general"}]),
        ("please add a new topic called Returns", [{"op": "add", "name": "Returns"}]),
        ("merge Informational and Relationship", [{"op": "merge", "topic": "informational", "into": "relationship", "name": "Informational & Relationship"}]),
        ("merge Informational with Relationship into Questions", [{"op": "merge", "topic": "informational", "into": "relationship", "name": "Questions"}]),
        ("rename Billing to Payments", [{"op": "rename", "topic": "billing", "name": "Payments"}]),
        ("remove the Relationship topic", [{"op": "remove", "topic": "relationship"}]),
        ("move Refunds under General", [{"op": "move", "topic": "billing/refunds", "parent": "general"}]),
        ("rename General to Other and remove Refunds", [{"op": "rename", "topic": "general", "name": "Other"}, {"op": "remove", "topic": "billing/refunds"}]),
        ("remove Astrology", []),
        ("make it nicer", []),
    ],
)  # fmt: skip
def test_changes_are_read_from_plain_words(instruction: str, expected: list[dict]) -> None:
    assert changes(instruction) == expected


def test_labels_only_name_known_topics_and_none() -> None:
    topics = [
        {
            "id": "billing/refunds",
            "name": "Refunds",
            "description": "money back",
            "keywords": ["refund", "charged"],
        },
        {
            "id": "orders/delivery",
            "name": "Delivery",
            "description": "parcels",
            "keywords": ["parcel", "courier"],
        },
    ]
    texts = ["I was charged twice, refund me", "The courier lost my parcel", "xyzzy plugh"]
    data = {"topics": topics, "rows": [{"row": place, "text": text} for place, text in enumerate(texts)]}
    answer = ask("topic_labels", data, schemas.topic_labels([topic["id"] for topic in topics]).schema)
    assert [one["topic"] for one in answer["labels"]] == ["billing/refunds", "orders/delivery", "none"]
    assert [one["row"] for one in answer["labels"]] == [0, 1, 2]


@pytest.mark.parametrize(
    ("instruction", "current", "expected"),
    [
        (
            "add something about not making promises we can't keep",
            [("Accuracy", 0.4), ("Tone", 0.25), ("Completeness", 0.2), ("Brand voice", 0.15)],
            [("Accuracy", 0.35), ("Tone", 0.25), ("Completeness", 0.15), ("Brand voice", 0.15), ("No false promises", 0.1)],
        ),
        ("accuracy 40, tone 25, completeness 20, brand voice 15", [], [("Accuracy", 0.4), ("Tone", 0.25), ("Completeness", 0.2), ("Brand voice", 0.15)]),
        ("50% accuracy, 50% tone", [("Clarity", 1.0)], [("Accuracy", 0.5), ("Tone", 0.5)]),
        ("accurate, friendly and complete", [], [("Accuracy", 0.5), ("Tone", 0.3), ("Completeness", 0.2)]),
        ("remove tone", [("Accuracy", 0.5), ("Tone", 0.5)], [("Accuracy", 1.0)]),
        ("set accuracy to 60", [("Accuracy", 0.5), ("Tone", 0.3), ("Clarity", 0.2)], [("Accuracy", 0.6), ("Tone", 0.25), ("Clarity", 0.15)]),
    ],
)  # fmt: skip
def test_criteria_follow_the_instruction(instruction: str, current: list, expected: list) -> None:
    assert criteria(instruction, current) == expected


@given(st.text(max_size=60), st.lists(st.integers(1, 60), min_size=0, max_size=6))
def test_weights_always_sum_to_one(instruction: str, weights: list[int]) -> None:
    total = sum(weights) or 1
    made = criteria(instruction, [(f"C{place}", weight / total) for place, weight in enumerate(weights)])
    assert made
    assert sum(weight for _, weight in made) == pytest.approx(1.0)
    assert all(weight > 0 for _, weight in made)


@given(st.lists(st.integers(1, 100), min_size=1, max_size=8), st.integers(50, 100))
def test_spreading_keeps_the_total(points: list[int], total: int) -> None:
    assert sum(spread([float(point) for point in points], total)) == total


def test_synthetic_rows_are_new_mostly_distinct_and_long_enough() -> None:
    made = rows()
    texts = [" ".join(row["text"].lower().rstrip("!.").split()) for row in made]
    assert len(made) == 30
    assert all(20 <= len(row["text"]) <= 2000 for row in made)
    assert 26 <= len(set(texts)) <= 29
    assert {row["seed"] for row in made} == {11, 12, 13}
    assert {row["persona"] for row in made} == {"frustrated customer", "busy parent"}
    assert not {row["text"] for row in made} & {example["text"] for example in EXAMPLES}


def test_another_round_writes_other_rows_and_the_same_round_the_same() -> None:
    first, again, second = rows(), rows(), rows(round=1)
    assert first == again
    assert len({row["text"] for row in first} & {row["text"] for row in second}) <= 1


@pytest.mark.parametrize(
    "strategy", ["message_variation", "few_shot", "topic_description", "scenario_expansion", "tool_chain"]
)
def test_every_strategy_writes(strategy: str) -> None:
    made = rows(
        strategy=strategy,
        count=9,
        base_scenario="A shared account",
        aspects=["currency"],
        tool_patterns=["search"],
    )
    assert len({row["text"] for row in made}) == 9
    assert "{" not in "".join(row["text"] for row in made)


def test_rows_can_be_written_from_a_goal_alone_and_as_conversations() -> None:
    assert len(rows(examples=[], topic=None, personas=[], count=5)) == 5
    talk = rows(mode="sft", count=3)[0]["messages"]
    assert [turn["role"] for turn in talk] == ["user", "assistant"]
    assert len(talk[1]["content"]) > 20


def test_an_unknown_schema_is_filled_validly() -> None:
    schema = {
        "type": "object",
        "properties": {
            "label": {"enum": ["spam", "ham"]},
            "n": {"type": "integer", "minimum": 3, "maximum": 9},
            "share": {"type": "number"},
            "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}, "minItems": 2},
            "maybe": {"anyOf": [{"type": "null"}, {"type": "string", "maxLength": 5}]},
            "sure": {"type": "boolean"},
        },
        "required": ["label", "n", "share", "tags", "maybe", "sure"],
        "additionalProperties": False,
        "$defs": {
            "tag": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
        },
    }
    assert ask("whatever", {"text": "this is spam, surely"}, schema)["label"] == "spam"
    ask("topic_labels", {"unexpected": "shape"}, schemas.topic_labels(["a"]).schema)
    ask("label", {"text": "x"}, schemas.label(["good", "bad"]).schema)


# ---------------------------------------------------------------- other words, goals, tools

SAID = [
    {"row": 0, "text": "I was charged twice for order A4711 in March. Please refund one of the payments."},
    {"row": 1, "text": "Where is my parcel? The courier says it was not delivered in Oslo on 3 May."},
    {"row": 2, "text": "How do I get an invoice with our VAT number?"},
]


def test_paraphrases_are_other_words_for_the_same() -> None:
    answer = ask("paraphrases", {"rows": SAID}, schemas.paraphrases().schema)
    assert [one["row"] for one in answer["rows"]] == [0, 1, 2]
    for one, before in zip(answer["rows"], SAID, strict=True):
        assert meaning.problem(str(before["text"]), one["text"]) is None, one


def test_a_translation_comes_back_to_its_language_with_its_facts() -> None:
    schema = schemas.translations().schema
    there = ask("translations", {"rows": [{**one, "into": "German"} for one in SAID]}, schema)["rows"]
    assert {one["language"] for one in there} == {"English"}
    assert all(one["text"] != before["text"] for one, before in zip(there, SAID, strict=True))
    sent = [{"row": one["row"], "text": one["text"], "into": one["language"]} for one in there]
    back = ask("translations", {"rows": sent}, schema)["rows"]
    assert {one["language"] for one in back} == {"German"}
    for one, before in zip(back, SAID, strict=True):
        assert meaning.problem(str(before["text"]), one["text"]) is None, one


def test_now_and_then_a_fact_is_lost_as_models_lose_them() -> None:
    many = [
        {"row": n, "text": f"My order {n * 7919} of {n + 3} chairs did not come, where is it?"}
        for n in range(80)
    ]
    answer = ask("paraphrases", {"rows": many}, schemas.paraphrases().schema)
    lost = [meaning.problem(str(a["text"]), b["text"]) for a, b in zip(many, answer["rows"], strict=True)]
    assert 0 < sum(found is not None and found.code == "changed_facts" for found in lost) < 20


def test_a_goal_leads_to_topics_and_voices() -> None:
    answer = ask(
        "goal_topics",
        {"goal": "Calm answers about late parcels", "count": 6, "personas": 5},
        schemas.goal_topics().schema,
    )
    assert len({tuple(one["path"]) for one in answer["topics"]}) == 6
    assert all(len(one["keywords"]) >= 5 for one in answer["topics"])
    assert "parcels" in str(answer["topics"])
    assert len(answer["personas"]) == 5
    more = ask(
        "personas",
        {"goal": "Calm answers", "topics": [], "examples": [], "count": 4},
        schemas.personas().schema,
    )
    assert len(set(more["personas"])) == 4


def test_a_chain_of_tools_is_called_with_arguments_that_fit_and_never_named() -> None:
    parameters = {
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "days": {"type": "integer", "maximum": 5},
            "how": {"enum": ["a", "b"]},
        },
        "required": ["id", "days", "how"],
        "additionalProperties": False,
    }
    tools = [
        {
            "type": "function",
            "function": {
                "name": "get_order",
                "description": "Get order details by id.",
                "parameters": parameters,
            },
        },
        {
            "type": "function",
            "function": {
                "name": "send_mail",
                "description": "Send mail to a person.",
                "parameters": {"type": "object"},
            },
        },
    ]
    briefs = [{"row": n, "persona": "someone", "tools": ["get_order", "send_mail"]} for n in range(4)]
    for row in rows(strategy="tool_chain", mode="sft", count=4, rows=briefs, tools=tools):
        catalogue = tool_chains.catalogue([tools])
        assert tool_chains.chain_problem(row["messages"], ["get_order", "send_mail"], catalogue) == ""
        assert tool_chains.named_tool(row["messages"][0]["content"], catalogue) == ""


def test_briefs_are_followed_row_by_row() -> None:
    briefs = [
        {"row": n, "persona": f"voice {n}", "keyword": "refund", "difficulty": "hard"} for n in range(5)
    ]
    made = rows(strategy="topic_description", count=5, rows=briefs, examples=[])
    assert [(one["row"], one["persona"], one["difficulty"]) for one in made] == [
        (n, f"voice {n}", "hard") for n in range(5)
    ]
    assert all("refund" in one["text"] for one in made)
