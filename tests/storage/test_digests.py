"""When two conversations are the same, and the memory of those seen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.digests import (
    BETWEEN,
    DigestSet,
    Occurrences,
    _normalised,
    content_id,
    conversation_digest,
    conversation_key,
    digests_of,
    id_key,
    text_digest,
)
from storage.rows import Message


def said(*texts: str) -> list[Message]:
    return [{"role": "assistant" if n % 2 else "user", "content": text} for n, text in enumerate(texts)]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (said("Where is it?"), said("  where  IS\n\tit? "), True),
        (said("Straße"), said("STRASSE"), True),
        (said("a b"), said("ab"), False),
        (said("a", "b"), said("a b"), False),
        (said("a", ""), said("a"), False),
        (said("Hello "), said("Hello"), True),
        ([{"role": "user", "content": "x"}], [{"role": "system", "content": "x"}], False),
        (
            [{"role": "user", "content": "x"}],
            [{"role": "user", "content": [{"type": "text", "text": "X"}]}],
            True,
        ),
        (
            [
                {
                    "role": "assistant",
                    "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}],
                }
            ],
            [
                {
                    "role": "assistant",
                    "tool_calls": [{"id": "2", "function": {"arguments": "{}", "name": "f"}}],
                }
            ],
            True,
        ),
        (
            [{"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f"}}]}],
            [{"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "g"}}]}],
            False,
        ),
    ],
)
def test_sameness_ignores_case_and_space_and_nothing_else(
    one: list[Message], other: list[Message], same: bool
) -> None:
    assert (conversation_digest(one) == conversation_digest(other)) is same


@given(st.text(st.characters(max_codepoint=127)))
def test_the_fast_way_for_ascii_agrees_with_the_plain_one(text: str) -> None:
    assert _normalised(text) == " ".join(text.split()).casefold().encode()


@given(st.lists(st.lists(st.text(), min_size=1), max_size=5))
def test_many_at_once_agree_with_one_by_one(conversations: list[list[str]]) -> None:
    pieces = [piece for texts in conversations for piece in (",".join("u" * len(texts)), *texts, BETWEEN)]
    together = digests_of(pieces, len(conversations))
    one_by_one = [
        conversation_digest([{"role": "u", "content": text} for text in texts]) for texts in conversations
    ]
    assert together == one_by_one or any(BETWEEN in text for texts in conversations for text in texts)


@given(st.lists(st.integers(0, 2_000).map(lambda n: text_digest(str(n).encode()))))
def test_a_digest_is_new_once(digests: list[bytes]) -> None:
    seen, plain = DigestSet(), set()
    for digest in digests:
        assert (digest in seen) is (digest in plain)
        assert seen.add(digest) is (digest not in plain)
        plain.add(digest)
    assert len(seen) == len(plain)


@given(st.lists(st.lists(st.integers(0, 300).map(lambda n: text_digest(str(n).encode())), max_size=60)))
def test_batches_count_like_single_digests(batches: list[list[bytes]]) -> None:
    one_by_one, together = DigestSet(), DigestSet()
    for batch in batches:
        assert together.add_many(batch) == [one_by_one.add(digest) for digest in batch]
    assert len(together) == len(one_by_one)


def test_a_digest_set_grows_in_bounded_memory() -> None:
    digests = [text_digest(str(n).encode()) for n in range(20_000)]
    seen = DigestSet()
    for start in range(0, 10_000, 250):
        assert all(seen.add_many(digests[start : start + 250]))
    assert all(seen.add(digest) for digest in digests[10_000:])
    assert not any(seen.add(digest) for digest in digests)
    assert not any(seen.add_many(digests[:250]))
    stored = sum(words.itemsize * len(words) for words in (seen._heads, seen._tails))
    assert stored <= 35 * len(digests)


def test_zero_is_a_digest_like_any_other() -> None:
    seen = DigestSet()
    assert seen.add(bytes(16))
    assert not seen.add(bytes(16))
    assert bytes(16) in seen


def test_occurrences_are_counted() -> None:
    again = Occurrences()
    assert [again.next(b"a" * 16) for _ in range(40)] == list(range(1, 41))
    assert again.next(b"b" * 16) == 1


def test_a_content_id_is_found_by_its_conversation() -> None:
    digest = conversation_digest(said("Where is my parcel?"))
    assert id_key(content_id(digest, 1)) == id_key(content_id(digest, 7)) == conversation_key(digest)
    assert id_key("ticket-7") != id_key("ticket-8")
