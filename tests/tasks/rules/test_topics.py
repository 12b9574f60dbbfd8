from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.records import Topic
from tasks.rules import topics
from tasks.rules.outline import parse_outline, to_outline
from tasks.rules.topic_changes import UnknownChange, apply_operations, fresh_leaves
from tasks.rules.topic_templates import templates

SUPPORT = parse_outline(
    """
- General
  - Feedback [love]
- Billing: money [invoice]
  - Refunds: money back [refund]
  - Invoices
- Technical
"""
)


def ids(tree: tuple[Topic, ...]) -> list[str]:
    return [topic.id for topic in topics.leaves(tree)]


names = st.text(
    alphabet=string.ascii_letters + string.digits + " :[],-\\éß中.*", min_size=1, max_size=20
).filter(lambda text: bool(text.strip()))
words = st.lists(names.map(lambda text: " ".join(text.split())), max_size=3, unique=True).map(tuple)


def branches(children: st.SearchStrategy[list[topics.Branch]]) -> st.SearchStrategy[list[topics.Branch]]:
    one = st.builds(
        lambda name, description, keywords, below: topics.Branch(
            " ".join(name.split()), " ".join(description.split()), keywords, "", below
        ),
        names,
        names | st.just(""),
        words,
        children,
    )
    return st.lists(one, max_size=4)


trees = st.recursive(st.just([]), branches, max_leaves=8).map(topics.with_ids)


@given(trees)
def test_an_outline_reads_back_as_the_same_tree(tree: tuple[Topic, ...]) -> None:
    assert parse_outline(to_outline(tree)) == tree


@given(trees)
def test_a_hierarchy_in_json_reads_back_as_the_same_tree(tree: tuple[Topic, ...]) -> None:
    assert topics.from_dicts(topics.to_dicts(tree)) == tree


@given(st.text(max_size=200))
def test_any_text_reads_as_some_outline_with_unique_ids(text: str) -> None:
    found = ids(parse_outline(text))
    assert len(found) == len(set(found))


@pytest.mark.parametrize(
    "text",
    [
        "Billing\n\tRefunds\n\tInvoices\nOther",
        "- Billing\n    - Refunds\n    - Invoices\n- Other",
        "* Billing\n  * Refunds\n  * Invoices\n* Other",
        "1. Billing\n   1. Refunds\n   2. Invoices\n2. Other",
        "\n- Billing\n\n  - Refunds\r\n  - Invoices\n- Other\n\n",
    ],
)
def test_outlines_are_read_however_they_are_indented(text: str) -> None:
    assert ids(parse_outline(text)) == ["billing/refunds", "billing/invoices", "other"]


def test_an_outline_line_holds_name_description_and_keywords() -> None:
    (topic,) = parse_outline("- Refunds: money back, soon [refund, money back]")
    assert topic == Topic("refunds", "Refunds", "money back, soon", ("refund", "money back"))


def test_a_colon_inside_a_word_belongs_to_the_name() -> None:
    assert parse_outline("Ratio 3:1")[0].name == "Ratio 3:1"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Order & Delivery", "order_delivery"),
        ("  Größe  ", "grosse"),
        ("Café/Bar", "cafe_bar"),
        ("注文", "注文"),
        ("!!!", "topic"),
        ("snake_case", "snake_case"),
    ],
)
def test_slugs(name: str, expected: str) -> None:
    assert topics.slug(name) == expected


@pytest.mark.parametrize(
    ("tree", "codes"),
    [
        ((), ["empty_hierarchy"]),
        (SUPPORT, []),
        ((Topic("a", " "),), ["empty_name"]),
        ((Topic("a", "A"), Topic("a", "B")), ["duplicate_id"]),
        ((Topic("a", "A", children=(Topic("b", "B"),)),), ["bad_id"]),
        ((Topic("A b", "A"),), ["bad_id"]),
        (parse_outline("a\n b\n  c\n   d"), ["too_deep"]),
        (parse_outline("\n".join(f"t{n}" for n in range(13))), ["too_many_children"]),
        (parse_outline("\n".join(f"t{n}" for n in range(12))), []),
    ],
)
def test_what_keeps_a_tree_from_being_used(tree: tuple[Topic, ...], codes: list[str]) -> None:
    assert [problem.code for problem in topics.validate(tree)] == codes


def test_the_allowed_depth_can_be_set() -> None:
    assert not topics.validate(parse_outline("a\n b\n  c\n   d"), max_depth=4)


