"""Slack's markup becomes plain words, whatever is typed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.markup import people_in, plain

NAMES = {"U0ADA": "Ada", "W1": "Wim"}


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("a &amp; b &lt;c&gt;", "a & b <c>"),
        ("ask <@U0ADA> or <@W1>", "ask @Ada or @Wim"),
        ("<@U9|kim> and <@U9>", "@kim and @somebody"),
        ("in <#C1|general> or <#C2>", "in #general or #a channel"),
        ("<!here> <!subteam^S1|@support> <!subteam^S2>", "@here @support @a group"),
        ("<!date^1^{date}|yesterday>", "yesterday"),
        ("see <https://x.example/a?b=1&amp;c=2|the page>", "see the page"),
        ("<https://x.example/a?b=1&amp;c=2>", "https://x.example/a?b=1&c=2"),
        ("<mailto:a@b.example|a@b.example>", "a@b.example"),
        ("*bold* _it_ `code` 1 &lt; 2", "*bold* _it_ `code` 1 < 2"),
        ("  spaces  ", "spaces"),
        ("&amp;lt;", "&lt;"),
    ],
)
def test_markup_becomes_words(typed: str, words: str) -> None:
    assert plain(typed, NAMES) == words


def test_mentions_are_found_in_order_and_once() -> None:
    assert people_in("<@U2> <@U1|x> <@U2> @U3 <#C1>") == ["U2", "U1"]


@given(st.text(max_size=300))
def test_what_a_person_types_comes_back_as_typed(text: str) -> None:
    """Slack escapes the three signs and nothing else."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert plain(escaped, {}) == text.strip()


@given(st.text(alphabet="<>@!#|U1a&;:/ \n", max_size=80))
def test_any_markup_is_read_without_an_error(text: str) -> None:
    plain(text, NAMES), people_in(text)