@pytest.mark.parametrize("broken", [None, {}, [{}], [{"name": ""}], ["x"], [{"name": "a", "keywords": "x"}]])
def test_json_of_another_shape_is_refused_in_words(broken: object) -> None:
    with pytest.raises(ValueError, match=r"topic|Every|keywords"):
        topics.from_dicts(broken)


def test_a_hierarchy_that_refers_to_itself_is_refused() -> None:
    node: dict[str, object] = {"name": "A"}
    node["children"] = [node]
    with pytest.raises(ValueError, match="nested far too deep"):
        topics.from_dicts([node])


def test_ids_that_were_given_are_kept_below_their_parent() -> None:
    tree = topics.from_dicts(
        [{"id": "bill", "name": "Billing", "children": [{"id": "bill/re", "name": "Refunds"}]}]
    )
    assert ids(tree) == ["bill/re"]


def test_paths_that_begin_alike_share_a_branch() -> None:
    tree = topics.from_paths(
        [(["Billing", "Refunds"], "back", ["r"]), (["billing", "Invoices"], "", []), (["Other"], "", [])]
    )
    assert ids(tree) == ["billing/refunds", "billing/invoices", "other"]
    assert topics.leaves(tree)[0].description == "back"


@pytest.mark.parametrize(
    ("confidence", "expected"), [(0.8, "high"), (0.79, "medium"), (0.5, "medium"), (0.49, "needs_review")]
)
def test_bands(confidence: float, expected: str) -> None:
    assert topics.band(confidence) == expected


def test_at_least_six_templates_can_be_used_as_they_are() -> None:
    found = templates()
    assert len(found) >= 6
    assert all(not topics.validate(tree) for tree in found.values())


# ---------------------------------------------------------------- operations


def test_a_category_is_added_under_its_parent() -> None:
    tree, moved, changes = apply_operations(
        SUPPORT, [{"op": "add", "name": "Complaints", "parent": "general"}]
    )
    assert ids(tree)[:2] == ["general/feedback", "general/complaints"]
    assert (moved, changes) == ({}, ("added Complaints under General",))


def test_adding_below_a_leaf_says_that_its_rows_need_a_topic() -> None:
    _, moved, changes = apply_operations(SUPPORT, [{"op": "add", "name": "Crashes", "parent": "technical"}])
    assert moved == {"technical": None}
    assert "need a topic again" in changes[0]


def test_renaming_a_branch_takes_its_leaves_along() -> None:
    tree, moved, _ = apply_operations(SUPPORT, [{"op": "rename", "topic": "billing", "name": "Money"}])
    assert "money/refunds" in ids(tree)
    assert moved == {"billing/refunds": "money/refunds", "billing/invoices": "money/invoices"}


def test_removing_a_branch_leaves_its_rows_without_topic() -> None:
    tree, moved, _ = apply_operations(SUPPORT, [{"op": "remove", "topic": "billing"}])
    assert ids(tree) == ["general/feedback", "technical"]
    assert moved == {"billing/refunds": None, "billing/invoices": None}


def test_merging_leaves_sends_both_rows_to_one() -> None:
    operation = {
        "op": "merge",
        "topic": "billing/invoices",
        "into": "billing/refunds",
        "name": "Money matters",
    }
    tree, moved, _ = apply_operations(SUPPORT, [operation])
    assert ids(tree) == ["general/feedback", "billing/money_matters", "technical"]
    assert moved == {"billing/refunds": "billing/money_matters", "billing/invoices": "billing/money_matters"}


def test_merging_branches_keeps_every_leaf_once() -> None:
    tree = parse_outline("Informational\n  Hours\n  Prices\nRelationship\n  Prices\n  Thanks")
    merged, moved, _ = apply_operations(
        tree,
        [
            {
                "op": "merge",
                "topic": "informational",
                "into": "relationship",
                "name": "Informational and Relationship",
            }
        ],
    )
    head = "informational_and_relationship"
    assert ids(merged) == [f"{head}/prices", f"{head}/thanks", f"{head}/hours"]
    assert moved["informational/prices"] == moved["relationship/prices"] == f"{head}/prices"


def test_a_leaf_merged_with_a_branch_becomes_one_of_its_leaves() -> None:
    tree, moved, _ = apply_operations(SUPPORT, [{"op": "merge", "topic": "technical", "into": "billing"}])
    assert moved == {"technical": "billing/technical"}
    tree, moved, _ = apply_operations(SUPPORT, [{"op": "merge", "topic": "billing", "into": "technical"}])
    assert set(ids(tree)) == {
        "general/feedback",
        "technical/technical",
        "technical/refunds",
        "technical/invoices",
    }
    assert moved["technical"] == "technical/technical"


def test_moving_takes_rows_along() -> None:
    tree, moved, _ = apply_operations(SUPPORT, [{"op": "move", "topic": "technical", "parent": "general"}])
    assert ids(tree)[1] == "general/technical"
    assert moved == {"technical": "general/technical"}


def test_later_operations_may_name_added_topics_and_ids_of_the_beginning() -> None:
    operations = [
        {"op": "add", "name": "Money", "parent": ""},
        {"op": "move", "topic": "billing/refunds", "parent": "Money"},
        {"op": "rename", "topic": "billing/refunds", "name": "Paid back"},
    ]
    _, moved, _ = apply_operations(SUPPORT, operations)
    assert moved == {"billing/refunds": "money/paid_back"}


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "explode"},
        {"op": "remove", "topic": "nothing"},
        {"op": "add", "name": " "},
        {"op": "add", "name": "billing"},
        {"op": "move", "topic": "billing", "parent": "billing/refunds"},
        {"op": "merge", "topic": "billing", "into": "billing/refunds"},
        {"op": "merge", "topic": "billing", "into": "billing"},
    ],
)
def test_impossible_operations_are_refused(operation: dict[str, str]) -> None:
    with pytest.raises(UnknownChange):
        apply_operations(SUPPORT, [operation])


@given(st.data(), trees.filter(bool))
def test_operations_keep_leaves_unique_and_account_for_every_row(
    data: st.DataObject, tree: tuple[Topic, ...]
) -> None:
    everything = [topic.id for topic in topics.walk(tree)]
    operations = data.draw(
        st.lists(
            st.fixed_dictionaries(
                {
                    "op": st.sampled_from(["add", "rename", "remove", "merge", "move"]),
                    "topic": st.sampled_from(everything),
                    "into": st.sampled_from(everything),
                    "parent": st.sampled_from(["", *everything]),
                    "name": st.sampled_from(["New", "Other", "Third"]),
                }
            ),
            max_size=3,
        )
    )
    try:
        new, moved, changes = apply_operations(tree, operations)
    except UnknownChange:
        return
    left = ids(new)
    assert len(left) == len(set(left))
    assert len(changes) == len(operations)
    for leaf in ids(tree):
        assert moved.get(leaf, leaf) is None or moved.get(leaf, leaf) in left


def test_lost_rows_are_counted_through_the_mapping() -> None:
    new, moved, _ = apply_operations(SUPPORT, [{"op": "rename", "topic": "billing/refunds", "name": "Back"}])
    counts = {"billing/refunds": 5, "technical": 2}
    assert topics.lost_rows(SUPPORT, new, counts) == {"billing/refunds": 5}
    assert topics.lost_rows(SUPPORT, new, counts, moved) == {}


def test_descriptions_left_out_of_an_outline_are_carried_over() -> None:
    (_, billing, _) = topics.carry_over(
        SUPPORT, parse_outline("General\n  Feedback\nBilling\n  Refunds\nTechnical")
    )
    assert (billing.description, billing.children[0].keywords) == ("money", ("refund",))


BEFORE = (
    Topic("a", "A", "", (), (Topic("a/one", "One", "first", ("x",)), Topic("a/two", "Two"))),
    Topic("b", "B"),
)


@pytest.mark.parametrize(
    ("after", "moved", "expected"),
    [
        (BEFORE, {}, ()),
        ((Topic("a", "A", "", (), (Topic("a/uno", "Uno", "first", ("x",)),)), Topic("b", "B")), {"a/one": "a/uno"}, ()),
        ((Topic("a/two", "Two"), Topic("b", "B")), {"a/one": "b"}, ()),
        ((*BEFORE, Topic("c", "C")), {}, ("c",)),
        ((Topic("a/one", "One", "first", ("x", "y")), Topic("b", "B")), {}, ("a/one",)),
        ((Topic("a/one", "One", "other", ("x",)),), {}, ("a/one",)),
        ((Topic("a", "A"), Topic("b", "B")), {"a/one": None}, ("a",)),
        ((Topic("b", "Bee"),), {}, ()),
    ],
)  # fmt: skip
def test_only_leaves_that_are_new_or_mean_something_else_are_fresh(
    after: tuple[Topic, ...], moved: dict[str, str | None], expected: tuple[str, ...]
) -> None:
    assert fresh_leaves(BEFORE, after, moved) == expected
